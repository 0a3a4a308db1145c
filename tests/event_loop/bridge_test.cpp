#include "event_loop/bridge_support.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

namespace llmproc::testing {
namespace {

using namespace std::chrono_literals;

asio::awaitable<void> nothing() {
    co_return;
}

// ---- 2.3, 2.6: values, errors, where it may block

TEST(BridgeTest, A2_3_ValuesAndErrorsKeepTheirTypes) {
    EXPECT_EQ(run_sync(answer()), 42);
    run_sync(nothing());
    EXPECT_THROW(run_sync(throwing(Odd())), Odd);
    EXPECT_THROW(run_sync(throwing(std::out_of_range("far"))), std::out_of_range);
    EXPECT_THROW(run_sync(throwing(42)), int);
    EXPECT_THROW(run_sync(throwing(ProcessClosed())), ProcessClosed);
    const EventLoop own;
    EXPECT_EQ(run_sync(own, answer()), 42);
    EXPECT_EQ(run_sync(own, loop_thread()), own.thread_id());
}

TEST(BridgeTest, A2_6_ItsOwnLoopRefuses) {
    const EventLoop loop;
    for (const bool allowed : {false, true}) {
        const RunOptions options = RunOptions().allow_blocking_loop(allowed);
        on_loop(loop, [&] { EXPECT_THROW(run_sync(loop, answer(), options), WouldDeadlock); });
    }
    EXPECT_EQ(run_sync(loop, answer()), 42);
}

TEST(BridgeTest, A2_6_AnotherLoopRefusesUnlessAllowed) {
    const EventLoop a;
    const EventLoop b;
    on_loop(a, [&] {
        EXPECT_THROW(run_sync(b, answer()), WouldDeadlock);
        EXPECT_EQ(run_sync(b, answer(), RunOptions().allow_blocking_loop()), 42);
    });
}

asio::awaitable<int> blocking_on(EventLoop loop) {
    co_return run_sync(loop, answer(), RunOptions().allow_blocking_loop());
}

TEST(BridgeTest, A2_6_ACircleOfLoopsIsRefusedEvenIfAllowed) {
    const EventLoop a;
    const EventLoop b;
    on_loop(a, [&] {
        const RunOptions allowed = RunOptions().allow_blocking_loop();
        EXPECT_THROW(run_sync(b, blocking_on(a), allowed), WouldDeadlock);
    });
    EXPECT_EQ(run_sync(a, answer()), 42);
}

TEST(BridgeTest, A2_6_AForeignContextMayBlock) {
    asio::io_context io;
    int result = 0;
    asio::post(io, [&] { result = run_sync(answer()); });
    io.run();
    EXPECT_EQ(result, 42);
}

TEST(BridgeTest, A2_6_AClosedLoopRefuses) {
    EventLoop loop;
    loop.shutdown();
    EXPECT_EQ(code_of([&] { run_sync(loop, answer()); }), Errc::loop_closed);
}

TEST(BridgeTest, A2_6_TheEndOfTheLoopEndsACall) {
    EventLoop loop;
    std::promise<void> begun;
    std::thread closer([&] {
        begun.get_future().wait();
        loop.shutdown();
    });
    Order order;
    EXPECT_THROW(run_sync(loop, with_clean_up(order, [&] { begun.set_value(); })), LLMError);
    closer.join();
    EXPECT_EQ(order.steps(), (Steps{"cancelled", "clean-up"}));
}

// ---- 2.10: stop and timeout

TEST(BridgeTest, A2_10_AStopCancelsCleansUpAndThenThrows) {
    std::stop_source stop;
    std::promise<void> begun;
    std::thread stopper([&] {
        begun.get_future().wait();
        stop.request_stop();
    });
    Order order;
    expect_cancelled(CancelReason::user, [&] {
        run_sync(
            with_clean_up(order, [&] { begun.set_value(); }),
            RunOptions().stop_token(stop.get_token())
        );
    });
    order.add("thrown");
    stopper.join();
    EXPECT_EQ(order.steps(), (Steps{"cancelled", "clean-up", "thrown"}));
}

TEST(BridgeTest, A2_10_ATimeoutCancelsCleansUpAndThenThrows) {
    bool begun = false;
    // A limit that is over before it begins is the next test: then a longer one is tried.
    for (std::chrono::milliseconds limit = 20ms; !begun && limit < watchdog; limit *= 4) {
        Order order;
        try {
            run_sync(with_clean_up(order, [&] { begun = true; }), RunOptions().timeout(limit));
            FAIL();
        } catch (const Timeout& error) {
            order.add("thrown");
            EXPECT_EQ(error.stage(), Stage::total);
            EXPECT_EQ(error.limit(), limit);
        }
        EXPECT_EQ(
            order.steps(),
            begun ? Steps({"cancelled", "clean-up", "thrown"}) : Steps{"thrown"}
        );
    }
    EXPECT_TRUE(begun);
}

TEST(BridgeTest, A2_10_WhatIsOverBeforeDoesNotBegin) {
    const EventLoop loop;
    Order order;
    const auto begin = [&](const RunOptions& options) {
        run_sync(loop, with_clean_up(order, [&] { order.add("begun"); }), options);
    };
    EXPECT_THROW(begin(RunOptions().timeout(0ms)), Timeout);
    EXPECT_THROW(begin(RunOptions().timeout(-5ms)), Timeout);
    std::stop_source stop;
    stop.request_stop();
    expect_cancelled(CancelReason::user, [&] { begin(RunOptions().stop_token(stop.get_token())); });
    EXPECT_EQ(order.steps(), Steps{});
    EXPECT_EQ(loop.stats().tasks, 0U);
}

TEST(BridgeTest, A2_10_AHugeTimeoutIsNone) {
    EXPECT_EQ(run_sync(answer(), RunOptions().timeout(std::chrono::milliseconds::max())), 42);
}

TEST(BridgeTest, A2_10_ACoroutineMayEndNormallyDespiteTheStop) {
    std::stop_source stop;
    const auto ignores = [](std::stop_source source) -> asio::awaitable<int> {
        source.request_stop();
        co_return 7;
    };
    EXPECT_EQ(run_sync(ignores(stop), RunOptions().stop_token(stop.get_token())), 7);
}

asio::awaitable<void> endless_clean_up(
    std::shared_ptr<std::promise<void>> ended,
    Order& order,
    std::stop_source source
) {
    std::exception_ptr error;
    source.request_stop();
    try {
        co_await for_ever();
    } catch (...) {
        error = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    order.add("clean-up");
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor);
    // Until the caller has given up.
    while (order.steps().size() < 2) {
        timer.expires_after(1ms);
        co_await timer.async_wait(asio::use_awaitable);
    }
    ended->set_value();
}

TEST(BridgeTest, A2_10_AnEndlessCleanUpIsLeftToTheLoop) {
    const EventLoop loop;
    Order order;
    const std::stop_source stop;
    const auto ended = std::make_shared<std::promise<void>>();
    EXPECT_THROW(
        run_sync(
            loop,
            endless_clean_up(ended, order, stop),
            RunOptions().stop_token(stop.get_token())
        ),
        Cancelled
    );
    order.add("thrown");
    EXPECT_EQ(ended->get_future().wait_for(watchdog), std::future_status::ready);
    EXPECT_EQ(order.steps(), (Steps{"clean-up", "thrown"}));
}

}  // namespace
}  // namespace llmproc::testing
