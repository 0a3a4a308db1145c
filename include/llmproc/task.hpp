/// @file
/// Coroutines that run by themselves: started now, awaited, cancelled or forgotten later.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/export.hpp>
#include <llmproc/run_options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace llmproc {

class TaskCore;

/// A running or ended coroutine, whatever its result. Copies are handles to the same task.
///
/// Lifetime: handles may outlive the loop; the loop owns the coroutine.
/// Thread safety: all members from any thread.
class LLMPROC_API TaskHandle {
public:
    TaskHandle() noexcept = default;
    explicit TaskHandle(std::shared_ptr<TaskCore> core) noexcept;
    TaskHandle(const TaskHandle& other) noexcept;
    TaskHandle(TaskHandle&& other) noexcept;
    TaskHandle& operator=(TaskHandle other) noexcept;
    ~TaskHandle();

    bool done() const;
    /// Whether it has ended by cancellation.
    bool cancelled() const;
    /// Empty if it was given none.
    const std::string& name() const;

    /// Asks the coroutine to end: what it awaits, or awaits next, throws. It may still end
    /// normally. Idempotent, the first reason counts; without effect on a task that has ended.
    void cancel(CancelReason reason = CancelReason::user) const noexcept;
    /// Waits for the end, however it comes: an error of the task is not thrown and counts as looked
    /// at. Cancellation of the waiting coroutine ends the wait with Cancelled.
    [[nodiscard]] boost::asio::awaitable<void> join() const;
    [[nodiscard]] boost::asio::awaitable<void> cancel_and_join(
        CancelReason reason = CancelReason::user
    ) const;
    /// Blocks until the end, at most so long; says whether it has ended. Throws WouldDeadlock on a
    /// loop's thread.
    bool wait_for(std::chrono::milliseconds limit) const;

    /// Calls `handler` on the loop if the task fails, at once if it has; cancellation is no
    /// failure. The error then counts as looked at. What `handler` throws is reported.
    void on_error(std::function<void(std::exception_ptr)> handler) const;

    explicit operator bool() const noexcept { return core_ != nullptr; }
    friend bool operator==(const TaskHandle& a, const TaskHandle& b) noexcept {
        return a.core_ == b.core_;
    }
    /// For the library itself. Throws LLMError{invalid_handle}.
    const std::shared_ptr<TaskCore>& core() const;

private:
    std::shared_ptr<TaskCore> core_;
};

namespace detail {

/// Where a task's coroutine leaves its error; written on the loop, taken at the end.
struct TaskError {
    std::exception_ptr error;
};

/// The same with its value, which is read after the end.
template <typename T>
struct TaskValue : TaskError {
    std::optional<T> value;

    void put(T result) { value.emplace(std::move(result)); }
    /// A copy each time; what cannot be copied is handed out once.
    T take() {
        if (!value) {
            throw LLMError(
                Errc::invalid_argument,
                "the task's result cannot be copied and was taken before"
            );
        }
        if constexpr (std::is_copy_constructible_v<T>) {
            return *value;
        } else {
            T result = std::move(*value);
            value.reset();
            return result;
        }
    }
};

template <typename T>
boost::asio::awaitable<void> store(
    boost::asio::awaitable<T> body,
    std::shared_ptr<TaskValue<T>> slot
) {
    T result = co_await std::move(body);
    slot->put(std::move(result));
}

/// The first step of what is given to `start_task` with a slot.
LLMPROC_API boost::asio::awaitable<void> task_begun();

/// `store` that keeps errors as well, so that a task needs no other frame around it. The error has
/// no other owner then: its last reference can die on the thread that looks at it.
template <typename T>
boost::asio::awaitable<void> store_all(boost::asio::awaitable<T> body, TaskValue<T>* slot) {
    co_await task_begun();
    try {
        T result = co_await std::move(body);
        slot->put(std::move(result));
    } catch (...) {
        slot->error = std::current_exception();
    }
}

/// Begins a task. `body` leaves its error in `slot` if there is one, and lets it escape if not.
/// Throws LLMError: loop_closed, loop_died, forked_process.
LLMPROC_API std::shared_ptr<TaskCore> start_task(
    const EventLoop& loop,
    boost::asio::awaitable<void> body,
    std::shared_ptr<TaskError> slot,
    std::string name,
    const RunOptions& options
);
/// Waits for the end.
LLMPROC_API boost::asio::awaitable<void> await_end(const std::shared_ptr<TaskCore>& core);
/// After the end: throws the task's error.
LLMPROC_API void throw_error(const std::shared_ptr<TaskCore>& core);
/// Both. The handle keeps the error from being reported and dropped meanwhile.
LLMPROC_API boost::asio::awaitable<void> await_task(TaskHandle task);
/// Blocks until the end and throws the task's error; false if `limit` passed first.
LLMPROC_API bool wait_task(
    const std::shared_ptr<TaskCore>& core,
    std::optional<std::chrono::milliseconds> limit
);
/// Runs a loop without a thread until the task has ended, and throws its error.
LLMPROC_API void run_loop_until(const EventLoop& loop, const std::shared_ptr<TaskCore>& core);

template <typename T>
boost::asio::awaitable<T> result_of(TaskHandle task, std::shared_ptr<TaskValue<T>> slot) {
    co_await await_end(task.core());
    throw_error(task.core());
    co_return slot->take();
}

}  // namespace detail

/// A task with its result.
template <typename T>
class Task : public TaskHandle {
public:
    Task() noexcept = default;
    Task(std::shared_ptr<TaskCore> core, std::shared_ptr<detail::TaskValue<T>> value) noexcept
        : TaskHandle(std::move(core)),
          value_(std::move(value)) {}

    /// Waits for the end: the result, or throws the task's error. Any number of coroutines of any
    /// loops may wait, any number of times (a result that cannot be copied is handed out once).
    /// Cancellation of the waiting coroutine ends the wait with Cancelled, not the task.
    /// Throws what the task threw; Cancelled with the reason of its cancellation; Errc::loop_closed
    /// or loop_died when its loop ended under it.
    [[nodiscard]] boost::asio::awaitable<T> result() const {
        static_cast<void>(core());
        return detail::result_of<T>(*this, value_);
    }
    /// The same, blocking. Throws WouldDeadlock on a loop's thread.
    T get() const {
        detail::wait_task(core(), std::nullopt);
        return value_->take();
    }
    /// The same, at most so long: nothing if the task has not ended. It goes on.
    std::optional<T> get_for(std::chrono::milliseconds limit) const {
        if (!detail::wait_task(core(), limit)) {
            return std::nullopt;
        }
        return value_->take();
    }

private:
    std::shared_ptr<detail::TaskValue<T>> value_;
};

template <>
class Task<void> : public TaskHandle {
public:
    using TaskHandle::TaskHandle;

    [[nodiscard]] boost::asio::awaitable<void> result() const {
        static_cast<void>(core());
        return detail::await_task(*this);
    }
    void get() const { detail::wait_task(core(), std::nullopt); }
    /// Whether it has ended within `limit`.
    bool get_for(std::chrono::milliseconds limit) const { return detail::wait_task(core(), limit); }
};

namespace detail {

template <typename T>
Task<T> begin_task(
    const EventLoop& loop,
    boost::asio::awaitable<T> body,
    std::string name,
    const RunOptions& options
) {
    if constexpr (std::is_void_v<T>) {
        return Task<void>(start_task(loop, std::move(body), nullptr, std::move(name), options));
    } else {
        static_assert(
            !std::is_reference_v<T>,
            "a task outlives what its result refers to; return a value or std::reference_wrapper"
        );
        auto value = std::make_shared<TaskValue<T>>();
        boost::asio::awaitable<void> stored = store_all<T>(std::move(body), value.get());
        // First, since arguments may be evaluated in any order: the task keeps what it writes to.
        std::shared_ptr<TaskCore> core =
            start_task(loop, std::move(stored), value, std::move(name), options);
        return Task<T>(std::move(core), std::move(value));
    }
}

}  // namespace detail

template <typename T>
Task<T> EventLoop::create_task(boost::asio::awaitable<T> body, std::string name) const {
    return detail::begin_task<T>(*this, std::move(body), std::move(name), RunOptions());
}

template <typename T>
Task<T> EventLoop::submit(boost::asio::awaitable<T> body, RunOptions options) const {
    return detail::begin_task<T>(*this, std::move(body), std::string(), options);
}

template <typename T>
Task<T> EventLoop::ensure_task(boost::asio::awaitable<T> body) const {
    return create_task(std::move(body));
}

template <typename T>
Task<T> EventLoop::ensure_task(Task<T> task) const {
    return task;
}

template <typename T>
T EventLoop::run_until_complete(boost::asio::awaitable<T> body) const {
    const Task<T> task = create_task(std::move(body));
    detail::run_loop_until(*this, task.core());
    return task.get();
}

/// The loop that the awaiting coroutine runs on; a foreign io_context is attached by it.
/// Throws LLMError{loop_closed}.
[[nodiscard]] LLMPROC_API boost::asio::awaitable<EventLoop> this_loop();
/// What accompanies the awaiting coroutine.
[[nodiscard]] LLMPROC_API boost::asio::awaitable<ContextMap> this_context();

/// Tells `spawn_ready` that a task is set up. Copies tell the same.
class LLMPROC_API Ready {
public:
    class State;
    explicit Ready(std::shared_ptr<State> state) noexcept;
    /// Idempotent. Thread safety: from any thread.
    void operator()() const noexcept;

private:
    std::shared_ptr<State> state_;
};

/// Begins `body` as a task and waits until it has called its `ready`. Throws what the task throws
/// before that; Errc::invalid_argument if it ends without calling it.
/// Cancellation: cancels the task and waits for its end.
[[nodiscard]] LLMPROC_API boost::asio::awaitable<Task<void>> spawn_ready(
    EventLoop loop,
    std::function<boost::asio::awaitable<void>(Ready)> body,
    std::string name = std::string()
);

}  // namespace llmproc
