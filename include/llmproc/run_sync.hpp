/// @file
/// Blocking code that calls coroutines, on one persistent loop.
#pragma once

#include <llmproc/event_loop.hpp>
#include <llmproc/export.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/task.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace llmproc {

namespace detail {

/// What a reference refers to may be gone when its coroutine has ended: return a value or
/// std::reference_wrapper.
template <typename T>
concept OutlivesCall = !std::is_reference_v<T>;

template <typename T>
struct AwaitableValue;  // Only what returns an awaitable can be called by to_sync.
template <OutlivesCall T>
struct AwaitableValue<boost::asio::awaitable<T>> {
    using Type = T;
};
template <typename F, typename... Arguments>
using AwaitedResult = typename AwaitableValue<std::invoke_result_t<F, Arguments...>>::Type;

/// Begins the task, serves its callbacks on this thread, waits for its end, throws its error.
LLMPROC_API void run_blocking(
    const EventLoop& loop,
    boost::asio::awaitable<void> body,
    const RunOptions& options
);
/// Runs `callback` on the thread that is blocked in the awaiting coroutine's call.
LLMPROC_API boost::asio::awaitable<void> call_on_caller(std::function<void()> callback);

}  // namespace detail

/// Runs a coroutine on a persistent loop and blocks until it has ended; its value, or its error with
/// its own type. The same thread for every call, so connections live from one to the next.
///
/// `options`: `timeout`, `stop_token`, `context`. On a limit, a stop request or an InterruptScope's
/// signal the coroutine is cancelled, its clean-up is waited for (5 s at most), then the call
/// throws Timeout or Cancelled.
/// Throws WouldDeadlock on the thread of any EventLoop (see RunOptions::allow_blocking_loop), where
/// the coroutine is to be awaited instead; LLMError: loop_closed, loop_died, forked_process.
/// Thread safety: from any thread.
template <detail::OutlivesCall T>
T run_sync(
    const EventLoop& loop,
    boost::asio::awaitable<T> body,
    const RunOptions& options = RunOptions()
) {
    if constexpr (std::is_void_v<T>) {
        detail::run_blocking(loop, std::move(body), options);
    } else {
        auto slot = std::make_shared<detail::TaskValue<T>>();
        detail::run_blocking(loop, detail::store<T>(std::move(body), slot), options);
        return std::move(*slot->value);
    }
}

/// The same on `EventLoop::global()`.
template <detail::OutlivesCall T>
T run_sync(boost::asio::awaitable<T> body, const RunOptions& options = RunOptions()) {
    return run_sync(EventLoop::global(), std::move(body), options);
}

namespace detail {

/// What `to_sync` returns.
template <typename F>
class SyncFunction {
public:
    SyncFunction(std::optional<EventLoop> loop, F f)
        : loop_(std::move(loop)),
          f_(std::make_shared<const F>(std::move(f))) {}

    /// Arguments are copied or moved into the call before it begins.
    template <typename... Arguments>
    auto operator()(Arguments&&... arguments) const
        -> AwaitedResult<const F&, std::decay_t<Arguments>...> {
        using T = AwaitedResult<const F&, std::decay_t<Arguments>...>;
        const EventLoop loop = loop_ ? *loop_ : EventLoop::global();
        auto kept = std::make_shared<Call<std::decay_t<Arguments>...>>(
            f_,
            std::forward<Arguments>(arguments)...
        );
        constexpr std::size_t count = sizeof...(Arguments);
        if constexpr (std::is_member_function_pointer_v<F>) {
            using Indices = std::make_index_sequence<count - 1>;
            return run_sync<T>(loop, call_member<T>(std::move(kept), Indices()));
        } else {
            using Indices = std::make_index_sequence<count>;
            return run_sync<T>(loop, call<T>(std::move(kept), Indices()));
        }
    }

private:
    /// The function and its arguments: alive until the coroutine has ended.
    template <typename... Arguments>
    struct Call {
        template <typename... Given>
        explicit Call(std::shared_ptr<const F> function, Given&&... given)
            : f(std::move(function)),
              arguments(std::forward<Given>(given)...) {}
        std::shared_ptr<const F> f;
        std::tuple<Arguments...> arguments;
    };

    // The call is part of the awaiting expression, so that arguments which are converted for it (a
    // literal to a `const std::string&`) live as long.
    template <typename T, typename Kept, std::size_t... I>
    static boost::asio::awaitable<T> call(
        std::shared_ptr<Kept> kept,
        std::index_sequence<I...> /*indices*/
    ) {
        co_return co_await (*kept->f)(std::move(std::get<I>(kept->arguments))...);
    }
    template <typename T, typename Kept, std::size_t... I>
    static boost::asio::awaitable<T> call_member(
        std::shared_ptr<Kept> kept,
        std::index_sequence<I...> /*indices*/
    ) {
        auto&& object = object_of(std::get<0>(kept->arguments));
        const F member = *kept->f;
        co_return co_await (std::forward<decltype(object)>(object).*member)(
            std::move(std::get<I + 1>(kept->arguments))...
        );
    }

    template <typename T>
    static T& object_of(std::reference_wrapper<T>& given) {
        return given.get();
    }
    template <typename T>
    static decltype(auto) object_of(T& given) {
        if constexpr (requires { *given; }) {
            return *given;
        } else {
            return std::move(given);
        }
    }

    std::optional<EventLoop> loop_;
    std::shared_ptr<const F> f_;
};

}  // namespace detail

/// A blocking function from a coroutine function, a lambda or a member function (whose first
/// argument is then a pointer or std::ref): `auto get = to_sync(get_async); auto x = get(1, "a");`.
/// Arguments are decay-copied or moved; a coroutine that returns a reference is refused by the
/// compiler.
/// Lifetime: function and arguments live until the coroutine has ended.
/// Thread safety: from any thread; `f` is shared by all calls and called as const.
template <typename F>
auto to_sync(F f) {
    return detail::SyncFunction<F>(std::nullopt, std::move(f));
}
/// The same on a loop of your own.
template <typename F>
auto to_sync(EventLoop loop, F f) {
    return detail::SyncFunction<F>(std::move(loop), std::move(f));
}

/// Runs `f` on the thread that is blocked in this coroutine's `run_sync`, and awaits its result: for
/// code that belongs to that thread, or that blocks. The loop goes on meanwhile.
/// Throws what `f` throws; LLMError{not_supported} where no thread is blocked in the call.
/// Cancellation: ends the wait; `f` runs to its end if it has begun.
template <typename F>
requires detail::OutlivesCall<std::invoke_result_t<F&>>
[[nodiscard]] boost::asio::awaitable<std::invoke_result_t<F&>> run_on_caller(F f) {
    using T = std::invoke_result_t<F&>;
    auto kept = std::make_shared<F>(std::move(f));
    if constexpr (std::is_void_v<T>) {
        std::function<void()> call = [kept] { std::invoke(*kept); };
        kept.reset();
        co_await detail::call_on_caller(std::move(call));
    } else {
        auto slot = std::make_shared<detail::TaskValue<T>>();
        std::function<void()> call = [slot, kept] { slot->put(std::invoke(*kept)); };
        kept.reset();
        co_await detail::call_on_caller(std::move(call));
        co_return std::move(*slot->value);
    }
}

}  // namespace llmproc
