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
asio::awaitable<std::exception_ptr> guarded(
    std::shared_ptr<CallContext> call,
    asio::awaitable<void> body
) {
    std::exception_ptr error;
    try {
        co_await std::move(body);
    } catch (...) {
        error = std::current_exception();
    }
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return call->translate(std::move(error));
}

}  // namespace

void spawn(std::shared_ptr<CallContext> call, asio::awaitable<void> body, Completion done) {
    const asio::any_io_executor executor = call->executor();
    const asio::cancellation_slot slot = call->slot();
    auto completed =
        [call,
         done = std::move(done)](const std::exception_ptr& escaped, std::exception_ptr error) {
            call->finish();
            done(escaped ? escaped : std::move(error));
        };
    asio::co_spawn(
        executor,
        guarded(std::move(call), std::move(body)),
        asio::bind_cancellation_slot(slot, std::move(completed))
    );
}

void start(const CallContext& call, std::function<void()> begin) {
    const asio::any_io_executor executor = call.executor();
    if (executor) {
        asio::dispatch(executor, std::move(begin));
    }
}

asio::awaitable<void> await_call(std::shared_ptr<CallContext> call, BodyFactory body) {
    auto initiate = [](auto handler, std::shared_ptr<CallContext> started, BodyFactory make_body) {
        const asio::any_io_executor own = asio::get_associated_executor(handler);
        const asio::any_io_executor executor = started->executor();
        auto waiter = std::make_shared<Waiter>(
            Waiter::Handler(std::move(handler)),
            own,
            context_of(executor)
        );
        if (waiter->slot().is_connected()) {
            waiter->slot().assign([weak = std::weak_ptr(started)](asio::cancellation_type type) {
                const auto target = weak.lock();
                if (target &&
                    (type & asio::cancellation_type::terminal) != asio::cancellation_type::none) {
                    target->cancel_from_anywhere(CancelReason::user);
                }
            });
        }
        if (!executor) {
            return;  // The context has died before; the waiter's end says so.
        }
        asio::dispatch(executor, [waiter, started, make_body = std::move(make_body)]() mutable {
            Completion done = [waiter](std::exception_ptr error) {
                waiter->resume(std::move(error));
            };
            spawn(std::move(started), make_body(), std::move(done));
        });
    };
    return asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
        std::move(initiate),
        asio::use_awaitable,
        std::move(call),
        std::move(body)
    );
}

}  // namespace llmproc::async
