// Tasks: results, errors, handles and waiting for them.
#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/task.hpp>
#include "event_loop/task_support.hpp"

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

namespace llmproc::test {

namespace {

using namespace std::chrono_literals;

asio::awaitable<std::unique_ptr<int>> move_only() {
    co_return std::make_unique<int>(7);
}

asio::awaitable<std::thread::id> thread_id() {
    co_return std::this_thread::get_id();
}

TEST(LoopTest, A2_7_ValueComesFromTheLoopsThread) {
    const EventLoop loop;
    const Task<std::thread::id> task = loop.submit(thread_id(), RunOptions());
    EXPECT_EQ(task.get(), loop.thread_id());
    EXPECT_EQ(task.get(), loop.thread_id()) << "a result can be fetched again";
    EXPECT_TRUE(task.done());
    EXPECT_FALSE(task.cancelled());
}

TEST(LoopTest, A2_7_ErrorKeepsItsTypeAndCanBeFetchedTwice) {
    const EventLoop loop;
    const Task<int> task = loop.submit(fail_with("a reason"), RunOptions());
    for (int round = 0; round < 2; ++round) {
        try {
            task.get();
            FAIL() << "the error was lost";
        } catch (const Odd& error) {
            EXPECT_STREQ(error.what(), "a reason");
        }
    }
}

TEST(LoopTest, A2_7_MoveOnlyResultIsHandedOutOnce) {
    const EventLoop loop;
    const Task<std::unique_ptr<int>> task = loop.create_task(move_only());
    EXPECT_EQ(*task.get(), 7);
    EXPECT_EQ(code_of([&task] { task.get(); }), Errc::invalid_argument);
}

TEST(LoopTest, A2_7_CancelFromAThirdThreadEndsTheWaitingCaller) {
    const EventLoop loop;
    const Flag begun;
    const Task<void> task = loop.submit(raise_and_wait_for_ever(begun), RunOptions());
    std::thread third([&task, &begun] {
        begun.wait();
        task.cancel();
    });
    EXPECT_EQ(reason_of([&task] { task.get(); }), CancelReason::user);
    third.join();
    EXPECT_TRUE(task.cancelled());
}

TEST(LoopTest, A2_7_ExpiredGetForLeavesTheTaskAlone) {
    const EventLoop loop;
    const Gate gate;
    const Task<int> task = loop.submit(pass(gate, 5), RunOptions());
    EXPECT_FALSE(task.get_for(1ms).has_value());
    EXPECT_FALSE(task.get_for(0ms).has_value());
    EXPECT_FALSE(task.get_for(std::chrono::milliseconds::min()).has_value());
    EXPECT_FALSE(task.done());
    gate.open();
    EXPECT_EQ(task.get_for(std::chrono::milliseconds::max()), 5);
}

TEST(LoopTest, A2_7_DroppedHandleWithAnErrorIsReportedOnce) {
    const EventLoop loop;
    const Reports reports(loop);
    const Gate gate;
    loop.create_task(fail_at(gate), "dropped before the end");
    gate.open();
    reports.wait_for(1);
    {
        const Task<int> task = loop.create_task(fail_with("x"), "dropped after the end");
        while (!task.wait_for(1000ms)) {}
        EXPECT_EQ(reports.names().size(), 1U) << "somebody may still look";
    }
    EXPECT_EQ(
        reports.names(),
        (std::vector<std::string>{"dropped before the end", "dropped after the end"})
    );
    EXPECT_THROW(std::rethrow_exception(reports.error(0)), Odd);
    EXPECT_THROW(std::rethrow_exception(reports.error(1)), Odd);
}

TEST(LoopTest, A2_7_ErrorsThatWereLookedAtAndCancellationsAreNotReported) {
    const EventLoop loop;
    const Reports reports(loop);
    EXPECT_THROW(loop.create_task(fail_with("looked at")).get(), Odd);
    const Flag begun;
    {
        const Task<void> cancelled = loop.create_task(raise_and_wait_for_ever(begun));
        begun.wait();
        cancelled.cancel();
    }
    const Flag handled;
    loop.create_task(fail_with("handled")).on_error([handled](std::exception_ptr error) {
        EXPECT_THROW(std::rethrow_exception(error), Odd);
        handled.raise();
    });
    handled.wait();
    flush(loop);
    EXPECT_TRUE(reports.names().empty());
}

TEST(LoopTest, A2_7_OnErrorOfAnEndedTaskIsCalledAtOnceAndItsOwnErrorIsReported) {
    const EventLoop loop;
    const Reports reports(loop);
    const Task<int> task = loop.create_task(fail_with("first"), "failing");
    while (!task.wait_for(1000ms)) {}
    task.on_error([&loop](std::exception_ptr) {
        EXPECT_TRUE(loop.running_in_this_thread());
        throw std::logic_error("second");
    });
    reports.wait_for(1);
    EXPECT_EQ(reports.names().front(), "failing");
    EXPECT_THROW(std::rethrow_exception(reports.error(0)), std::logic_error);
}

TEST(LoopTest, A2_7_LimitOfASubmittedTaskEndsItWithTimeout) {
    const EventLoop loop;
    const Flag begun;
    const Task<void> task = loop.submit(raise_and_wait_for_ever(begun), RunOptions().timeout(20ms));
    try {
        task.get();
        FAIL() << "the limit was ignored";
    } catch (const Timeout& error) {
        EXPECT_EQ(error.stage(), Stage::total);
        EXPECT_EQ(error.limit(), 20ms);
    }
    EXPECT_TRUE(begun.raised());
}

TEST(LoopTest, A2_7_NoTimeLeftMeansThatItNeverBegins) {
    const EventLoop loop;
    for (const auto limit : {0ms, -1ms, std::chrono::milliseconds::min()}) {
        const Flag begun;
        const Task<void> task =
            loop.submit(raise_and_wait_for_ever(begun), RunOptions().timeout(limit));
        EXPECT_THROW(task.get(), Timeout);
        EXPECT_FALSE(begun.raised());
    }
}

TEST(LoopTest, A2_7_LimitBeyondTheClockIsNone) {
    const EventLoop loop;
    const RunOptions options = RunOptions().timeout(std::chrono::milliseconds::max());
    EXPECT_EQ(loop.submit(value_of(3), options).get(), 3);
}

TEST(LoopTest, A2_7_StopTokenCancels) {
    const EventLoop loop;
    std::stop_source source;
    const Flag begun;
    const Task<void> task =
        loop.submit(raise_and_wait_for_ever(begun), RunOptions().stop_token(source.get_token()));
    begun.wait();
    source.request_stop();
    EXPECT_EQ(reason_of([&task] { task.get(); }), CancelReason::user);

    const Flag never;
    const Task<void> late =
        loop.submit(raise_and_wait_for_ever(never), RunOptions().stop_token(source.get_token()));
    EXPECT_EQ(reason_of([&late] { late.get(); }), CancelReason::user);
    EXPECT_FALSE(never.raised());
}

TEST(LoopTest, A2_7_StopRequestRacesTheEnd) {
    const EventLoop loop;
    for (int round = 0; round < 500; ++round) {
        std::stop_source source;
        const Task<int> task =
            loop.submit(value_of(round), RunOptions().stop_token(source.get_token()));
        std::thread stopper([&source] { source.request_stop(); });
        try {
            EXPECT_EQ(task.get(), round);
        } catch (const Cancelled& error) {
            EXPECT_EQ(error.reason(), CancelReason::user);
        }
        stopper.join();
    }
}

TEST(LoopTest, A2_7_BlockingOnALoopsThreadIsRefusedUnlessTheTaskHasEnded) {
    const EventLoop loop;
    const Gate gate;
    const Task<int> pending = loop.create_task(pass(gate, 1));
    const Task<int> ended = loop.create_task(value_of(2));
    EXPECT_EQ(ended.get(), 2);
    const Flag looked;
    loop.call_soon([&pending, &ended, looked] {
        EXPECT_THROW(pending.get(), WouldDeadlock);
        EXPECT_THROW(pending.wait_for(1000ms), WouldDeadlock);
        EXPECT_FALSE(pending.wait_for(0ms));
        EXPECT_EQ(ended.get(), 2);
        looked.raise();
    });
    looked.wait();
    gate.open();
    EXPECT_EQ(pending.get(), 1);
}

TEST(LoopTest, A2_7_EmptyHandlesAreRefused) {
    const Task<int> empty;
    EXPECT_FALSE(static_cast<bool>(empty));
    EXPECT_EQ(code_of([&empty] { empty.get(); }), Errc::invalid_handle);
    EXPECT_EQ(code_of([&empty] { empty.done(); }), Errc::invalid_handle);
    empty.cancel();
}

asio::awaitable<void> tick(std::shared_ptr<std::atomic<int>> ticks, int wanted, Flag reached) {
    for (;;) {
        co_await next_turn();
        if (++*ticks == wanted) {
            reached.raise();
        }
    }
}

TEST(LoopTest, A3_6_ForgottenTaskTicksUntilItsLoopEnds) {
    auto ticks = std::make_shared<std::atomic<int>>(0);
    const Flag reached;
    {
        const EventLoop loop;
        loop.create_task(tick(ticks, 1000, reached), "heartbeat");
        reached.wait();
        EXPECT_EQ(loop.stats().pending_tasks, 1U);
        const ShutdownReport report = loop.shutdown();
        EXPECT_TRUE(report.drained);
        EXPECT_EQ(report.cancelled_tasks, 1U);
    }
    EXPECT_EQ(ticks.use_count(), 1) << "the coroutine is gone";
}

asio::awaitable<void> handle_message(Gate answer, Flag answered) {
    co_await answer.passed();
    answered.raise();
}

TEST(LoopTest, A3_8_HeartbeatGoesOnWhileAHandlerWaits) {
    const EventLoop loop;
    const Gate answer;
    const Flag answered;
    const Task<void> handler = loop.create_task(handle_message(answer, answered));
    auto ticks = std::make_shared<std::atomic<int>>(0);
    const Flag reached;
    const Task<void> heartbeat = loop.create_task(tick(ticks, 100, reached));
    reached.wait();
    EXPECT_FALSE(answered.raised());
    answer.open();
    handler.get();
    const int before = *ticks;
    heartbeat.cancel();
    EXPECT_EQ(reason_of([&heartbeat] { heartbeat.get(); }), CancelReason::user);
    EXPECT_GE(before, 100);
}

}  // namespace

}  // namespace llmproc::test
