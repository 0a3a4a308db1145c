#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/task.hpp>
#include "event_loop/loop_support.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/reaper.hpp"
#include "support/resources.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace llmproc::testing {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

/// Goes on waiting whatever happens.
asio::awaitable<void> stubborn(std::shared_ptr<asio::steady_timer> gate) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await gate->async_wait(asio::use_awaitable);
}

/// All that a handle offers; each either works or throws an LLMError.
void use_everything(const EventLoop& loop) {
    const auto attempt = [](auto use) {
        try {
            use();
        } catch (const LLMError& error) {
            EXPECT_TRUE(error.errc() == Errc::loop_closed || error.errc() == Errc::cancelled)
                << error.what();
        }
    };
    attempt([&loop] { loop.call_soon([] {}); });
    attempt([&loop] { loop.call_later(milliseconds(1), [] {}).cancel(); });
    attempt([&loop] { loop.every(milliseconds(1), [] {}).cancel(); });
    attempt([&loop] { loop.get_executor(); });
    attempt([&loop] { loop.own(1); });
    attempt([&loop] { loop.create_task(identity(1)); });
    attempt([&loop] { EXPECT_EQ(run_sync(loop, identity(2)), 2); });
    attempt([&loop] { loop.debug(LoopDebug().on_slow([](const SlowCallback&) {})); });
    attempt([&loop] { loop.debug_off(); });
    attempt([&loop] { loop.set_exception_handler(nullptr); });
    EXPECT_FALSE(loop.running_in_this_thread());
    loop.stats();
    loop.thread_id();
}

TEST(LoopEndTest, A3_16_ACopiedHandleMayBeUsedDuringAndAfterShutdown) {
    constexpr int rounds = 1'000;
    std::atomic<int> handed_over{0};
    std::vector<EventLoop> loops;
    loops.reserve(rounds);
    std::thread user([&] {
        for (int round = 0; round < rounds; ++round) {
            // Meets the shutdown wherever it is.
            int ready = handed_over.load();
            while (ready <= round) {
                handed_over.wait(ready);
                ready = handed_over.load();
            }
            const EventLoop copy = loops[static_cast<std::size_t>(round)];
            use_everything(copy);
        }
    });
    for (int round = 0; round < rounds; ++round) {
        EventLoop loop;
        loops.push_back(loop);
        ++handed_over;
        handed_over.notify_one();
        loop.shutdown();
        expect_errc(Errc::loop_closed, [&loop] { loop.call_soon([] {}); });
        expect_errc(Errc::loop_closed, [&loop] { loop.get_executor(); });
    }
    user.join();
}

TEST(LoopEndTest, A3_16_ThisLoopIsTheLoopOfAnyContext) {
    struct Asking {
        static asio::awaitable<EventLoop> body() { co_return co_await this_loop(); }
    };
    const EventLoop threaded;
    EXPECT_TRUE(run_sync(threaded, Asking::body()) == threaded);
    EXPECT_TRUE(threaded.create_task(Asking::body(), "named").get() == threaded);
    const EventLoop caller = EventLoop::on_caller();
    EXPECT_TRUE(caller.run_until_complete(Asking::body()) == caller);
    asio::io_context io;
    const EventLoop attached = EventLoop::attach(io);
    const Task<EventLoop> task = attached.create_task(Asking::body(), "named");
    io.run();
    EXPECT_TRUE(task.get() == attached);
    EXPECT_TRUE(EventLoop::attach(io) == attached);
    EXPECT_EQ(LoopCore::of(asio::make_strand(io)), attached.core());
    EXPECT_EQ(LoopCore::of(asio::make_strand(threaded.get_executor())), threaded.core());
}

TEST(LoopEndTest, ShutdownCancelsTasksInOrder) {
    const EventLoop loop;
    const Task<void> task = loop.create_task(for_ever());
    on_loop(loop, [] {});
    const ShutdownReport report = loop.shutdown();
    EXPECT_TRUE(report.drained);
    EXPECT_EQ(report.cancelled_tasks, 1U);
    EXPECT_EQ(report.abandoned, 0U);
    try {
        task.get();
        FAIL() << "no error";
    } catch (const Cancelled& error) {
        EXPECT_EQ(error.reason(), CancelReason::closed);
    }
    EXPECT_EQ(loop.shutdown().cancelled_tasks, 1U) << "the same report";
}

TEST(LoopEndTest, ConcurrentShutdownsWaitForOneEnd) {
    const EventLoop loop;
    const Task<void> task = loop.create_task(for_ever());
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            const ShutdownReport report = loop.shutdown();
            EXPECT_TRUE(report.drained);
            EXPECT_EQ(report.cancelled_tasks, 1U);
            EXPECT_TRUE(task.done());
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

TEST(LoopEndTest, WhatDoesNotEndInTimeIsAbandoned) {
    const EventLoop loop;
    auto gate = std::make_shared<asio::steady_timer>(
        loop.get_executor(),
        asio::steady_timer::time_point::max()
    );
    const Task<void> task = loop.create_task(stubborn(std::move(gate)));
    on_loop(loop, [] {});
    const ShutdownReport report = loop.shutdown(milliseconds(1));
    EXPECT_FALSE(report.drained);
    EXPECT_EQ(report.abandoned, 1U);
    expect_errc(Errc::loop_closed, [&task] { task.get(); });
}

TEST(LoopEndTest, AStuckHandlerIsLeftBehind) {
    auto release = std::make_shared<std::promise<void>>();
    std::promise<void> stuck;
    std::promise<void> left;
    {
        const EventLoop loop;
        const Task<void> task = loop.create_task(for_ever());
        loop.call_soon([&, gate = release->get_future().share()] {
            stuck.set_value();
            gate.wait();
            left.set_value();
        });
        stuck.get_future().get();
        const ShutdownReport report = loop.shutdown(milliseconds(1));
        EXPECT_FALSE(report.drained);
        EXPECT_EQ(report.abandoned, 1U);
        expect_errc(Errc::loop_closed, [&task] { task.get(); });
    }
    release->set_value();
    left.get_future().get();
}

TEST(LoopEndTest, ShutdownOnTheLoopsThreadOnlyRequests) {
    const EventLoop loop;
    const Task<void> task = loop.create_task(for_ever());
    on_loop(loop, [&] {
        EXPECT_EQ(loop.shutdown().cancelled_tasks, 1U);
        EXPECT_FALSE(task.done()) << "it ends at a later turn";
        expect_errc(Errc::loop_closed, [&loop] { loop.call_soon([] {}); });
    });
    EXPECT_TRUE(loop.shutdown().drained);
    EXPECT_TRUE(task.done());
}

TEST(LoopEndTest, TheLastHandleEndsTasksAndMayDieOnTheLoop) {
    std::optional<Task<void>> task;
    {
        const EventLoop loop;
        task = loop.create_task(for_ever());
        on_loop(loop, [] {});
    }
    EXPECT_TRUE(task->done());
    expect_errc(Errc::cancelled, [&task] { task->get(); });

    Counter dropped;
    {
        std::promise<std::unique_ptr<EventLoop>> handed_over;
        auto loop = std::make_unique<EventLoop>();
        task = loop->create_task(for_ever());
        loop->call_soon([&dropped,
                         last = std::make_shared<std::future<std::unique_ptr<EventLoop>>>(
                             handed_over.get_future()
                         )] {
            last->get().reset();
            dropped.add();
        });
        handed_over.set_value(std::move(loop));
    }
    dropped.wait_for(1);
    EXPECT_TRUE(task->wait_for(milliseconds(60'000)));
    reap_within(milliseconds(60'000));
}

TEST(LoopEndTest, AnAttachedLoopNeverKeepsItsContextRunning) {
    asio::io_context io;
    const EventLoop loop = EventLoop::attach(io);
    EXPECT_EQ(io.run(), 0U);
    io.restart();
    const Task<int> task = loop.create_task(identity(3), "three");
    loop.debug(LoopDebug().lag_interval(milliseconds(1)));
    io.run();
    EXPECT_EQ(task.get(), 3);
}

TEST(LoopEndTest, AnAttachedLoopIsLeftByItsTasks) {
    asio::io_context io;
    const EventLoop loop = EventLoop::attach(io);
    const Task<void> task = loop.create_task(for_ever());
    bool alive = false;
    asio::steady_timer later(io, asio::steady_timer::time_point::max());
    later.async_wait([&alive](const boost::system::error_code&) { alive = true; });
    std::thread runner([&io] { io.run(); });
    const ShutdownReport report = loop.shutdown(milliseconds(60'000));
    EXPECT_TRUE(report.drained);
    EXPECT_EQ(report.cancelled_tasks, 1U);
    EXPECT_TRUE(task.cancelled());
    expect_errc(Errc::loop_closed, [&loop] { loop.call_soon([] {}); });
    asio::post(io, [&later] { later.cancel(); });
    runner.join();
    EXPECT_TRUE(alive) << "the io_context went on";
}

TEST(LoopEndTest, TheDeathOfAnAttachedContextEndsWhatRunsOnIt) {
    std::optional<EventLoop> loop;
    std::optional<Task<void>> task;
    ScheduledCall later;
    {
        asio::io_context io;
        loop = EventLoop::attach(io);
        task = loop->create_task(for_ever());
        later = loop->call_later(std::chrono::hours(1), [] {});
        loop->every(milliseconds(1), [] {});
        io.poll();
        EXPECT_FALSE(task->done());
    }
    expect_errc(Errc::loop_closed, [&task] { task->get(); });
    EXPECT_FALSE(later.pending());
    later.cancel();
    use_everything(*loop);
    EXPECT_TRUE(loop->shutdown().drained);
}

TEST(LoopEndTest, CallbacksOfAnAttachedLoopRunInOrderOnManyThreads) {
    asio::io_context io;
    const EventLoop loop = EventLoop::attach(io);
    std::vector<int> order;
    for (int i = 0; i < 1'000; ++i) {
        loop.call_soon([&order, i] { order.push_back(i); });
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&io] { io.run(); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    ASSERT_EQ(order.size(), 1'000U);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

}  // namespace
}  // namespace llmproc::testing
