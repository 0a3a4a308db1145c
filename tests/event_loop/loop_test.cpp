#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/task.hpp>
#include "event_loop/loop_support.hpp"
#include "support/resources.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <csignal>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::testing {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

asio::awaitable<std::thread::id> thread_of_coroutine() {
    co_return std::this_thread::get_id();
}

TEST(LoopTest, A1_3_EveryCallRunsOnTheSameThread) {
    const EventLoop loop;
    const std::thread::id first = run_sync(loop, thread_of_coroutine());
    EXPECT_EQ(first, loop.thread_id());
    for (int call = 1; call < 100; ++call) {
        ASSERT_EQ(run_sync(loop, thread_of_coroutine()), first);
    }
}

TEST(LoopTest, A1_5_CallsCostNoThreadsOrDescriptors) {
    const EventLoop loop;
    run_sync(loop, identity(0));
    const Resources before = Resources::now();
    for (int call = 0; call < 10'000; ++call) {
        ASSERT_EQ(run_sync(loop, identity(call)), call);
    }
    EXPECT_EQ(settled(before, milliseconds(2000)), before);
}

TEST(LoopTest, A1_5_ALoopCostsOneThreadAndThreeDescriptors) {
    run_sync(identity(0));
    const Resources before = Resources::now();
    {
        const EventLoop loop;
        const Resources with_loop{before.threads + 1, before.descriptors + 3};
        EXPECT_EQ(settled(with_loop, milliseconds(2000)), with_loop);
    }
    EXPECT_EQ(settled(before, milliseconds(2000)), before);
}

TEST(LoopTest, A1_7_BackgroundWorkGoesOnBetweenCalls) {
    const EventLoop loop;
    Counter ticks;
    const ScheduledCall tick = loop.every(milliseconds(1), [&ticks] { ticks.add(); });
    EXPECT_EQ(run_sync(loop, identity(1)), 1);
    // Nobody is blocked in a call now.
    ticks.wait_for(ticks.value() + 20);
    EXPECT_EQ(run_sync(loop, identity(2)), 2);
    ticks.wait_for(ticks.value() + 20);
    EXPECT_TRUE(tick.pending());
    loop.shutdown();
    EXPECT_FALSE(tick.pending());
}

TEST(LoopTest, A2_4_TheGlobalLoopIsStartedOnceWhateverThreadsRace) {
    constexpr std::size_t racers = 64;
    std::barrier<> start(racers);
    std::vector<std::thread::id> seen(racers);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < racers; ++i) {
        threads.emplace_back([&start, &seen, i] {
            start.arrive_and_wait();
            seen[i] = run_sync(thread_of_coroutine());
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(std::set<std::thread::id>(seen.begin(), seen.end()).size(), 1U);
    EXPECT_EQ(seen.front(), EventLoop::global().thread_id());
    EXPECT_EQ(threads_named("llm-loop-main"), 1U);
    EXPECT_TRUE(EventLoop::global() == EventLoop::global());
}

TEST(LoopTest, A3_2_CallbacksRunInOrder) {
    const EventLoop loop;
    std::vector<int> order;
    on_loop(loop, [&] {
        for (int i = 0; i < 100; ++i) {
            loop.call_soon([&order, i] { order.push_back(i); });
        }
        EXPECT_TRUE(order.empty()) << "at its next turn, not at once";
    });
    on_loop(loop, [] {});
    ASSERT_EQ(order.size(), 100U);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
    }
}

TEST(LoopTest, A3_2_CallbacksOfEachThreadRunInItsOrder) {
    const EventLoop loop;
    constexpr int senders = 4;
    std::vector<std::vector<int>> order(senders);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < senders; ++t) {
        threads.emplace_back([&loop, &mine = order[t]] {
            for (int i = 0; i < 200; ++i) {
                loop.call_soon([&mine, i] { mine.push_back(i); });
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    on_loop(loop, [] {});
    for (const std::vector<int>& mine : order) {
        EXPECT_EQ(mine.size(), 200U);
        EXPECT_TRUE(std::is_sorted(mine.begin(), mine.end()));
    }
}

TEST(LoopTest, A3_2_LaterCallbacksRunWhenTheyAreDue) {
    const EventLoop loop;
    Lines lines;
    on_loop(loop, [&] {
        loop.call_later(milliseconds(20), [&lines] { lines.add("second"); });
        loop.call_later(milliseconds(1), [&lines] { lines.add("first"); });
        loop.call_later(milliseconds(-1), [&lines] { lines.add("now"); });
    });
    EXPECT_EQ(lines.wait_for(3), (std::vector<std::string>{"now", "first", "second"}));
    const ScheduledCall never = loop.call_later(milliseconds::max(), [] {});
    EXPECT_TRUE(never.pending());
    EXPECT_TRUE(loop.shutdown().drained) << "a callback that is not due holds nothing up";
    EXPECT_FALSE(never.pending());
}

TEST(LoopTest, A3_2_CancelledCallbacksDoNotRun) {
    const EventLoop loop;
    bool ran = false;
    auto held = std::make_shared<int>(1);
    const std::weak_ptr<int> alive = held;
    on_loop(loop, [&] {
        ScheduledCall soon = loop.call_soon([&ran] { ran = true; });
        ScheduledCall later = loop.call_later(milliseconds(1), [&ran] { ran = true; });
        ScheduledCall often = loop.every(milliseconds(1), [&ran] { ran = true; });
        ScheduledCall holding = loop.call_later(milliseconds(1), [held] {});
        held.reset();
        for (ScheduledCall* const call : {&soon, &later, &often, &holding}) {
            EXPECT_TRUE(call->pending());
            call->cancel();
            call->cancel();
            EXPECT_FALSE(call->pending());
        }
    });
    EXPECT_TRUE(alive.expired());
    Counter later;
    loop.call_later(milliseconds(5), [&later] { later.add(); });
    later.wait_for(1);
    EXPECT_FALSE(ran);
    ScheduledCall none;
    none.cancel();
    EXPECT_FALSE(none.pending());
}

TEST(LoopTest, A3_2_AThrowingCallbackIsReportedAndTheLoopGoesOn) {
    const EventLoop loop;
    Lines reports;
    loop.set_exception_handler([&reports](const std::exception_ptr& error, std::string_view name) {
        try {
            std::rethrow_exception(error);
        } catch (const std::exception& failure) {
            reports.add(std::string(name) + ": " + failure.what());
        }
    });
    loop.call_soon([] { throw std::runtime_error("one"); }, "soon");
    loop.call_later(
        milliseconds(0),
        [] { throw std::runtime_error("two"); },
        "later"
    );
    EXPECT_EQ(reports.wait_for(2), (std::vector<std::string>{"soon: one", "later: two"}));
    EXPECT_EQ(on_loop(loop, [] { return 7; }), 7);
    expect_errc(Errc::invalid_argument, [&loop] { loop.call_soon(nullptr); });
}

/// Things of the user that must die before the io_context.
struct UserObjects {
    UserObjects(const asio::any_io_executor& executor, Lines& end)
        : timer(executor, asio::steady_timer::time_point::max()),
          acceptor(executor, asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
          signals(std::make_unique<asio::signal_set>(executor, SIGUSR2)),
          lines(&end) {}
    UserObjects(UserObjects&& other) noexcept
        : timer(std::move(other.timer)),
          acceptor(std::move(other.acceptor)),
          signals(std::move(other.signals)),
          lines(std::exchange(other.lines, nullptr)),
          thread(other.thread) {}
    UserObjects& operator=(UserObjects&&) = delete;
    ~UserObjects() {
        if (lines != nullptr) {
            lines->add(std::this_thread::get_id() == thread ? "on the loop" : "elsewhere");
        }
    }

    asio::steady_timer timer;
    asio::ip::tcp::acceptor acceptor;
    std::unique_ptr<asio::signal_set> signals;
    Lines* lines;
    std::thread::id thread;
};

TEST(LoopTest, A3_3_OwnedObjectsDieOnTheLoopBeforeItDoes) {
    Lines end;
    std::weak_ptr<UserObjects> weak;
    {
        const EventLoop loop;
        UserObjects objects(loop.get_executor(), end);
        objects.thread = loop.thread_id();
        weak = loop.own(std::move(objects));
        on_loop(loop, [&weak] {
            const std::shared_ptr<UserObjects> live = weak.lock();
            ASSERT_TRUE(live);
            live->timer.async_wait([](const boost::system::error_code&) {});
            live->acceptor.async_accept([](const boost::system::error_code&,
                                           const asio::ip::tcp::socket&) {});
            live->signals->async_wait([](const boost::system::error_code&, int) {});
        });
        const ShutdownReport report = loop.shutdown();
        EXPECT_TRUE(report.drained);
        EXPECT_TRUE(weak.expired());
        expect_errc(Errc::loop_closed, [&loop] { loop.own(1); });
    }
    EXPECT_EQ(end.all(), std::vector<std::string>{"on the loop"});
}

TEST(LoopTest, A3_3_OwnedObjectsDieAfterTheTasksThatUseThem) {
    Lines order;
    struct Kept {
        explicit Kept(Lines& to) : lines(&to) {}
        Kept(Kept&& other) noexcept : lines(std::exchange(other.lines, nullptr)) {}
        Kept& operator=(Kept&&) = delete;
        ~Kept() {
            if (lines != nullptr) {
                lines->add("object");
            }
        }
        Lines* lines;
    };
    struct Leaving {
        explicit Leaving(Lines& to) : lines(&to) {}
        Leaving(const Leaving&) = delete;
        Leaving& operator=(const Leaving&) = delete;
        ~Leaving() { lines->add("task"); }
        Lines* lines;
    };
    struct User {
        static asio::awaitable<void> body(Lines& lines) {
            const Leaving leaving(lines);
            co_await for_ever();
        }
    };
    const EventLoop loop;
    loop.own(Kept(order));
    const Task<void> task = loop.create_task(User::body(order));
    on_loop(loop, [] {});
    const ShutdownReport report = loop.shutdown();
    EXPECT_TRUE(report.drained);
    EXPECT_EQ(report.cancelled_tasks, 1U);
    EXPECT_TRUE(task.cancelled());
    EXPECT_EQ(order.all(), (std::vector<std::string>{"task", "object"}));
}

TEST(LoopTest, A3_3_OwnedObjectsOfAnAttachedLoopDieWithItsContext) {
    Lines end;
    std::weak_ptr<UserObjects> weak;
    EventLoop left = EventLoop::on_caller();
    {
        asio::io_context io;
        left = EventLoop::attach(io);
        UserObjects objects(left.get_executor(), end);
        objects.thread = std::this_thread::get_id();
        weak = left.own(std::move(objects));
        weak.lock()->timer.async_wait([](const boost::system::error_code&) {});
        io.poll();
        EXPECT_FALSE(weak.expired());
    }
    EXPECT_TRUE(weak.expired());
    EXPECT_EQ(end.all(), std::vector<std::string>{"on the loop"});
    expect_errc(Errc::loop_closed, [&left] { left.call_soon([] {}); });
    expect_errc(Errc::loop_closed, [&left] { left.get_executor(); });
}

}  // namespace
}  // namespace llmproc::testing
