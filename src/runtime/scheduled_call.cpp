#include "runtime/scheduled_call.hpp"

#include <llmproc/error.hpp>
#include "async/handler_watch.hpp"
#include "runtime/loop_state.hpp"
#include "runtime/tick.hpp"

#include <utility>

namespace llmproc {

namespace asio = boost::asio;
using std::chrono::milliseconds;

ScheduledCall::State::State(
    std::weak_ptr<LoopCore::State> loop,
    Callback callback,
    std::string name
)
    : loop_(std::move(loop)),
      name_(std::move(name)),
      callback_(std::move(callback)) {}

void ScheduledCall::State::wait_for(
    const asio::any_io_executor& executor,
    Clock::time_point due,
    milliseconds period
) {
    const std::lock_guard lock(mutex_);
    period_ = period;
    start_ = due - period;
    due_ = due;
    timer_.emplace(executor);
    arm();
}

void ScheduledCall::State::arm() {
    timer_->expires_at(due_);
    timer_->async_wait([self = shared_from_this()](const boost::system::error_code&) {
        self->fired();
    });
}

void ScheduledCall::State::fired() {
    Clock::time_point due;
    {
        const std::lock_guard lock(mutex_);
        due = due_;
    }
    run(due);
    {
        const std::lock_guard lock(mutex_);
        if (!stopped_) {
            due_ = next_tick(start_, period_, Clock::now());
            arm();
            return;
        }
        timer_.reset();
    }
    leave_loop();
}

void ScheduledCall::State::run(Clock::time_point due) {
    {
        const std::lock_guard lock(mutex_);
        if (stopped_) {
            return;
        }
        running_ = true;
        stopped_ = period_ == milliseconds::zero();
    }
    call(due);
    Callback ended;
    const std::lock_guard lock(mutex_);
    running_ = false;
    if (stopped_) {
        ended.swap(callback_);
    }
}

void ScheduledCall::State::call(Clock::time_point due) noexcept {
    const std::shared_ptr<LoopCore::State> loop = loop_.lock();
    if (!loop) {
        return;
    }
    // An attached loop is not run by us: nobody else times this.
    std::shared_ptr<const LoopDebug> limits;
    if (loop->kind == LoopKind::attached) {
        limits = loop->debug_settings();
    }
    const Clock::time_point begun = limits ? Clock::now() : Clock::time_point();
    try {
        async::note_handler(name_);
        callback_(due);
    } catch (...) {
        loop->report(std::current_exception(), name_.empty() ? "callback" : name_);
    }
    if (limits) {
        loop->note_duration(*limits, name_, Clock::now() - begun);
    }
}

void ScheduledCall::State::stop() noexcept {
    Callback ended;
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    timer_.reset();
    if (!running_) {
        ended.swap(callback_);
    }
}

void ScheduledCall::State::withdraw() noexcept {
    stop();
    leave_loop();
}

void ScheduledCall::State::loop_ended(std::exception_ptr /*error*/) noexcept {
    stop();
}

bool ScheduledCall::State::pending() const noexcept {
    const std::lock_guard lock(mutex_);
    return !stopped_;
}

ScheduledCall::ScheduledCall(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

void ScheduledCall::cancel() noexcept {
    if (state_) {
        state_->withdraw();
    }
}

bool ScheduledCall::pending() const noexcept {
    return state_ && state_->pending();
}

namespace {

ScheduledCall::State::Callback plain(std::function<void()> callback) {
    if (!callback) {
        throw LLMError(Errc::invalid_argument, "an event loop was given an empty callback");
    }
    return
        [callback = std::move(callback)](ScheduledCall::State::Clock::time_point) { callback(); };
}

ScheduledCall start_timer(
    LoopCore& loop,
    ScheduledCall::State::Clock::time_point due,
    milliseconds period,
    ScheduledCall::State::Callback callback,
    std::string name
) {
    const std::shared_ptr<LoopCore::State>& home = loop.state();
    auto call = std::make_shared<ScheduledCall::State>(home, std::move(callback), std::move(name));
    loop.link(call, [&] { call->wait_for(home->callbacks(), due, period); });
    return ScheduledCall(std::move(call));
}

}  // namespace

ScheduledCall start_every(
    LoopCore& loop,
    milliseconds period,
    ScheduledCall::State::Callback callback,
    std::string name
) {
    if (period <= milliseconds::zero()) {
        throw LLMError(
            Errc::invalid_argument,
            "EventLoop::every: the period is " + std::to_string(period.count()) +
                " ms; it must be positive"
        );
    }
    const auto due = saturating_add(std::chrono::steady_clock::now(), period);
    return start_timer(loop, due, period, std::move(callback), std::move(name));
}

ScheduledCall start_lag_probe(LoopCore& loop, milliseconds interval) {
    ScheduledCall::State::Callback measure =
        [home = std::weak_ptr(loop.state())](ScheduledCall::State::Clock::time_point due) {
            if (const std::shared_ptr<LoopCore::State> live = home.lock()) {
                live->note_lag(ScheduledCall::State::Clock::now() - due);
            }
        };
    return start_every(loop, interval, std::move(measure), "lag probe");
}

ScheduledCall EventLoop::call_soon(std::function<void()> callback, std::string name) const {
    const std::shared_ptr<LoopCore>& loop = core();
    auto call = std::make_shared<ScheduledCall::State>(
        loop->state(),
        plain(std::move(callback)),
        std::move(name)
    );
    loop->state()->call_soon(call);
    return ScheduledCall(std::move(call));
}

ScheduledCall EventLoop::call_later(
    milliseconds delay,
    std::function<void()> callback,
    std::string name
) const {
    const auto due = saturating_add(std::chrono::steady_clock::now(), delay);
    return start_timer(
        *core(),
        due,
        milliseconds::zero(),
        plain(std::move(callback)),
        std::move(name)
    );
}

}  // namespace llmproc
