/// @file
/// A persistent event loop: an io_context that lives as long as somebody needs it.
#pragma once

#include <llmproc/asio_fwd.hpp>
#include <llmproc/error.hpp>
#include <llmproc/export.hpp>
#include <llmproc/run_options.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

namespace llmproc {

class LoopCore;
template <typename T>
class Task;

namespace detail {

template <typename T>
concept FutureLike = requires(T& future) {
    future.valid();
    future.get();
};

}  // namespace detail

/// Counters of a loop.
struct EventLoopStats {
    std::uint64_t calls = 0;               ///< Blocking calls served.
    std::uint64_t pending_calls = 0;       ///< Blocking calls in progress, streams let go included.
    std::uint64_t tasks = 0;               ///< Tasks begun, those of `run_sync` included.
    std::uint64_t pending_tasks = 0;       ///< Tasks in progress.
    std::uint64_t handler_exceptions = 0;  ///< Exceptions that escaped a handler and were caught.
    std::uint64_t slow_callbacks = 0;      ///< See `EventLoop::debug`.
    std::chrono::microseconds lag{0};      ///< How late the last lag probe ran; see `debug`.
    std::chrono::microseconds max_lag{0};  ///< The latest of all lag probes.
};

/// What a shutdown did.
struct ShutdownReport {
    bool drained = false;               ///< All work ended within the budget.
    std::uint64_t cancelled_calls = 0;  ///< Blocking calls that were ended by it.
    std::uint64_t cancelled_tasks = 0;  ///< Tasks that were cancelled by it.
    std::uint64_t abandoned = 0;        ///< Calls and tasks that had not ended within the budget.
    std::chrono::milliseconds elapsed{0};
};

/// A callback that kept the loop's thread from everything else.
struct SlowCallback {
    std::string name;  ///< Of its task or callback; "handler" if it has none.
    std::chrono::milliseconds took{0};
};

/// What `EventLoop::debug` watches.
class LoopDebug {
public:
    LoopDebug() = default;
    /// Callbacks that take at least `limit` are counted, and reported once each.
    LoopDebug& slow_callback(std::chrono::milliseconds limit) {
        slow_ = limit;
        return *this;
    }
    /// Is told instead of the log (level warning). Called on the loop; must not throw.
    LoopDebug& on_slow(std::function<void(const SlowCallback&)> report) {
        on_slow_ = std::move(report);
        return *this;
    }
    /// How often the loop's lag is measured.
    LoopDebug& lag_interval(std::chrono::milliseconds interval) {
        lag_interval_ = interval;
        return *this;
    }
    std::chrono::milliseconds slow_callback() const noexcept { return slow_; }
    const std::function<void(const SlowCallback&)>& on_slow() const noexcept { return on_slow_; }
    std::chrono::milliseconds lag_interval() const noexcept { return lag_interval_; }

private:
    std::chrono::milliseconds slow_{100};
    std::chrono::milliseconds lag_interval_{1000};
    std::function<void(const SlowCallback&)> on_slow_;
};

/// A callback that waits for its turn. A handle: dropping it changes nothing.
/// Thread safety: all members from any thread.
class LLMPROC_API ScheduledCall {
public:
    class State;
    ScheduledCall() noexcept = default;
    explicit ScheduledCall(std::shared_ptr<State> state) noexcept;
    /// It does not run any more, once a run in progress has ended. Idempotent.
    void cancel() noexcept;
    /// Whether it may still run.
    bool pending() const noexcept;

private:
    std::shared_ptr<State> state_;
};

/// Is told of errors that nobody looks at: of tasks whose handles are gone, of callbacks, of
/// handlers. `name` is the task's or callback's. What it throws is logged.
using ExceptionHandler = std::function<void(std::exception_ptr error, std::string_view name)>;

/// A handle to a loop. Three kinds:
/// - `EventLoop()`: one named thread runs it until `shutdown`, or until the last handle and the
///   last process on it are gone;
/// - `EventLoop::on_caller()`: no thread; `run_until_complete` runs it on the calling one;
/// - `EventLoop::attach(io)`: the caller's io_context, run by whatever threads the caller likes.
///
/// An exception that escapes a handler is caught, counted and reported; the loop goes on. A thread
/// that meets nothing but failures dies: pending calls and tasks end with Errc::loop_died.
/// Use after `shutdown`, or after the attached io_context's death, throws Errc::loop_closed; in a
/// child after fork() Errc::forked_process; of a moved-from handle Errc::invalid_handle.
/// Thread safety: all members from any thread. Copies are handles to the same loop.
class LLMPROC_API EventLoop {
public:
    /// Starts a loop and its thread, which names itself `llm-loop-<n>` and blocks all signals.
    /// Throws LLMError{limit_reached} when the system refuses a thread or descriptor.
    EventLoop();
    /// The same with a thread name of at most 15 bytes.
    explicit EventLoop(const std::string& name);
    /// A loop without a thread.
    static EventLoop on_caller();
    /// The loop of `io`: always the same for one io_context. Tasks on it run each on a strand of
    /// its own, so several threads may run it. It never runs `io` and never keeps it running.
    /// Lifetime: `io` may die first.
    static EventLoop attach(boost::asio::io_context& io);
    /// The loop of `run_sync`: started by the first use, once, whatever threads race for it; ends
    /// when the program exits.
    static EventLoop global();
    /// For the library itself.
    explicit EventLoop(std::shared_ptr<LoopCore> core) noexcept;

    /// For coroutines and I/O objects of your own; valid while the loop lives, see `own`.
    boost::asio::any_io_executor get_executor() const;
    /// Of the thread that runs the loop; none for an attached loop, or while nobody runs it.
    std::thread::id thread_id() const;
    bool running_in_this_thread() const noexcept;
    EventLoopStats stats() const;

    /// Begins `body` on the loop at its next turn. The loop owns it: a dropped handle does not end
    /// it. An error that nobody looks at goes to the exception handler.
    template <typename T>
    Task<T> create_task(
        boost::asio::awaitable<T, boost::asio::any_io_executor> body,
        std::string name = std::string()
    ) const;
    /// The same as a call: `options` may have a total limit, a stop token and a context.
    template <typename T>
    Task<T> submit(boost::asio::awaitable<T, boost::asio::any_io_executor> body, RunOptions options)
        const;
    /// Anything that ends with a value as a task: a coroutine, a task (itself), a std::future or
    /// the like (whose `get` a thread of the executor waits in).
    template <typename T>
    Task<T> ensure_task(boost::asio::awaitable<T, boost::asio::any_io_executor> body) const;
    template <typename T>
    Task<T> ensure_task(Task<T> task) const;
    template <detail::FutureLike Future>
    Task<std::remove_cvref_t<decltype(std::declval<Future&>().get())>> ensure_task(Future future
    ) const;

    /// Runs a loop without a thread on the calling thread until `body` has ended, and returns its
    /// result. Other tasks stay suspended afterwards and go on with the next call.
    /// Throws what `body` throws; LLMError: loop_running (it has a thread, or runs further up the
    /// stack), loop_stopped (`shutdown` came first), not_supported (an attached loop).
    template <typename T>
    T run_until_complete(boost::asio::awaitable<T, boost::asio::any_io_executor> body) const;

    /// Runs `callback` on the loop at its next turn, in order of the calls. What it throws goes to
    /// the exception handler.
    ScheduledCall call_soon(std::function<void()> callback, std::string name = std::string()) const;
    /// The same after `delay`; zero or less is now, beyond the clock's range never.
    ScheduledCall call_later(
        std::chrono::milliseconds delay,
        std::function<void()> callback,
        std::string name = std::string()
    ) const;
    /// Runs `callback`, a function or a coroutine function, at every multiple of `period` from now
    /// on. It does not drift; runs that would overlap an unfinished one are skipped. What a run
    /// throws goes to the exception handler, the next one takes place.
    /// Throws LLMError{invalid_argument} unless `period` is positive.
    template <typename F>
    ScheduledCall every(
        std::chrono::milliseconds period,
        F callback,
        std::string name = std::string()
    ) const;

    /// Runs `f(arguments...)` on the default executor; see <llmproc/executor.hpp>.
    template <typename F, typename... Arguments>
    auto run_in_executor(F f, Arguments... arguments) const;

    /// Replaces the handler for errors that nobody looks at; an empty one means: log them.
    void set_exception_handler(ExceptionHandler handler) const;
    /// Watches for slow callbacks and lag from now on; costs a clock reading per handler.
    void debug(LoopDebug settings) const;
    void debug_off() const;

    /// Ties an object to the loop: it is destroyed on the loop when that shuts down, before its
    /// io_context. For I/O objects, whose destruction after their io_context is undefined.
    /// Lock the result for use on the loop; it is empty once the loop has ended.
    template <typename T>
    std::weak_ptr<T> own(T object) const {
        auto owned = std::make_shared<T>(std::move(object));
        own_object(owned);
        return owned;
    }

    /// Refuses new work, ends pending blocking calls with Errc::loop_closed, cancels tasks with
    /// CancelReason::closed, lets handlers run until nothing is left or `budget` is over, destroys
    /// owned objects, then stops and joins. Idempotent. From the loop's own thread it only requests
    /// all that. An attached loop is left by its tasks; its io_context goes on.
    /// What does not end within the budget is abandoned: it keeps what it uses and is leaked.
    ShutdownReport shutdown(std::chrono::milliseconds budget = std::chrono::milliseconds(2000))
        const;

    friend bool operator==(const EventLoop& a, const EventLoop& b) noexcept {
        return a.core_ == b.core_;
    }

    /// For the library itself.
    const std::shared_ptr<LoopCore>& core() const;

private:
    ScheduledCall every_call(
        std::chrono::milliseconds period,
        std::function<void()> callback,
        std::string name
    ) const;
    ScheduledCall every_coroutine(
        std::chrono::milliseconds period,
        std::function<boost::asio::awaitable<void, boost::asio::any_io_executor>()> callback,
        std::string name
    ) const;
    void own_object(std::shared_ptr<void> object) const;

    std::shared_ptr<LoopCore> core_;
};

template <typename F>
ScheduledCall EventLoop::every(std::chrono::milliseconds period, F callback, std::string name)
    const {
    if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
        return every_call(period, std::move(callback), std::move(name));
    } else {
        return every_coroutine(period, std::move(callback), std::move(name));
    }
}

}  // namespace llmproc
