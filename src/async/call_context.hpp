/// @file
/// What one call is doing, until when, and what may end it early.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/timeouts.hpp>
#include "async/call_trace.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>

namespace llmproc::async {

using Clock = std::chrono::steady_clock;

/// The limits and the one cancellation signal of a call.
///
/// All sources that may end a call early (its time limits, the caller's cancellation slot or stop
/// token, `close`) meet here: the first one is remembered as the cause and emits `terminal` into
/// whatever the call's coroutine awaits. The coroutine just unwinds; `translate` then turns what
/// it threw into the typed cause. One timer serves all limits; it is armed again only when a new
/// limit lies before the armed one.
///
/// A limit of a stage or of an attempt ends that attempt only: `recover` makes the call usable
/// again. Everything else ends the call.
///
/// Thread safety: used on its executor only, but for the members that end in `_from_anywhere`.
class CallContext : public std::enable_shared_from_this<CallContext> {
public:
    /// Limits beyond the clock's range, and those that are not set, mean none.
    CallContext(boost::asio::any_io_executor executor, const Timeouts& limits);
    /// With a total limit only.
    CallContext(boost::asio::any_io_executor executor, std::chrono::milliseconds total);
    CallContext(const CallContext&) = delete;
    CallContext& operator=(const CallContext&) = delete;
    ~CallContext();

    const boost::asio::any_io_executor& executor() const noexcept { return executor_; }
    Stage stage() const noexcept { return stage_; }
    CallTrace& trace() noexcept { return trace_; }

    /// The next step of the call begins, bounded by the limit of its stage.
    /// Every wait of a call happens inside a stage. Throws the cause if the call was ended.
    void enter(Stage stage);
    /// The attempt's limit begins to run, or ends.
    void begin_attempt();
    void end_attempt() noexcept { attempt_expiry_ = Clock::time_point::max(); }
    /// After an exception: true if only the attempt was ended, by a limit of its own, or nothing
    /// was; the call may then go on. A coroutine must reset its cancellation state afterwards.
    bool recover() noexcept;

    /// Waits for `time` in `stage`.
    boost::asio::awaitable<void> sleep(Stage stage, Clock::duration time);

    /// Waits in `stage` until `notify` is called; returns at once if it was called since the last
    /// wait. One waiter at a time.
    boost::asio::awaitable<void> wait_notified(Stage stage);
    /// Wakes the waiter.
    void notify() noexcept;
    /// The same from any thread.
    void notify_from_anywhere() noexcept;

    /// Ends the call: what it awaits is cancelled. Only the first cause counts.
    void cancel(CancelReason reason) noexcept;
    /// The same from any thread.
    void cancel_from_anywhere(CancelReason reason) noexcept;

    /// A flag that becomes true once the call's executor has run a handler posted now.
    std::shared_ptr<const std::atomic<bool>> sign_of_life_from_anywhere();

    /// Lets a terminal cancellation that comes through `slot` end the call with CancelReason::user.
    /// The slot may outlive the call.
    void cancelled_by(boost::asio::cancellation_slot slot);

    /// Whether something has ended the call early.
    bool interrupted() const noexcept { return cause_ != Cause::none; }
    /// The cause as a typed error, or `error` itself when nothing interrupted the call.
    std::exception_ptr translate(std::exception_ptr error) const;
    /// Throws the cause if there is one.
    void throw_if_interrupted() const;

    /// Bound to the call's coroutine when it is spawned.
    boost::asio::cancellation_slot slot() noexcept { return signal_.slot(); }
    /// The call is over, or its `io_context` is going away: nothing can end it any more, and
    /// nothing of it belongs to the context any more.
    void finish() noexcept;

private:
    enum class Cause { none, cancelled, timeout, attempt_timeout };

    Clock::time_point next_expiry() const noexcept;
    void arm(Clock::time_point expiry);
    void on_timer();
    void expire(Clock::time_point now);
    void interrupt(Cause cause) noexcept;
    Errc cause_code() const noexcept;
    std::exception_ptr cause_error() const;

    void post_from_anywhere(void (*what)(CallContext&, CancelReason), CancelReason reason) noexcept;

    std::mutex gate_;  ///< Between `..._from_anywhere` and `finish`.
    boost::asio::any_io_executor executor_;
    std::optional<boost::asio::steady_timer> timer_;
    std::optional<boost::asio::steady_timer> wakeup_;  ///< Made by the first wait.
    boost::asio::cancellation_signal signal_;
    const Timeouts limits_;
    Clock::time_point total_expiry_;
    Clock::time_point attempt_expiry_ = Clock::time_point::max();
    Clock::time_point stage_expiry_ = Clock::time_point::max();
    Clock::time_point armed_ = Clock::time_point::max();
    Stage stage_ = Stage::none;
    Stage timed_out_stage_ = Stage::none;
    std::chrono::milliseconds timed_out_limit_{0};
    CancelReason reason_ = CancelReason::user;
    Cause cause_ = Cause::none;
    bool finished_ = false;
    bool notified_ = false;
    CallTrace trace_;
};

/// The moment `delay` from now, or the end of time if that is beyond the clock's range.
Clock::time_point after(std::chrono::milliseconds delay) noexcept;

}  // namespace llmproc::async
