// A3.11: functions off the loop.
#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/executor.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/task.hpp>
#include "event_loop/executor_support.hpp"
#include "support/drive.hpp"
#include "support/gate.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using testing::add;
using testing::errc_from;
using testing::Gate;
using testing::OwnError;
using testing::Witness;

std::thread::id this_thread() {
    return std::this_thread::get_id();
}

struct Counter {
    int value = 0;
    int grow(int by) { return value += by; }
    bool stoppable(std::stop_token stop, int by) {
        value += by;
        return stop.stop_possible();
    }
};

struct Threads {
    std::thread::id before;
    std::thread::id inside;
    std::thread::id after;
};

template <typename... Where>
awaitable<Threads> threads_of_a_job(Where... where) {
    Threads threads;
    threads.before = this_thread();
    threads.inside = co_await run_in_executor(where..., this_thread);
    threads.after = this_thread();
    co_return threads;
}

TEST(ExecutorTest, A3_11_TheFunctionRunsOffTheLoopAndTheCoroutineResumesOnIt) {
    const EventLoop loop;
    const Threads threads = run_sync(loop, threads_of_a_job());
    EXPECT_EQ(threads.before, loop.thread_id());
    EXPECT_EQ(threads.after, loop.thread_id());
    EXPECT_NE(threads.inside, loop.thread_id());
    EXPECT_NE(threads.inside, this_thread());
    const Threads own = run_sync(loop, threads_of_a_job(Executor(1)));
    EXPECT_EQ(own.after, loop.thread_id());
    EXPECT_NE(own.inside, threads.inside);
}

awaitable<void> on_strand(asio::strand<asio::io_context::executor_type> strand, Executor executor) {
    for (int i = 0; i < 50; ++i) {
        co_await run_in_executor(executor, [] {});
        EXPECT_TRUE(strand.running_in_this_thread());
    }
}

TEST(ExecutorTest, A3_11_ItResumesOnTheAwaitersOwnStrand) {
    asio::io_context io;
    const Executor executor(2);
    std::vector<std::exception_ptr> errors(8);
    for (std::exception_ptr& error : errors) {
        const auto strand = asio::make_strand(io);
        asio::co_spawn(strand, on_strand(strand, executor), [&error](std::exception_ptr failure) {
            error = std::move(failure);
        });
    }
    std::thread second([&io] { io.run(); });
    io.run();
    second.join();
    for (const std::exception_ptr& error : errors) {
        EXPECT_FALSE(error);
    }
}

awaitable<void> call_all_kinds(Executor executor) {
    const int sum = co_await run_in_executor(executor, add, 1, 2);
    EXPECT_EQ(sum, 3);
    const int by_pointer = co_await run_in_executor(executor, &add, 2, 2);
    EXPECT_EQ(by_pointer, 4);

    Counter counter;
    const int grown = co_await run_in_executor(executor, &Counter::grow, &counter, 5);
    EXPECT_EQ(grown, 5);
    EXPECT_EQ(counter.value, 5);
    const int copy_grown = co_await run_in_executor(executor, &Counter::grow, counter, 5);
    EXPECT_EQ(copy_grown, 10);
    EXPECT_EQ(counter.value, 5);
    const bool told = co_await run_in_executor(executor, &Counter::stoppable, &counter, 1);
    EXPECT_TRUE(told);

    auto owner = std::make_unique<int>(7);
    auto take = [kept = std::make_unique<int>(1)](std::unique_ptr<int> given) mutable {
        *given += *kept;
        return given;
    };
    const auto moved = co_await run_in_executor(executor, std::move(take), std::move(owner));
    EXPECT_EQ(*moved, 8);

    int target = 0;
    auto set = [](int& to) { to = 9; };
    co_await run_in_executor(executor, set, std::ref(target));
    EXPECT_EQ(target, 9);

    auto join = [](std::string a, const std::string& b) { return a + b; };
    const std::string joined = co_await run_in_executor(executor, join, "a", "b");
    EXPECT_EQ(joined, "ab");

    auto reference = [&target]() -> int& { return target; };
    const int decayed = co_await run_in_executor(executor, reference);
    EXPECT_EQ(decayed, 9);

    const std::function<int()> function = [] { return 4; };
    const int called = co_await run_in_executor(executor, function);
    EXPECT_EQ(called, 4);
}

TEST(ExecutorTest, A3_11_AnythingThatCanBeCalled) {
    const EventLoop loop;
    run_sync(loop, call_all_kinds(Executor(1)));
}

awaitable<std::string> changed_meanwhile(Executor executor) {
    std::string text = "before";
    auto copy = [](const std::string& given) { return given; };
    awaitable<std::string> call = run_in_executor(executor, copy, text);
    text = "after";
    co_return co_await std::move(call);
}

TEST(ExecutorTest, A3_11_ArgumentsAreCopiedWhenItIsCalled) {
    const EventLoop loop;
    EXPECT_EQ(run_sync(loop, changed_meanwhile(Executor(1))), "before");
}

TEST(ExecutorTest, A3_11_ResultsNeedNoDefaultConstructor) {
    struct Row {
        explicit Row(int given) : number(given) {}
        Row(Row&&) = default;
        int number;
    };
    static_assert(std::is_same_v<decltype(run_in_executor([] { return Row(1); })), awaitable<Row>>);
    static_assert(std::is_same_v<decltype(run_in_executor([] {})), awaitable<void>>);
    static_assert(std::is_same_v<decltype(run_in_executor(add, 1, 2)), awaitable<int>>);
    const EventLoop loop;
    EXPECT_EQ(run_sync(loop, run_in_executor([] { return Row(3); })).number, 3);
    EXPECT_EQ(loop.run_in_executor(add, 3, 4).get(), 7);
}

TEST(ExecutorTest, A3_11_WhatTheFunctionThrowsKeepsItsType) {
    const EventLoop loop;
    const Executor executor(1);
    try {
        run_sync(loop, run_in_executor(executor, [] { throw OwnError("mine"); }));
        ADD_FAILURE();
    } catch (const OwnError& error) {
        EXPECT_STREQ(error.what(), "mine");
    }
    try {
        run_sync(loop, run_in_executor(executor, []() -> int { throw 7; }));
        ADD_FAILURE();
    } catch (int number) {
        EXPECT_EQ(number, 7);
    }
    EXPECT_EQ(executor.stats().running, 0U);
}

awaitable<int> job_after_job(Executor executor, int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
        sum = co_await run_in_executor(executor, add, sum, 1);
    }
    co_return sum;
}

TEST(ExecutorTest, A3_11_TenThousandJobs) {
    const EventLoop loop;
    const Executor executor(2, 10'000);
    EXPECT_EQ(run_sync(loop, job_after_job(executor, 2'000)), 2'000);
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 10'000; ++i) {
        tasks.push_back(loop.create_task(run_in_executor(executor, add, i, 1)));
    }
    for (int i = 0; i < 10'000; ++i) {
        EXPECT_EQ(tasks[static_cast<std::size_t>(i)].get(), i + 1);
    }
    const ExecutorStats stats = executor.stats();
    EXPECT_EQ(stats.jobs, 12'000U);
    EXPECT_EQ(stats.refused, 0U);
    EXPECT_EQ(stats.running, 0U);
    EXPECT_EQ(stats.queued, 0U);
    EXPECT_LE(stats.threads, 2U);
}

TEST(ExecutorTest, A3_11_AFullQueueIsAnError) {
    const EventLoop loop;
    const Executor executor(1, 1);
    Gate gate;
    Gate begun;
    const Task<void> running = loop.create_task(run_in_executor(executor, [&] {
        begun.open();
        gate.wait();
    }));
    begun.wait();
    const Task<int> waiting = loop.create_task(run_in_executor(executor, add, 1, 1));
    const auto one_more = [&] { return run_sync(loop, run_in_executor(executor, add, 2, 2)); };
    EXPECT_EQ(errc_from(one_more), Errc::queue_full);
    EXPECT_EQ(executor.stats().refused, 1U);
    gate.open();
    EXPECT_EQ(waiting.get(), 2);
    EXPECT_EQ(one_more(), 4) << "the executor goes on";
}

TEST(ExecutorTest, A3_11_AnExecutorNeedsThreads) {
    EXPECT_EQ(errc_from([] { return Executor(0); }), Errc::invalid_argument);
    EXPECT_GE(Executor::shared().pool().use_count(), 2);
    EXPECT_EQ(Executor::shared().pool(), Executor::shared().pool());
}

TEST(ExecutorTest, A3_11_TheEndOfTheExecutorEndsTheWaits) {
    const EventLoop loop;
    Gate begun;
    Gate stopped;
    std::optional<Executor> executor(std::in_place, 1U);
    const Task<void> running =
        loop.create_task(run_in_executor(*executor, [&](std::stop_token stop) {
            const std::stop_callback on_stop(stop, [&stopped] { stopped.open(); });
            begun.open();
            stopped.wait();
        }));
    begun.wait();
    std::atomic<bool> ran{false};
    const Task<void> queued = loop.create_task(run_in_executor(*executor, [&ran] { ran = true; }));
    run_sync(loop, testing::turn());
    awaitable<int> later = run_in_executor(*executor, add, 1, 1);
    executor.reset();
    running.get();
    EXPECT_EQ(
        errc_from([&] {
            queued.get();
            return 0;
        }),
        Errc::loop_closed
    );
    EXPECT_EQ(errc_from([&] { return run_sync(loop, std::move(later)); }), Errc::loop_closed);
    EXPECT_FALSE(ran);
}

TEST(ExecutorTest, A3_11_AThreadPoolOfAsio) {
    const EventLoop loop;
    asio::thread_pool pool(1);
    const auto inside = run_sync(loop, run_in_executor(pool, this_thread));
    EXPECT_NE(inside, loop.thread_id());
    EXPECT_EQ(run_sync(loop, run_in_executor(pool, add, 1, 2)), 3);
    EXPECT_THROW(run_sync(loop, run_in_executor(pool, [] { throw OwnError("mine"); })), OwnError);

    Gate begun;
    Gate gate;
    Gate told;
    const Task<void> task = loop.create_task(run_in_executor(pool, [&](std::stop_token stop) {
        const std::stop_callback on_stop(stop, [&told] { told.open(); });
        begun.open();
        gate.wait();
    }));
    begun.wait();
    task.cancel();
    EXPECT_EQ(
        errc_from([&] {
            task.get();
            return 0;
        }),
        Errc::cancelled
    );
    told.wait();
    gate.open();
    pool.join();
}

TEST(ExecutorTest, A3_11_AThreadPoolThatDiesWithoutRunningTheJobEndsTheWait) {
    const EventLoop loop;
    auto pool = std::make_unique<asio::thread_pool>(1);
    pool->stop();
    pool->join();
    std::atomic<bool> ran{false};
    Witness witness;
    const Task<void> task = loop.create_task(run_in_executor(*pool, [&ran, held = witness.hold()] {
        ran = true;
    }));
    const Task<void> cancelled = loop.create_task(run_in_executor(*pool, [&ran] { ran = true; }));
    run_sync(loop, testing::turn());
    cancelled.cancel();
    EXPECT_EQ(
        errc_from([&] {
            cancelled.get();
            return 0;
        }),
        Errc::cancelled
    );
    EXPECT_FALSE(task.done());
    pool.reset();
    EXPECT_EQ(
        errc_from([&] {
            task.get();
            return 0;
        }),
        Errc::loop_closed
    );
    EXPECT_FALSE(ran);
    EXPECT_TRUE(witness.gone());
}

TEST(ExecutorTest, A3_11_AFutureBecomesATask) {
    const EventLoop loop;
    std::promise<int> promise;
    const Task<int> task = loop.ensure_task(promise.get_future());
    promise.set_value(5);
    EXPECT_EQ(task.get(), 5);
}

TEST(ExecutorTest, A3_11_PoolInPoolIsRefusedInsteadOfADeadlock) {
    const EventLoop loop;
    const Executor executor(2);
    // Each blocks a thread of the executor for a job that needs another one.
    auto nested = [loop, executor](Gate* mine, Gate* other) -> std::optional<Errc> {
        mine->open();
        other->wait();
        return errc_from([&] { return run_sync(loop, run_in_executor(executor, add, 1, 1)); });
    };
    Gate first;
    Gate second;
    const Task<std::optional<Errc>> a = loop.create_task(
        run_in_executor(executor, nested, &first, &second)
    );
    const Task<std::optional<Errc>> b = loop.create_task(
        run_in_executor(executor, nested, &second, &first)
    );
    const std::set<std::optional<Errc>> ends = {a.get(), b.get()};
    EXPECT_EQ(ends.count(Errc::would_deadlock), 1U);
    for (const std::optional<Errc> end : ends) {
        EXPECT_TRUE(!end || end == Errc::would_deadlock);
    }
    EXPECT_EQ(run_sync(loop, run_in_executor(executor, add, 1, 1)), 2) << "it goes on";
}

TEST(ExecutorTest, A3_11_PoolInPoolIsRefusedThroughATaskToo) {
    const EventLoop loop;
    const Executor executor(1);
    auto nested = [loop, executor]() -> std::optional<Errc> {
        const Task<int> task = loop.create_task(run_in_executor(executor, add, 1, 1));
        return errc_from([&task] { return task.get(); });
    };
    EXPECT_EQ(run_sync(loop, run_in_executor(executor, nested)), Errc::would_deadlock);
    auto other = [loop] { return run_sync(loop, run_in_executor(Executor(1), add, 1, 1)); };
    EXPECT_EQ(run_sync(loop, run_in_executor(executor, other)), 2) << "another pool is fine";
}

}  // namespace
}  // namespace llmproc
