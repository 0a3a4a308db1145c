/// @file
/// Blocking functions called by coroutines, on threads of their own.
#pragma once

#include <llmproc/event_loop.hpp>
#include <llmproc/export.hpp>
#include <llmproc/task.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace llmproc {

class WorkerPool;

/// Counters of a pool.
struct ExecutorStats {
    std::size_t threads = 0;    ///< Started so far.
    std::size_t queued = 0;     ///< Jobs that wait for a thread.
    std::size_t running = 0;    ///< Jobs in progress, those nobody waits for any more included.
    std::uint64_t jobs = 0;     ///< Jobs accepted.
    std::uint64_t refused = 0;  ///< Jobs refused with Errc::queue_full.
};

/// Threads for blocking functions: started when needed, bounded, with a bounded queue.
///
/// Lifetime: a handle to a pool, copies share it. The destructor of the last one, whoever still
/// awaits a job, drops queued jobs (their callers get Errc::loop_closed), requests stop of running
/// ones and waits for them; on a loop's thread or one of its own it does not wait.
/// In a child after fork() every use throws LLMError{forked_process}.
/// Thread safety: all members from any thread.
class LLMPROC_API Executor {
public:
    /// Throws LLMError{invalid_argument} for 0 threads.
    explicit Executor(std::size_t threads, std::size_t queue_limit = 1024);
    /// As many threads as processors, at least 4; never destroyed. A child after fork() gets its
    /// own.
    static Executor shared();

    ExecutorStats stats() const;
    /// For the library itself.
    const std::shared_ptr<WorkerPool>& pool() const noexcept { return pool_; }

private:
    std::shared_ptr<WorkerPool> pool_;  ///< Its last owner closes the pool.
};

namespace detail {

using Job = std::function<void(std::stop_token)>;

/// The pool without a part in its lifetime as an Executor.
LLMPROC_API std::shared_ptr<WorkerPool> pool_of(const Executor& executor);
/// Runs the job off the loop, awaits its end and throws what it threw.
LLMPROC_API boost::asio::awaitable<void> run_job(std::shared_ptr<WorkerPool> pool, Job job);
LLMPROC_API boost::asio::awaitable<void> run_job(boost::asio::thread_pool& pool, Job job);

template <typename T>
struct IsAwaitable : std::false_type {};
template <typename T, typename Own>
struct IsAwaitable<boost::asio::awaitable<T, Own>> : std::true_type {};

/// Whether `F` is a member function that takes a stop token first.
template <typename F, typename... Arguments>
struct IsStoppableMember : std::false_type {};
template <typename F, typename Object, typename... Arguments>
requires std::is_member_function_pointer_v<F>
struct IsStoppableMember<F, Object, Arguments...> :
    std::is_invocable<F, Object, std::stop_token, Arguments...> {
};

/// A function with its arguments; they live until the job has ended.
template <typename F, typename... Arguments>
struct BoundJob {
    explicit BoundJob(F function, Arguments... given)
        : f(std::move(function)),
          arguments(std::move(given)...) {}

    decltype(auto) operator()(std::stop_token stop) {
        return std::apply(
            [this, &stop](Arguments&... a) -> decltype(auto) {
                if constexpr (std::is_invocable_v<F, std::stop_token, Arguments...>) {
                    return std::invoke(std::move(f), std::move(stop), std::move(a)...);
                } else if constexpr (IsStoppableMember<F, Arguments...>::value) {
                    return call_member(std::move(stop), a...);
                } else {
                    static_cast<void>(stop);
                    return std::invoke(std::move(f), std::move(a)...);
                }
            },
            arguments
        );
    }

    F f;
    std::tuple<Arguments...> arguments;

private:
    template <typename Object, typename... Rest>
    decltype(auto) call_member(std::stop_token stop, Object& object, Rest&... rest) {
        return std::invoke(f, std::move(object), std::move(stop), std::move(rest)...);
    }
};

template <typename F, typename... Arguments>
using JobResult = std::decay_t<decltype(std::declval<BoundJob<F, Arguments...>&>(
)(std::declval<std::stop_token>()))>;

template <typename Where, typename F, typename... Arguments>
boost::asio::awaitable<JobResult<F, Arguments...>> run_bound(
    Where where,
    std::shared_ptr<BoundJob<F, Arguments...>> bound
) {
    using T = JobResult<F, Arguments...>;
    static_assert(
        !IsAwaitable<T>::value,
        "this is a coroutine function: await it, or create a task; run_in_executor is for functions"
    );
    // The job owns the function alone, so that it dies with the job and not with this frame.
    if constexpr (std::is_void_v<T>) {
        Job job = [bound](std::stop_token stop) { (*bound)(std::move(stop)); };
        bound.reset();
        co_await run_job(std::move(where), std::move(job));
    } else {
        auto slot = std::make_shared<TaskValue<T>>();
        Job job = [bound, slot](std::stop_token stop) { slot->put((*bound)(std::move(stop))); };
        bound.reset();
        co_await run_job(std::move(where), std::move(job));
        co_return std::move(*slot->value);
    }
}

}  // namespace detail

/// Runs `f(arguments...)` on a thread of `executor` and resumes on the awaiting coroutine's own
/// executor. Arguments are decay-copied; they and `f` are destroyed before that. If `f` takes a
/// std::stop_token first, it gets one.
///
/// Cancellation: the wait ends at once with Cancelled, `f` is told by its token; it runs on, its
/// result is dropped. A job that has not begun is dropped.
/// Throws what `f` throws; LLMError: queue_full, limit_reached (no thread), loop_closed (the
/// executor was destroyed before the job began); WouldDeadlock if a job of the same executor has
/// begun this one and all its threads are blocked in calls that wait for a loop.
template <typename F, typename... Arguments>
[[nodiscard]] auto run_in_executor(Executor executor, F f, Arguments... arguments) {
    auto bound =
        std::make_shared<detail::BoundJob<F, Arguments...>>(std::move(f), std::move(arguments)...);
    return detail::run_bound<std::shared_ptr<WorkerPool>, F, Arguments...>(
        detail::pool_of(executor),
        std::move(bound)
    );
}

/// The same on `Executor::shared()`.
template <typename F, typename... Arguments>
requires(!std::is_same_v<F, Executor> && !std::is_base_of_v<boost::asio::thread_pool, F>)
    [[nodiscard]] auto run_in_executor(F f, Arguments... arguments) {
    return run_in_executor(Executor::shared(), std::move(f), std::move(arguments)...);
}

/// The same on a pool of Asio's, whose queue has no bound. The pool must outlive the job; one that
/// dies before the job has begun ends the wait with Errc::loop_closed.
template <typename F, typename... Arguments>
[[nodiscard]] auto run_in_executor(boost::asio::thread_pool& pool, F f, Arguments... arguments) {
    auto bound =
        std::make_shared<detail::BoundJob<F, Arguments...>>(std::move(f), std::move(arguments)...);
    return detail::run_bound<std::reference_wrapper<boost::asio::thread_pool>, F, Arguments...>(
        std::ref(pool),
        std::move(bound)
    );
}

template <typename F, typename... Arguments>
auto EventLoop::run_in_executor(F f, Arguments... arguments) const {
    return create_task(llmproc::run_in_executor(std::move(f), std::move(arguments)...));
}

template <detail::FutureLike Future>
Task<std::remove_cvref_t<decltype(std::declval<Future&>().get())>> EventLoop::ensure_task(
    Future future
) const {
    auto kept = std::make_shared<Future>(std::move(future));
    return create_task(llmproc::run_in_executor([kept] { return kept->get(); }));
}

}  // namespace llmproc
