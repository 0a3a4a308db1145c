// A3.11 and F26: functions off the loop whose coroutine is cancelled or dies.
#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/executor.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/task.hpp>
#include "event_loop/executor_support.hpp"
#include "support/drive.hpp"
#include "support/gate.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using testing::add;
using testing::errc_from;
using testing::Gate;
using testing::OwnError;
using testing::Witness;

TEST(ExecutorCancelTest, A3_11_CancellationEndsTheWaitAndTellsTheFunction) {
    const EventLoop loop;
    const Executor executor(1);
    Gate begun;
    Gate gate;
    Gate told;
    const Task<int> task = loop.create_task(run_in_executor(executor, [&](std::stop_token stop) {
        const std::stop_callback on_stop(stop, [&told] { told.open(); });
        begun.open();
        gate.wait();
        return 1;
    }));
    begun.wait();
    task.cancel();
    // It ends although the function does not.
    try {
        task.get();
        ADD_FAILURE();
    } catch (const Cancelled& cancelled) {
        EXPECT_EQ(cancelled.reason(), CancelReason::user);
    }
    told.wait();
    EXPECT_EQ(executor.stats().running, 1U);
    gate.open();
    EXPECT_EQ(run_sync(loop, run_in_executor(executor, add, 1, 1)), 2);
    EXPECT_EQ(executor.stats().running, 0U);
}

awaitable<Errc> cancelled_with(Executor executor, std::shared_ptr<Gate> gate) {
    auto wait = [gate] { gate->wait(); };
    try {
        co_await run_in_executor(executor, wait);
    } catch (const LLMError& error) {
        co_return error.errc();
    }
    co_return Errc{};
}

TEST(ExecutorCancelTest, A3_11_ACoroutineOfAsioGetsATypedError) {
    asio::io_context io;
    const auto gate = std::make_shared<Gate>();
    const Executor executor(1);
    asio::cancellation_signal signal;
    std::optional<Errc> ended;
    asio::co_spawn(
        io,
        cancelled_with(executor, gate),
        asio::bind_cancellation_slot(
            signal.slot(),
            [&ended](const std::exception_ptr&, Errc code) { ended = code; }
        )
    );
    io.poll();
    signal.emit(asio::cancellation_type::terminal);
    EXPECT_EQ(ended, std::nullopt) << "not inside of emit";
    io.run();
    EXPECT_EQ(ended, Errc::cancelled);
    gate->open();
}

TEST(ExecutorCancelTest, A3_11_AJobThatHasNotBegunIsDropped) {
    const EventLoop loop;
    const Executor executor(1);
    Gate begun;
    Gate gate;
    const Task<void> running = loop.create_task(run_in_executor(executor, [&] {
        begun.open();
        gate.wait();
    }));
    begun.wait();
    std::atomic<bool> ran{false};
    Witness witness;
    const Task<void> queued = loop.create_task(
        run_in_executor(executor, [&ran, held = witness.hold()] { ran = true; })
    );
    run_sync(loop, testing::turn());  // The task has begun.
    EXPECT_EQ(executor.stats().queued, 1U);
    queued.cancel();
    EXPECT_EQ(
        errc_from([&] {
            queued.get();
            return 0;
        }),
        Errc::cancelled
    );
    EXPECT_EQ(executor.stats().queued, 0U);
    EXPECT_TRUE(witness.gone());
    EXPECT_EQ(witness.died_on(), loop.thread_id());
    gate.open();
    running.get();
    EXPECT_FALSE(ran);
}

TEST(ExecutorCancelTest, F26_ACancelledJobFinishesUnobserved) {
    const Executor executor(1);
    Gate begun;
    Gate gate;
    Witness function;
    Witness result;
    {
        const EventLoop loop;
        Task<std::shared_ptr<int>> task = loop.create_task(run_in_executor(
            executor,
            [&, held = function.hold(), made = result.hold()]() mutable {
                begun.open();
                gate.wait();
                return std::move(made);
            }
        ));
        begun.wait();
        task.cancel();
        EXPECT_EQ(errc_from([&] { return task.get(); }), Errc::cancelled);
        EXPECT_FALSE(function.gone());
    }
    // The loop, its task and the coroutine are gone; the function still runs.
    EXPECT_EQ(executor.stats().running, 1U);
    EXPECT_FALSE(function.gone());
    gate.open();
    function.wait_gone();
    result.wait_gone();
    EXPECT_NE(function.died_on(), std::this_thread::get_id());
}

TEST(ExecutorCancelTest, F26_TheLoopMayBeDestroyedWhileAJobRuns) {
    const Executor executor(1);
    Gate begun;
    Gate gate;
    Gate told;
    Witness witness;
    {
        asio::io_context io;
        asio::co_spawn(
            io,
            run_in_executor(
                executor,
                [&, held = witness.hold()](std::stop_token stop) {
                    const std::stop_callback on_stop(stop, [&told] { told.open(); });
                    begun.open();
                    gate.wait();
                    throw OwnError("nobody listens");
                }
            ),
            [](const std::exception_ptr&) { ADD_FAILURE() << "it is never resumed"; }
        );
        io.poll();
        begun.wait();
    }
    told.wait();
    gate.open();
    witness.wait_gone();
}

TEST(ExecutorCancelTest, F26_AJobInTheQueueDiesWithTheLoopThatAwaitsIt) {
    const Executor executor(1);
    const EventLoop other;
    Gate begun;
    Gate gate;
    const Task<void> running = other.create_task(run_in_executor(executor, [&] {
        begun.open();
        gate.wait();
    }));
    begun.wait();
    Witness witness;
    std::atomic<bool> ran{false};
    {
        asio::io_context io;
        asio::co_spawn(
            io,
            run_in_executor(executor, [&ran, held = witness.hold()] { ran = true; }),
            [](const std::exception_ptr&) { ADD_FAILURE() << "it is never resumed"; }
        );
        io.poll();
        EXPECT_EQ(executor.stats().queued, 1U);
    }
    EXPECT_EQ(executor.stats().queued, 0U);
    EXPECT_TRUE(witness.gone());
    gate.open();
    running.get();
    EXPECT_FALSE(ran);
}

TEST(ExecutorCancelTest, F26_CancelRacesWithTheEndOfTheJob) {
    const Executor executor(2);
    const EventLoop loop;
    int finished = 0;
    Witness witness;
    for (int i = 0; i < 500; ++i) {
        const Task<int> task = loop.create_task(run_in_executor(executor, [held = witness.hold()] {
            return 1;
        }));
        if (i % 3 == 0) {
            run_sync(loop, testing::turn());
        }
        task.cancel();
        const std::optional<Errc> end = errc_from([&task] { return task.get(); });
        EXPECT_TRUE(!end || end == Errc::cancelled);
        finished += end ? 0 : 1;
    }
    EXPECT_LE(finished, 500);
    EXPECT_EQ(run_sync(loop, run_in_executor(executor, add, 1, 1)), 2);
    witness.wait_gone();
}

}  // namespace
}  // namespace llmproc
