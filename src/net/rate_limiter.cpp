#include "net/rate_limiter.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;

namespace {

using Duration = RateLimiter::Clock::duration;

/// Waiting for somebody to give a permit back: no time helps.
constexpr Duration until_released = Duration::max();
/// Nobody sleeps for longer without looking again.
constexpr std::chrono::hours longest_sleep{1};

template <typename Number>
Number stricter(Number a, Number b) noexcept {
    return a <= 0 || b <= 0 ? std::max(a, b) : std::min(a, b);
}

}  // namespace

/// A call in line. All but executor and timer is guarded by the limiter's mutex; the timer is used
/// on the executor only.
struct RateWaiter {
    RateWaiter(const asio::any_io_executor& own, std::int64_t wanted)
        : executor(own),
          timer(own),
          tokens(wanted) {}

    /// Makes the call look again. Sent after a change, it comes before or during the next wait: the
    /// call and this run on one executor.
    static void wake(const std::shared_ptr<RateWaiter>& waiter) noexcept {
        try {
            asio::post(waiter->executor, [waiter] { waiter->timer.cancel(); });
        } catch (const std::bad_alloc&) {
            // It looks again by itself, or its limit ends it.
            return;
        }
    }

    asio::any_io_executor executor;
    asio::steady_timer timer;
    std::int64_t tokens;
    RateLimiter::Clock::time_point looks_at = RateLimiter::Clock::time_point::max();
    bool granted = false;
};

RatePermit::RatePermit(std::shared_ptr<RateLimiter> limiter, std::int64_t tokens) noexcept
    : limiter_(std::move(limiter)),
      tokens_(tokens) {}

RatePermit& RatePermit::operator=(RatePermit&& other) noexcept {
    if (this != &other) {
        release();
        limiter_ = std::move(other.limiter_);
        tokens_ = other.tokens_;
    }
    return *this;
}

RatePermit::~RatePermit() {
    release();
}

void RatePermit::settle(std::int64_t actual_tokens) noexcept {
    if (limiter_) {
        const std::int64_t actual = std::max<std::int64_t>(actual_tokens, 0);
        limiter_->correct(actual - tokens_);
        tokens_ = actual;
    }
}

void RatePermit::release() noexcept {
    if (std::shared_ptr<RateLimiter> limiter = std::move(limiter_)) {
        limiter_.reset();
        if (inherited(limiter->generation_)) {
            KeptForParent::keep(std::move(limiter));
            return;
        }
        limiter->give_back();
    }
}

std::shared_ptr<RateLimiter> RateLimiter::of(
    const asio::any_io_executor& executor,
    const std::string& group_key,
    const RateLimitSettings& settings
) {
    return ContextService::of(executor).rate_limiter(group_key, settings);
}

RateLimiter::RateLimiter(const RateLimitSettings& settings, Now now)
    : now_(std::move(now)),
      restricts_(settings.enabled()),
      settings_(settings),
      requests_(settings.requests_per_minute, this->now()),
      tokens_(settings.tokens_per_minute, this->now()) {}

RateLimiter::~RateLimiter() = default;

void RateLimiter::throw_closed() {
    throw LLMError(Errc::loop_closed, "the io_context of these rate limits is being destroyed");
}

bool RateLimiter::restricts(Clock::time_point now) const {
    return closed_ || settings_.enabled() || !waiters_.empty() || now < pause_until_ ||
           !requests_.untouched(now) || !tokens_.untouched(now);
}

Duration RateLimiter::obstacle(std::int64_t tokens, Clock::time_point now) const {
    if (settings_.max_in_flight != 0 && in_flight_ >= settings_.max_in_flight) {
        return until_released;
    }
    const Duration pause = now < pause_until_ ? pause_until_ - now : Duration(0);
    return std::max({pause, requests_.time_until(1, now), tokens_.time_until(tokens, now)});
}

void RateLimiter::take(std::int64_t tokens, Clock::time_point now) {
    requests_.take(1, now);
    tokens_.take(tokens, now);
    ++in_flight_;
}

std::optional<RatePermit> RateLimiter::try_acquire(std::int64_t estimated_tokens) {
    if (!restricts_.load(std::memory_order_relaxed)) {
        return RatePermit();
    }
    const std::int64_t tokens = std::max<std::int64_t>(estimated_tokens, 0);
    const std::lock_guard lock(mutex_);
    if (closed_) {
        throw_closed();
    }
    const Clock::time_point now = this->now();
    if (!waiters_.empty() || obstacle(tokens, now) > Duration(0)) {
        return std::nullopt;
    }
    restricts_.store(restricts(now), std::memory_order_relaxed);
    take(tokens, now);
    return RatePermit(shared_from_this(), tokens);
}

/// Lets in whom it can, in order; tells the next how long to wait, unless it is `awake` anyway.
void RateLimiter::serve(Clock::time_point now, const RateWaiter* awake) {
    const auto wake = [awake](const std::shared_ptr<RateWaiter>& waiter) {
        if (waiter.get() != awake) {
            RateWaiter::wake(waiter);
        }
    };
    while (!closed_ && !waiters_.empty()) {
        const std::shared_ptr<RateWaiter> head = waiters_.front();
        const Duration wait = obstacle(head->tokens, now);
        if (wait == until_released) {
            return;
        }
        if (wait > Duration(0)) {
            const Clock::time_point looks_at = now + std::min<Duration>(wait, longest_sleep);
            if (looks_at < head->looks_at) {
                head->looks_at = looks_at;
                wake(head);
            }
            return;
        }
        take(head->tokens, now);
        waiters_.pop_front();
        head->granted = true;
        wake(head);
    }
}

/// A place in line. Whatever ends the wait, the place is given up and an unused grant returned.
class RateWait {
public:
    RateWait(
        std::shared_ptr<RateLimiter> limiter,
        const asio::any_io_executor& executor,
        std::int64_t tokens
    )
        : limiter_(std::move(limiter)),
          waiter_(std::make_shared<RateWaiter>(executor, tokens)) {
        const std::lock_guard lock(limiter_->mutex_);
        if (limiter_->closed_) {
            RateLimiter::throw_closed();
        }
        limiter_->waiters_.push_back(waiter_);
    }
    RateWait(const RateWait&) = delete;
    RateWait& operator=(const RateWait&) = delete;
    ~RateWait() {
        if (!waiter_) {
            return;
        }
        if (inherited(limiter_->generation_)) {
            KeptForParent::keep(std::move(waiter_));
            KeptForParent::keep(std::move(limiter_));
            return;
        }
        const std::lock_guard lock(limiter_->mutex_);
        const RateLimiter::Clock::time_point now = limiter_->now();
        if (waiter_->granted) {
            --limiter_->in_flight_;
            limiter_->requests_.correct(-1, now);
            limiter_->tokens_.correct(-waiter_->tokens, now);
        } else {
            std::erase(limiter_->waiters_, waiter_);
        }
        limiter_->serve(now);
    }

    asio::steady_timer& timer() noexcept { return waiter_->timer; }

    /// How long to sleep before looking again; nothing = the permit is there.
    std::optional<Duration> look() {
        const std::lock_guard lock(limiter_->mutex_);
        const RateLimiter::Clock::time_point now = limiter_->now();
        waiter_->looks_at = RateLimiter::Clock::time_point::max();
        limiter_->serve(now, waiter_.get());
        if (waiter_->granted) {
            return std::nullopt;
        }
        return std::min<Duration>(waiter_->looks_at - now, longest_sleep);
    }

    /// Precondition: `look` has found it there.
    RatePermit take() {
        RatePermit permit(limiter_, waiter_->tokens);
        waiter_.reset();
        return permit;
    }

private:
    std::shared_ptr<RateLimiter> limiter_;
    std::shared_ptr<RateWaiter> waiter_;
};

namespace {

/// Throws what has ended the call, and says so in the report of the step.
void throw_if_ended(const async::CallContext& call, async::StepTimer& step) {
    try {
        call.throw_if_interrupted();
    } catch (const LLMError& error) {
        step.failed_with(error.errc());
        throw;
    }
}

}  // namespace

asio::awaitable<RatePermit> RateLimiter::acquire(
    async::CallContext& call,
    std::int64_t estimated_tokens
) {
    std::optional<RatePermit> permit = try_acquire(estimated_tokens);
    if (permit) {
        co_return std::move(*permit);
    }
    call.enter(Stage::rate_limit);
    async::StepTimer step(call.trace(), CallStep::wait, Stage::rate_limit);
    const std::int64_t tokens = std::max<std::int64_t>(estimated_tokens, 0);
    RateWait place(shared_from_this(), call.executor(), tokens);
    for (;;) {
        const std::optional<Duration> sleep = place.look();
        if (!sleep) {
            break;
        }
        place.timer().expires_after(*sleep);
        co_await place.timer().async_wait(asio::as_tuple(asio::deferred));
        throw_if_ended(call, step);
    }
    step.done();
    co_return place.take();
}

void RateLimiter::give_back() noexcept {
    const std::lock_guard lock(mutex_);
    --in_flight_;
    serve(now());
}

void RateLimiter::correct(std::int64_t difference) noexcept {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = this->now();
    tokens_.correct(difference, now);
    serve(now);
}

void RateLimiter::learn(const wire::RateLimitInfo& info) {
    if (!info.known() || (!restricts_.load(std::memory_order_relaxed) && !info.exhausted())) {
        return;
    }
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = this->now();
    requests_.observe(info.requests, now);
    tokens_.observe(info.tokens, now);
    restricts_.store(restricts(now), std::memory_order_relaxed);
}

void RateLimiter::pause_until(Clock::time_point time) {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = this->now();
    pause_until_ = std::max(pause_until_, std::min(time, now + Duration(max_pause)));
    restricts_.store(restricts(now), std::memory_order_relaxed);
}

std::size_t RateLimiter::in_flight() const {
    const std::lock_guard lock(mutex_);
    return in_flight_;
}

std::size_t RateLimiter::waiting() const {
    const std::lock_guard lock(mutex_);
    return waiters_.size();
}

void RateLimiter::set_limits(const RateLimitSettings& settings, Clock::time_point now) {
    settings_ = settings;
    requests_.set_limit(settings.requests_per_minute, now);
    tokens_.set_limit(settings.tokens_per_minute, now);
    restricts_.store(restricts(now), std::memory_order_relaxed);
    serve(now);
}

void RateLimiter::tighten(const RateLimitSettings& settings) {
    const std::lock_guard lock(mutex_);
    RateLimitSettings both;
    both.max_in_flight = stricter(settings_.max_in_flight, settings.max_in_flight);
    both.requests_per_minute =
        stricter(settings_.requests_per_minute, settings.requests_per_minute);
    both.tokens_per_minute = stricter(settings_.tokens_per_minute, settings.tokens_per_minute);
    set_limits(both, now());
}

void RateLimiter::replace(const RateLimitSettings& settings) {
    const std::lock_guard lock(mutex_);
    set_limits(settings, now());
}

bool RateLimiter::forgettable() const {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = this->now();
    return in_flight_ == 0 && waiters_.empty() && now >= pause_until_ && requests_.untouched(now) &&
           tokens_.untouched(now);
}

void RateLimiter::context_shutdown() noexcept {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    restricts_.store(true, std::memory_order_relaxed);
    waiters_.clear();
}

std::shared_ptr<RateLimiter> RateLimiterGroups::find_or_make(
    const std::string& group,
    const RateLimitSettings& settings,
    bool& made
) {
    const std::lock_guard lock(mutex_);
    const auto known = groups_.find(group);
    made = known == groups_.end();
    if (made) {
        tidy();
        return groups_.emplace(group, std::make_shared<RateLimiter>(settings)).first->second;
    }
    // Only here is a limiter handed out anew: if nobody else has it now, nobody will get it.
    if (known->second.use_count() == 1) {
        known->second->replace(settings);
    } else {
        known->second->tighten(settings);
    }
    return known->second;
}

void RateLimiterGroups::tidy() {
    if (groups_.size() >= tidy_at_) {
        std::erase_if(groups_, [](const auto& entry) {
            return entry.second.use_count() == 1 && entry.second->forgettable();
        });
        tidy_at_ = std::max<std::size_t>(64, groups_.size() * 2);
    }
}

std::size_t RateLimiterGroups::size() const {
    const std::lock_guard lock(mutex_);
    return groups_.size();
}

}  // namespace llmproc::net
