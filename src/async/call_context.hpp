/// @file
/// What one call is doing, until when, and what may end it early.
#pragma once

#include <llmproc/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>

namespace llmproc::async {

using Clock = std::chrono::steady_clock;

/// The one deadline and the one cancellation signal of a call.
///
/// All sources that may end a call early (its time limits, the caller's cancellation slot or stop
/// token, `close`) meet here: the first one is remembered as the cause and emits `terminal` into
/// whatever the call's coroutine awaits. The coroutine just unwinds; `translate` then turns what
/// it threw into the typed cause. One timer serves all limits; it is armed again only when a new
/// limit lies before the armed one.
///
/// Thread safety: used on its executor only, but for the members that end in `_from_anywhere`.
class CallContext : public std::enable_shared_from_this<CallContext> {
public:
    /// `total` bounds the whole call; a limit beyond the clock's range means none.
    CallContext(boost::asio::any_io_executor executor, std::chrono::milliseconds total);
    CallContext(const CallContext&) = delete;
    CallContext& operator=(const CallContext&) = delete;
    ~CallContext();

    const boost::asio::any_io_executor& executor() const noexcept { return executor_; }
    Stage stage() const noexcept { return stage_; }

    /// The next step of the call begins; `limit` bounds it beside the total limit.
    /// Every wait of a call happens inside a stage. Throws the cause if the call was ended.
    void enter(Stage stage, std::optional<std::chrono::milliseconds> limit = std::nullopt);

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
    enum class Cause { none, cancelled, timeout };

    void arm(Clock::time_point expiry);
    void on_timer();
    void expire(Clock::time_point now);
    void interrupt(Cause cause) noexcept;
    std::exception_ptr cause_error() const;

    void post_from_anywhere(void (*what)(CallContext&, CancelReason), CancelReason reason) noexcept;

    std::mutex gate_;  ///< Between `..._from_anywhere` and `finish`.
    boost::asio::any_io_executor executor_;
    std::optional<boost::asio::steady_timer> timer_;
    std::optional<boost::asio::steady_timer> wakeup_;  ///< Made by the first wait.
    boost::asio::cancellation_signal signal_;
    Clock::time_point total_expiry_;
    Clock::time_point stage_expiry_ = Clock::time_point::max();
    Clock::time_point armed_ = Clock::time_point::max();
    std::chrono::milliseconds total_limit_;
    std::chrono::milliseconds stage_limit_{0};
    Stage stage_ = Stage::none;
    Stage timed_out_stage_ = Stage::none;
    std::chrono::milliseconds timed_out_limit_{0};
    CancelReason reason_ = CancelReason::user;
    Cause cause_ = Cause::none;
    bool finished_ = false;
    bool notified_ = false;
};

/// The moment `delay` from now, or the end of time if that is beyond the clock's range.
Clock::time_point after(std::chrono::milliseconds delay) noexcept;

}  // namespace llmproc::async
