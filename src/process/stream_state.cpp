#include "process/stream_state.hpp"

#include "async/loop_watch.hpp"
#include "process/blocking_wait.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

/// How much may wait for the consumer before the connection is left alone.
constexpr std::size_t high_water_events = 1024;
constexpr std::size_t high_water_bytes = 256UL * 1024;

std::size_t bytes_of(const StreamEvents& events) {
    std::size_t sum = 0;
    for (const StreamEvent& event : events) {
        sum += event.data.size();
    }
    return sum;
}

}  // namespace

StreamState::StreamState(
    std::shared_ptr<async::CallContext> call,
    std::thread::id opener,
    async::Clock::time_point bound
)
    : call_(std::move(call)),
      producer_(async::context_of(call_->executor())),
      opener_(opener),
      bound_(bound) {}

StreamState::~StreamState() = default;

void StreamState::wake_consumer(std::unique_lock<std::mutex> lock) noexcept {
    std::shared_ptr<async::Waiter> waiter;
    if (waiter_ && ready(waits_for_)) {
        waiter.swap(waiter_);
    }
    lock.unlock();
    changed_.notify_all();
    if (waiter) {
        waiter->resume(nullptr);
    }
}

void StreamState::opened() {
    std::unique_lock lock(mutex_);
    opened_ = true;
    wake_consumer(std::move(lock));
}

asio::awaitable<void> StreamState::deliver(StreamEvents& batch) {
    std::unique_lock lock(mutex_);
    arrived_bytes_ += bytes_of(batch);
    if (arrived_.empty()) {
        arrived_.swap(batch);
    } else {
        for (StreamEvent& event : batch) {
            arrived_.push_back(std::move(event));
        }
    }
    batch.clear();
    bool behind = arrived_.size() >= high_water_events || arrived_bytes_ >= high_water_bytes;
    producer_waits_ = behind;
    wake_consumer(std::move(lock));
    if (!behind) {
        co_return;
    }
    async::StepTimer waiting(call_->trace(), CallStep::wait, Stage::consumer);
    while (behind) {
        co_await call_->wait_notified(Stage::consumer);
        const std::lock_guard relock(mutex_);
        behind = !arrived_.empty();
        producer_waits_ = behind;
    }
    waiting.done();
}

asio::awaitable<void> StreamState::drained() {
    std::unique_lock lock(mutex_);
    delivered_all_ = true;
    bool waiting = true;
    producer_waits_ = true;
    wake_consumer(std::move(lock));
    while (waiting) {
        co_await call_->wait_notified(Stage::consumer);
        const std::lock_guard relock(mutex_);
        waiting = !drained_;
    }
}

void StreamState::finish(std::exception_ptr error, std::optional<RunResult> result) noexcept {
    if (inherited(generation_)) {
        return;
    }
    std::unique_lock lock(mutex_);
    if (finished_) {
        return;
    }
    finished_ = true;
    error_ = std::move(error);
    result_ = std::move(result);
    const std::function<void()> tell = std::move(tell_);
    wake_consumer(std::move(lock));
    if (tell) {
        tell();
    }
}

void StreamState::when_finished(std::function<void()> tell) {
    const std::lock_guard lock(mutex_);
    tell_ = std::move(tell);
}

bool StreamState::ready(Wait what) {
    if (finished_ || (what == Wait::open && opened_)) {
        return true;
    }
    if (what == Wait::open) {
        return false;
    }
    if (arrived_.empty() && delivered_all_ && !drained_) {
        drained_ = true;
        call_->notify_from_anywhere();
    }
    return !arrived_.empty();
}

void StreamState::blocks_on(std::weak_ptr<LoopCore> loop, bool allowed) noexcept {
    loop_ = std::move(loop);
    may_block_loops_ = allowed;
}

void StreamState::check_may_block() const {
    check_own();
    if (const std::shared_ptr<LoopCore> loop = loop_.lock()) {
        loop->check_may_block(may_block_loops_);
    }
}

void StreamState::wait(Wait what) {
    check_own();
    std::optional<BlockingWait> blocking;
    if (const std::shared_ptr<LoopCore> loop = loop_.lock()) {
        blocking.emplace(*loop, call_);
    }
    std::unique_lock lock(mutex_);
    const auto done = [this, what] { return ready(what); };
    const auto wait = [this, &lock, &done](async::Clock::time_point limit) {
        return changed_.wait_until(lock, limit, done);
    };
    const bool endless = bound_ == async::Clock::time_point::max();
    const bool over = endless ? async::wait_while_loop_lives(*call_, wait) : wait(bound_);
    if (!over) {
        throw Timeout(Stage::total, async::stuck_loop_limit);
    }
}

bool StreamState::ready_now(Wait what) {
    check_own();
    const std::lock_guard lock(mutex_);
    return ready(what);
}

void StreamState::enlist(std::shared_ptr<async::Waiter> waiter, Wait what) {
    call_->cancelled_by(waiter->slot());
    const std::lock_guard lock(mutex_);
    if (ready(what)) {
        waiter->resume_later();
        return;
    }
    waiter_ = std::move(waiter);
    waits_for_ = what;
}

asio::awaitable<void> StreamState::async_wait(Wait what) {
    auto initiate = [this, what](auto handler) {
        const asio::any_io_executor own = asio::get_associated_executor(handler);
        async::Waiter::Handler waiting(std::move(handler));
        enlist(std::make_shared<async::Waiter>(std::move(waiting), own, producer_), what);
    };
    return asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
        std::move(initiate),
        asio::use_awaitable
    );
}

void StreamState::wait_opened() {
    wait(Wait::open);
    const std::lock_guard lock(mutex_);
    if (finished_ && error_ && !opened_) {
        std::rethrow_exception(annotated(error_, note));
    }
}

asio::awaitable<void> StreamState::async_wait_opened() {
    co_await async_wait(Wait::open);
    const std::lock_guard lock(mutex_);
    if (finished_ && error_ && !opened_) {
        std::rethrow_exception(annotated(error_, note));
    }
}

std::optional<StreamEvent> StreamState::take() {
    check_own();
    if (next_ < batch_.size()) {
        return std::move(batch_[next_++]);
    }
    batch_.clear();
    next_ = 0;
    const std::lock_guard lock(mutex_);
    if (!arrived_.empty()) {
        batch_.swap(arrived_);
        arrived_bytes_ = 0;
        if (producer_waits_) {
            call_->notify_from_anywhere();
        }
        return std::move(batch_[next_++]);
    }
    if (finished_ && error_) {
        std::rethrow_exception(annotated(error_, note));
    }
    return std::nullopt;
}

std::optional<StreamEvent> StreamState::next() {
    if (next_ == batch_.size()) {
        wait(Wait::events);
    }
    return take();
}

asio::awaitable<std::optional<StreamEvent>> StreamState::async_next(
    std::shared_ptr<StreamState> state
) {
    if (state->next_ == state->batch_.size() && !state->ready_now(Wait::events)) {
        co_await state->async_wait(Wait::events);
    }
    co_return state->take();
}

RunResult StreamState::result() const {
    check_own();
    const std::lock_guard lock(mutex_);
    return result_.value_or(RunResult());
}

bool StreamState::open() const {
    const std::lock_guard lock(mutex_);
    return !finished_ && !abandoned_;
}

void StreamState::let_go(std::shared_ptr<StreamState> state) noexcept {
    if (!state) {
        return;
    }
    if (inherited(state->generation_)) {
        KeptForParent::keep(std::move(state));
        return;
    }
    state->abandon();
}

void StreamState::abandon() noexcept {
    {
        const std::lock_guard lock(mutex_);
        abandoned_ = true;
        if (finished_) {
            return;
        }
    }
    call_->cancel_from_anywhere(CancelReason::abandoned);
}

}  // namespace llmproc
