/// @file
/// A program that is a coroutine, and signals.
#pragma once

#include <llmproc/event_loop.hpp>
#include <llmproc/export.hpp>
#include <llmproc/task.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <memory>
#include <type_traits>
#include <utility>

namespace llmproc {

/// Options of `run_main`.
class MainOptions {
public:
    MainOptions() = default;
    /// Whether SIGINT and SIGTERM end the coroutine in order; default yes.
    MainOptions& handle_signals(bool handle) {
        handle_signals_ = handle;
        return *this;
    }
    /// How long the teardown may take; default 10 s.
    MainOptions& shutdown_timeout(std::chrono::milliseconds limit) {
        shutdown_timeout_ = limit;
        return *this;
    }
    bool handle_signals() const noexcept { return handle_signals_; }
    std::chrono::milliseconds shutdown_timeout() const noexcept { return shutdown_timeout_; }

private:
    bool handle_signals_ = true;
    std::chrono::milliseconds shutdown_timeout_{10'000};
};

namespace detail {

/// Runs `body` on a loop of its own on the calling thread, then ends what is left. 0, or 128 + the
/// number of the signal that ended it. Throws what `body` throws.
LLMPROC_API int run_program(boost::asio::awaitable<void> body, const MainOptions& options);

}  // namespace detail

/// Runs a whole program: a loop on the calling thread (`this_loop()`), the coroutine, and the end of
/// everything it left running. May be called any number of times.
///
/// The first SIGINT or SIGTERM cancels the coroutine (CancelReason::signal); when it has ended, tasks
/// that are left are cancelled (CancelReason::shutdown) and joined, all within `shutdown_timeout`;
/// the result is 128 + the signal's number unless the coroutine returned a value of its own. The
/// second signal ends the program at once. Former dispositions come back at the end. While another
/// run_main or InterruptScope has the signals, this one leaves them alone.
/// Returns the coroutine's value, 0 for void. Throws what it throws; LLMError{loop_running} on a
/// loop's thread.
inline int run_main(boost::asio::awaitable<void> body, const MainOptions& options = MainOptions()) {
    return detail::run_program(std::move(body), options);
}
inline int run_main(boost::asio::awaitable<int> body, const MainOptions& options = MainOptions()) {
    auto slot = std::make_shared<detail::TaskValue<int>>();
    const int ended = detail::run_program(detail::store<int>(std::move(body), slot), options);
    return slot->value.value_or(ended);
}

/// While it lives, SIGINT interrupts the blocking calls of the thread that made it: the call is
/// cancelled, cleaned up and throws Cancelled with CancelReason::signal (Errc::interrupted). The
/// next SIGINT ends the program, unless `reset` was called. Calls after the signal throw at once.
/// Former dispositions come back with its end. Where another owner has the signals it has no
/// effect: `active()` is false.
/// Thread safety: used and destroyed on the thread that made it.
class LLMPROC_API InterruptScope {
public:
    InterruptScope();
    InterruptScope(const InterruptScope&) = delete;
    InterruptScope& operator=(const InterruptScope&) = delete;
    ~InterruptScope();

    bool active() const noexcept;
    /// Whether the signal came.
    bool interrupted() const noexcept;
    /// Forgets the signal: further calls work, the next signal interrupts again.
    void reset();

    class State;

private:
    std::unique_ptr<State> state_;
};

}  // namespace llmproc
