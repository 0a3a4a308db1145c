#include "event_loop/bridge_support.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

namespace llmproc::testing {
namespace {

using namespace std::chrono_literals;

// ---- 2.12: callbacks on the blocked caller

asio::awaitable<std::string> through_caller(std::thread::id* where) {
    std::function<std::string()> callback = [where] {
        *where = std::this_thread::get_id();
        return std::string("from the caller");
    };
    std::string text = co_await run_on_caller(std::move(callback));
    co_await turns(1);
    co_return text + (std::this_thread::get_id() == *where ? "!" : "");
}

TEST(BridgeTest, A2_12_TheHandlerRunsOnTheCaller) {
    std::thread::id where;
    EXPECT_EQ(run_sync(through_caller(&where)), "from the caller");
    EXPECT_EQ(where, std::this_thread::get_id());
    std::thread([&] {
        EXPECT_EQ(run_sync(through_caller(&where)), "from the caller");
        EXPECT_EQ(where, std::this_thread::get_id());
    }).join();
}

asio::awaitable<void> on_caller(std::function<void()> callback) {
    co_await run_on_caller(std::move(callback));
}

TEST(BridgeTest, A2_12_TheLoopGoesOnWhileTheHandlerWaits) {
    const EventLoop loop;
    std::mutex mutex;
    std::condition_variable ticked;
    int ticks = 0;
    const ScheduledCall heartbeat = loop.every(1ms, [&] {
        const std::lock_guard lock(mutex);
        ++ticks;
        ticked.notify_all();
    });
    run_sync(loop, on_caller([&] {
                 std::unique_lock lock(mutex);
                 const int before = ticks;
                 EXPECT_TRUE(ticked.wait_for(lock, watchdog, [&] { return ticks >= before + 20; }));
             }));
    ScheduledCall(heartbeat).cancel();
    on_loop(loop, [] {});
}

TEST(BridgeTest, A2_12_ErrorsOfTheHandlerComeBack) {
    EXPECT_THROW(run_sync(on_caller([] { throw Odd(); })), Odd);
    EXPECT_THROW(run_sync(on_caller([] { throw 42; })), int);
}

TEST(BridgeTest, A2_12_NestedCallsFromTheHandlerWork) {
    int result = 0;
    run_sync(on_caller([&] { run_sync(on_caller([&] { result = run_sync(answer()); })); }));
    EXPECT_EQ(result, 42);
}

TEST(BridgeTest, A2_12_WithoutABlockedCallerItIsRefused) {
    const EventLoop loop;
    const Task<void> task = loop.create_task(on_caller([] { FAIL(); }));
    EXPECT_EQ(code_of([&] { task.get(); }), Errc::not_supported);
}

asio::awaitable<void> telling_its_end(
    std::function<void()> callback,
    std::shared_ptr<std::promise<void>> ended
) {
    std::exception_ptr error;
    try {
        co_await run_on_caller(std::move(callback));
    } catch (...) {
        error = std::current_exception();
    }
    ended->set_value();
    std::rethrow_exception(error);
}

TEST(BridgeTest, A2_12_CancellationEndsTheWaitForAHandler) {
    const auto ended = std::make_shared<std::promise<void>>();
    std::stop_source stop;
    Order order;
    expect_cancelled(CancelReason::user, [&] {
        run_sync(
            telling_its_end(
                [&] {
                    stop.request_stop();
                    ended->get_future().wait();
                    order.add("handler ended");
                },
                ended
            ),
            RunOptions().stop_token(stop.get_token())
        );
    });
    EXPECT_EQ(order.steps(), Steps{"handler ended"});
}

TEST(BridgeTest, A2_12_TheHandlerSeesTheContextOfTheCall) {
    std::string seen;
    run_sync(
        on_caller([&] {
            const ContextMap context = current_context();
            const auto* const trace = context.get<std::string>("trace");
            seen = trace == nullptr ? "none" : *trace;
        }),
        RunOptions().context("trace", std::string("t-7"))
    );
    EXPECT_EQ(seen, "t-7");
    EXPECT_TRUE(current_context().empty());
}

TEST(BridgeTest, A2_12_TheHandlerIsGoneBeforeTheCoroutineGoesOn) {
    const auto held = std::make_shared<int>(0);
    const auto body = [](std::shared_ptr<int> kept) -> asio::awaitable<long> {
        std::function<void()> callback = [kept] { static_cast<void>(kept); };
        co_await run_on_caller(std::move(callback));
        co_return kept.use_count();
    };
    // The caller's, the coroutine's parameter and this frame's copy of the argument.
    EXPECT_LE(run_sync(body(held)), 3);
    EXPECT_EQ(held.use_count(), 1);
}

}  // namespace
}  // namespace llmproc::testing
