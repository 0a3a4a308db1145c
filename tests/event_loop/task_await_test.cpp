// Tasks that coroutines wait for, of their own loop and of others; what a task knows.
#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/executor.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/task.hpp>
#include "event_loop/task_support.hpp"

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

namespace llmproc::test {

namespace {

asio::awaitable<int> await_twice(Task<int> task) {
    const int first = co_await task.result();
    const int second = co_await task.result();
    co_return first + second;
}

asio::awaitable<std::string> how_it_ends(Task<int> task) {
    try {
        const int value = co_await task.result();
        co_return std::to_string(value);
    } catch (const Cancelled& error) {
        co_return std::string(to_string(error.reason()));
    } catch (const Odd& error) {
        co_return std::string(error.what());
    }
}

TEST(LoopTest, A3_10_ResultIsSharedByAllThatAwaitIt) {
    const EventLoop loop;
    const EventLoop other;
    const Gate gate;
    const Task<int> task = loop.create_task(pass(gate, 21));
    const Task<int> here = loop.create_task(await_twice(task));
    const Task<int> there = other.create_task(await_twice(task));
    flush(loop);
    flush(other);
    gate.open();
    EXPECT_EQ(here.get(), 42);
    EXPECT_EQ(there.get(), 42);
    EXPECT_EQ(loop.create_task(await_twice(task)).get(), 42) << "a done one";
    EXPECT_EQ(other.create_task(await_twice(task)).get(), 42);
}

TEST(LoopTest, A3_10_FailedAndCancelledTasksThrowFromAnyLoop) {
    const EventLoop loop;
    const EventLoop other;
    const Gate never;
    const Task<int> failed = loop.create_task(fail_with("broken"));
    const Task<int> cancelled = loop.create_task(pass(never, 1));
    const Task<std::string> awaiting = other.create_task(how_it_ends(cancelled));
    flush(other);
    cancelled.cancel(CancelReason::abandoned);
    EXPECT_EQ(awaiting.get(), "abandoned");
    for (const EventLoop& waiter : {loop, other}) {
        EXPECT_EQ(waiter.create_task(how_it_ends(failed)).get(), "broken");
        EXPECT_EQ(waiter.create_task(how_it_ends(failed)).get(), "broken") << "when it is done";
        EXPECT_EQ(waiter.create_task(how_it_ends(cancelled)).get(), "abandoned");
    }
}

asio::awaitable<int> await_result(Task<int> task) {
    const int value = co_await task.result();
    co_return value;
}

TEST(LoopTest, A3_10_CancellationOfTheWaitLeavesTheAwaitedTaskAlone) {
    const EventLoop loop;
    const EventLoop other;
    for (const EventLoop& waiting_loop : {loop, other}) {
        const Gate gate;
        const Task<int> task = loop.create_task(pass(gate, 4));
        const Task<int> waiting = waiting_loop.create_task(await_result(task));
        flush(waiting_loop);
        waiting.cancel(CancelReason::sibling);
        EXPECT_EQ(reason_of([&waiting] { waiting.get(); }), CancelReason::sibling);
        EXPECT_FALSE(task.done());
        gate.open();
        EXPECT_EQ(task.get(), 4);
    }
}

TEST(LoopTest, A3_10_EnsureTaskTakesCoroutinesTasksAndFutures) {
    const EventLoop loop;
    EXPECT_EQ(loop.ensure_task(value_of(1)).get(), 1);
    const Task<int> task = loop.create_task(value_of(2));
    EXPECT_TRUE(loop.ensure_task(task) == task);
    std::promise<int> promise;
    const Task<int> from_future = loop.ensure_task(promise.get_future());
    EXPECT_FALSE(from_future.done());
    promise.set_value(3);
    EXPECT_EQ(from_future.get(), 3);
}

asio::awaitable<void> await_without_handle(EventLoop loop, Gate gate) {
    Task<void> task = loop.create_task(fail_at(gate));
    asio::awaitable<void> result = task.result();
    task = Task<void>();
    gate.open();
    co_await std::move(result);
}

TEST(LoopTest, A3_10_AwaitedErrorNeedsNoOtherHandle) {
    const EventLoop loop;
    const Reports reports(loop);
    EXPECT_THROW(loop.create_task(await_without_handle(loop, Gate())).get(), Odd);
    flush(loop);
    EXPECT_TRUE(reports.names().empty());
}

asio::awaitable<int> chain(EventLoop loop, int length) {
    int below = 0;
    if (length > 0) {
        const Task<int> next = loop.create_task(chain(loop, length - 1));
        below = co_await next.result();
    }
    co_return below + 1;
}

TEST(LoopTest, A3_10_LongChainsOfTasksNeedNoStack) {
    const EventLoop loop;
    EXPECT_EQ(loop.create_task(chain(loop, 20'000)).get(), 20'001);
}

asio::awaitable<void> await_and_fail(Task<int> task) {
    co_await task.result();
    throw Odd("escapes");
}

TEST(LoopTest, A3_10_ExceptionOfWhoAwaitsIsNotTheTasks) {
    // The awaiting coroutine runs inside the handler that ends the task.
    const EventLoop loop;
    const Reports reports(loop);
    const Gate gate;
    const Task<int> task = loop.create_task(pass(gate, 8));
    asio::co_spawn(loop.get_executor(), await_and_fail(task), [](const std::exception_ptr& error) {
        std::rethrow_exception(error);
    });
    flush(loop);
    gate.open();
    reports.wait_for(1);
    EXPECT_THROW(std::rethrow_exception(reports.error(0)), Odd);
    EXPECT_EQ(task.get(), 8);
    EXPECT_EQ(loop.stats().handler_exceptions, 1U);
}

asio::awaitable<bool> same_loop(EventLoop expected) {
    const EventLoop here = co_await this_loop();
    co_return here == expected;
}

asio::awaitable<std::string> task_name() {
    co_await next_turn();
    const ContextMap context = co_await this_context();
    const std::string* const name = context.get<std::string>("task");
    co_return name != nullptr ? *name : std::string();
}

asio::awaitable<std::string> child_sees(std::string key) {
    const EventLoop loop = co_await this_loop();
    const Task<std::string> child = loop.create_task(task_name(), "child");
    const std::string name = co_await child.result();
    const ContextMap here = current_context();
    const std::string* const value = here.get<std::string>(key);
    co_return name + " " + (value != nullptr ? *value : std::string("none"));
}

TEST(LoopTest, A3_10_TaskKnowsItsLoopNameAndContext) {
    const EventLoop loop;
    EXPECT_TRUE(loop.create_task(same_loop(loop)).get());
    EXPECT_TRUE(loop.create_task(same_loop(loop), "named").get());
    EXPECT_EQ(loop.create_task(task_name()).get(), "");
    EXPECT_EQ(loop.create_task(task_name(), "named").get(), "named");
    const RunOptions traced = RunOptions().context("trace", std::string("7"));
    EXPECT_EQ(loop.submit(child_sees("trace"), traced).get(), "child 7");
    EXPECT_EQ(loop.create_task(child_sees("trace")).get(), "child none")
        << "the child's context does not stay on the thread";
    EXPECT_TRUE(current_context().empty());
}

}  // namespace

}  // namespace llmproc::test
