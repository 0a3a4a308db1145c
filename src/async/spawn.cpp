#include "async/spawn.hpp"

#include "async/waiter.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace llmproc::async {

namespace asio = boost::asio;

namespace {

/// Catches everything itself, because Asio's own await after the body throws when cancelled.
asio::awaitable<std::exception_ptr> guarded(asio::awaitable<void> body) {
    std::exception_ptr error;
    try {
        co_await std::move(body);
    } catch (...) {
        error = std::current_exception();
    }
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return error;
}

}  // namespace

void spawn(std::shared_ptr<CallContext> call, asio::awaitable<void> body, Completion done) {
    const asio::any_io_executor executor = call->executor();
    const asio::cancellation_slot slot = call->slot();
    asio::awaitable<std::exception_ptr> guard = guarded(std::move(body));
    auto completed =
        [call = std::move(call),
         done = std::move(done)](std::exception_ptr escaped, std::exception_ptr error) {
            // Newer Asio lets a cancel before the first step escape from its own entry point.
            if (!escaped) {
                escaped.swap(error);
            }
            call->finish();
            // Moved on, so that the waiting thread drops the last reference to the error.
            std::exception_ptr ended = call->translate(std::move(escaped));
            done(std::move(ended));
        };
    asio::co_spawn(
        executor,
        std::move(guard),
        asio::bind_cancellation_slot(slot, std::move(completed))
    );
}

void start(const CallContext& call, std::function<void()> begin) {
    // The call may let go of its executor before this returns.
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization)
    asio::any_io_executor executor = call.executor();
    if (executor) {
        asio::dispatch(executor, std::move(begin));
    }
}

void spawn_for(
    std::shared_ptr<Waiter> waiter,
    std::shared_ptr<CallContext> call,
    const BodyFactory& make_body
) {
    std::exception_ptr failure;
    try {
        Completion done = [waiter](std::exception_ptr error) { waiter->resume(std::move(error)); };
        spawn(call, make_body(), std::move(done));
        return;
    } catch (...) {
        // Out of memory: it has not begun.
        failure = std::current_exception();
    }
    call->finish();
    waiter->resume_later(std::move(failure));
}

asio::awaitable<void> await_call(std::shared_ptr<CallContext> call, BodyFactory body) {
    auto initiate = [](auto handler, std::shared_ptr<CallContext> begun, BodyFactory make_body) {
        const asio::any_io_executor own = asio::get_associated_executor(handler);
        auto waiter = std::make_shared<Waiter>(
            Waiter::Handler(std::move(handler)),
            own,
            context_of(begun->executor())
        );
        begun->cancelled_by(waiter->slot());
        // Where the call's context has died before, the waiter's end says so.
        auto begin = [waiter, begun, make_body = std::move(make_body)]() mutable {
            spawn_for(std::move(waiter), std::move(begun), make_body);
        };
        start(*begun, std::move(begin));
    };
    return asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
        std::move(initiate),
        asio::use_awaitable,
        std::move(call),
        std::move(body)
    );
}

}  // namespace llmproc::async
