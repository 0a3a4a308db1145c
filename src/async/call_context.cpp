#include "async/call_context.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace llmproc::async {

namespace asio = boost::asio;

Clock::time_point after(std::chrono::milliseconds delay) noexcept {
    const Clock::time_point now = Clock::now();
    const auto room = std::chrono::duration_cast<std::chrono::milliseconds>(
        Clock::time_point::max() - now
    );
    if (delay >= room) {
        return Clock::time_point::max();
    }
    return delay.count() <= 0 ? now : now + delay;
}

namespace {

Clock::time_point expiry_of(const std::optional<std::chrono::milliseconds>& limit) noexcept {
    return limit ? after(*limit) : Clock::time_point::max();
}

}  // namespace

CallContext::CallContext(asio::any_io_executor executor, const Timeouts& limits)
    : executor_(std::move(executor)),
      timer_(std::in_place, executor_),
      limits_(limits),
      total_expiry_(expiry_of(limits_.limit(Stage::total))) {}

CallContext::CallContext(asio::any_io_executor executor, std::chrono::milliseconds total)
    : CallContext(std::move(executor), Timeouts().total(total)) {}

CallContext::~CallContext() = default;

Clock::time_point CallContext::next_expiry() const noexcept {
    return std::min({stage_expiry_, attempt_expiry_, total_expiry_});
}

void CallContext::begin_attempt() {
    throw_if_interrupted();
    attempt_expiry_ = expiry_of(limits_.attempt());
}

void CallContext::enter(Stage stage) {
    throw_if_interrupted();
    stage_ = stage;
    stage_expiry_ = expiry_of(limits_.limit(stage));
    const Clock::time_point expiry = next_expiry();
    // A timer that fires too early looks again, so it need not be moved back.
    if (expiry < armed_) {
        // Time that is over already must not start anything.
        expire(Clock::now());
        throw_if_interrupted();
        arm(expiry);
    }
}

void CallContext::arm(Clock::time_point expiry) {
    armed_ = expiry;
    if (!timer_) {
        return;
    }
    timer_->expires_at(expiry);
    timer_->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        if (error) {
            return;
        }
        if (const std::shared_ptr<CallContext> self = weak.lock()) {
            self->on_timer();
        }
    });
}

void CallContext::expire(Clock::time_point now) {
    if (finished_ || interrupted() || now < next_expiry()) {
        return;
    }
    timed_out_stage_ = stage_ == Stage::none ? Stage::total : stage_;
    if (now >= total_expiry_) {
        timed_out_limit_ = *limits_.limit(Stage::total);
        interrupt(Cause::timeout);
        return;
    }
    timed_out_limit_ = now >= stage_expiry_ ? *limits_.limit(stage_) : *limits_.attempt();
    interrupt(Cause::attempt_timeout);
}

void CallContext::on_timer() {
    expire(Clock::now());
    if (!finished_ && !interrupted()) {
        arm(next_expiry());
    }
}

void CallContext::interrupt(Cause cause) noexcept {
    if (finished_ || interrupted()) {
        return;
    }
    cause_ = cause;
    trace_.interrupted(cause_code());
    // The coroutine that is resumed by this may drop the last other reference to the call.
    const std::shared_ptr<CallContext> self = shared_from_this();
    signal_.emit(asio::cancellation_type::terminal);
}

void CallContext::cancel(CancelReason reason) noexcept {
    if (finished_) {
        return;
    }
    if (cause_ == Cause::attempt_timeout) {
        // The coroutine unwinds already; now it must not go on afterwards.
        reason_ = reason;
        cause_ = Cause::cancelled;
        trace_.interrupted(cause_code());
    } else if (!interrupted()) {
        reason_ = reason;
        interrupt(Cause::cancelled);
    }
}

bool CallContext::recover() noexcept {
    if (cause_ == Cause::attempt_timeout) {
        cause_ = Cause::none;
        trace_.interrupted(std::nullopt);
        armed_ = Clock::time_point::max();
    }
    stage_ = Stage::none;
    stage_expiry_ = Clock::time_point::max();
    attempt_expiry_ = Clock::time_point::max();
    return !interrupted();
}

void CallContext::post_from_anywhere(
    void (*what)(CallContext&, CancelReason),
    CancelReason reason
) noexcept {
    const std::lock_guard lock(gate_);
    if (!executor_) {
        return;
    }
    try {
        asio::post(executor_, [weak = weak_from_this(), what, reason] {
            if (const std::shared_ptr<CallContext> self = weak.lock()) {
                what(*self, reason);
            }
        });
    } catch (const std::bad_alloc&) {
        // Without memory for the request, the call's deadline still ends it.
        return;
    }
}

void CallContext::cancel_from_anywhere(CancelReason reason) noexcept {
    post_from_anywhere([](CallContext& self, CancelReason why) { self.cancel(why); }, reason);
}

std::shared_ptr<const std::atomic<bool>> CallContext::sign_of_life_from_anywhere() {
    auto flag = std::make_shared<std::atomic<bool>>(false);
    const std::lock_guard lock(gate_);
    if (executor_) {
        asio::post(executor_, [flag] { flag->store(true, std::memory_order_release); });
    }
    return flag;
}

void CallContext::cancelled_by(asio::cancellation_slot slot) {
    if (!slot.is_connected()) {
        return;
    }
    slot.assign([weak = weak_from_this()](asio::cancellation_type type) {
        const std::shared_ptr<CallContext> self = weak.lock();
        const asio::cancellation_type hit = type & asio::cancellation_type::terminal;
        if (self && hit != asio::cancellation_type::none) {
            self->cancel_from_anywhere(CancelReason::user);
        }
    });
}

void CallContext::notify_from_anywhere() noexcept {
    post_from_anywhere([](CallContext& self, CancelReason) { self.notify(); }, CancelReason::user);
}

void CallContext::notify() noexcept {
    notified_ = true;
    if (wakeup_) {
        wakeup_->cancel();
    }
}

asio::awaitable<void> CallContext::wait_notified(Stage stage) {
    enter(stage);
    if (!wakeup_) {
        wakeup_.emplace(executor_);
    }
    while (!notified_) {
        wakeup_->expires_at(Clock::time_point::max());
        co_await wakeup_->async_wait(asio::as_tuple(asio::use_awaitable));
        throw_if_interrupted();
    }
    notified_ = false;
}

asio::awaitable<void> CallContext::sleep(Stage stage, Clock::duration time) {
    enter(stage);
    if (!wakeup_) {
        wakeup_.emplace(executor_);
    }
    const Clock::time_point end = Clock::now() + time;
    while (Clock::now() < end) {
        wakeup_->expires_at(end);
        co_await wakeup_->async_wait(asio::as_tuple(asio::use_awaitable));
        throw_if_interrupted();
    }
}

void CallContext::finish() noexcept {
    finished_ = true;
    if (!interrupted()) {
        // Steps that are still going on die with the loop.
        trace_.interrupted(Errc::loop_closed);
    }
    timer_.reset();
    wakeup_.reset();
    // What co_spawn has left in the slot holds the executor.
    signal_.slot().clear();
    const std::lock_guard lock(gate_);
    executor_ = asio::any_io_executor();
}

Errc CallContext::cause_code() const noexcept {
    if (cause_ != Cause::cancelled) {
        return Errc::timeout;
    }
    if (reason_ == CancelReason::closed) {
        return Errc::process_closed;
    }
    return reason_ == CancelReason::signal ? Errc::interrupted : Errc::cancelled;
}

std::exception_ptr CallContext::cause_error() const {
    if (cause_ == Cause::timeout || cause_ == Cause::attempt_timeout) {
        return std::make_exception_ptr(Timeout(timed_out_stage_, timed_out_limit_));
    }
    if (reason_ == CancelReason::closed) {
        return std::make_exception_ptr(ProcessClosed());
    }
    return std::make_exception_ptr(Cancelled(reason_));
}

std::exception_ptr CallContext::translate(std::exception_ptr error) const {
    if (interrupted() && error) {
        return cause_error();
    }
    return error;
}

void CallContext::throw_if_interrupted() const {
    if (interrupted()) {
        std::rethrow_exception(cause_error());
    }
}

}  // namespace llmproc::async
