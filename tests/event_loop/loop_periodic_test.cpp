#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/task.hpp>
#include "event_loop/loop_support.hpp"
#include "runtime/tick.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace llmproc::testing {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

TEST(LoopPeriodicTest, A3_7_TicksDoNotDriftAndOverrunsAreSkipped) {
    using Clock = std::chrono::steady_clock;
    // The clock of a loop that is late by 3 ms at each tick, and once by three periods.
    const Clock::time_point start = Clock::time_point() + std::chrono::hours(1);
    Clock::time_point now = start;
    std::vector<std::int64_t> ticks;
    for (int tick = 0; tick < 6; ++tick) {
        const Clock::time_point due = next_tick(start, milliseconds(10), now);
        ticks.push_back(std::chrono::duration_cast<milliseconds>(due - start).count());
        now = due + milliseconds(tick == 2 ? 33 : 3);
    }
    EXPECT_EQ(ticks, (std::vector<std::int64_t>{10, 20, 30, 70, 80, 90}));
}

TEST(LoopPeriodicTest, A3_7_PeriodicFunctionsSurviveTheirErrors) {
    const EventLoop loop;
    Lines reports;
    Counter ticks;
    loop.set_exception_handler([&reports](const std::exception_ptr&, std::string_view name) {
        reports.add(std::string(name));
    });
    ScheduledCall tick = loop.every(
        milliseconds(1),
        [&ticks] {
            ticks.add();
            throw std::runtime_error("every time");
        },
        "tick"
    );
    ticks.wait_for(3);
    EXPECT_EQ(reports.wait_for(3).front(), "tick");
    tick.cancel();
    on_loop(loop, [] {});
    const std::size_t last = ticks.value();
    Counter later;
    loop.call_later(milliseconds(5), [&later] { later.add(); });
    later.wait_for(1);
    EXPECT_EQ(ticks.value(), last);
    expect_errc(Errc::invalid_argument, [&loop] { loop.every(milliseconds(0), [] {}); });
    expect_errc(Errc::invalid_argument, [&loop] { loop.every(milliseconds(-1), [] {}); });
}

/// A coroutine function with a state, as users write them.
struct Beat {
    Counter* begun;
    std::shared_ptr<asio::steady_timer> gate;

    asio::awaitable<void> operator()() const {
        begun->add();
        boost::system::error_code ignored;
        co_await gate->async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
};

TEST(LoopPeriodicTest, A3_7_ACoroutineThatIsStillRunningSkipsTicks) {
    const EventLoop loop;
    Counter begun;
    Counter ticks;
    auto gate = std::make_shared<asio::steady_timer>(
        loop.get_executor(),
        asio::steady_timer::time_point::max()
    );
    ScheduledCall beat = loop.every(milliseconds(1), Beat{&begun, gate}, "beat");
    begun.wait_for(1);
    // Begun later, so whenever it ticks the other one is due as well.
    const ScheduledCall tick = loop.every(milliseconds(1), [&ticks] { ticks.add(); });
    ticks.wait_for(10);
    EXPECT_EQ(begun.value(), 1U);
    on_loop(loop, [&gate] { gate->cancel(); });
    begun.wait_for(2);
    beat.cancel();
    on_loop(loop, [&gate] { gate.reset(); });
    EXPECT_TRUE(loop.shutdown().drained);
}

TEST(LoopPeriodicTest, A3_9_EachFailureIsReportedOnceAndTheLoopLives) {
    const EventLoop loop;
    Lines reports;
    loop.set_exception_handler([&reports](const std::exception_ptr&, std::string_view name) {
        reports.add(std::string(name));
        throw std::runtime_error("a handler that fails itself is logged");
    });
    struct Failing {
        static asio::awaitable<void> body() {
            throw std::runtime_error("task");
            co_return;
        }
    };
    loop.create_task(Failing::body(), "a task");
    reports.wait_for(1);
    loop.call_soon([] { throw std::runtime_error("callback"); }, "a callback");
    reports.wait_for(2);
    asio::post(loop.get_executor(), [] { throw 42; });
    EXPECT_EQ(reports.wait_for(3), (std::vector<std::string>{"a task", "a callback", "handler"}));
    EXPECT_EQ(run_sync(loop, identity(7)), 7);
    EXPECT_EQ(loop.stats().handler_exceptions, 1U);
    EXPECT_TRUE(loop.shutdown().drained);
    EXPECT_EQ(reports.all().size(), 3U);
}

/// Keeps the loop it runs on busy so long: what the tests below are about, and a loop's debug
/// settings take no clock.
void work_for(milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {}
}

/// Far above what a busy machine takes from a callback that does nothing.
constexpr milliseconds slow_limit(100);
constexpr milliseconds too_long(110);

TEST(LoopPeriodicTest, A3_12_ASlowCallbackIsReportedOnceWithItsName) {
    const EventLoop loop;
    Lines slow;
    loop.debug(LoopDebug()
                   .slow_callback(slow_limit)
                   .lag_interval(milliseconds(1))
                   .on_slow([&slow](const SlowCallback& callback) {
                       EXPECT_GE(callback.took, slow_limit);
                       slow.add(callback.name);
                   }));
    loop.call_soon([] { work_for(too_long); }, "blocker");
    struct Blocking {
        static asio::awaitable<void> body() {
            work_for(too_long);
            co_return;
        }
    };
    const Task<void> task = loop.create_task(Blocking::body(), "blocking task");
    task.get();
    on_loop(loop, [] {});
    const std::vector<std::string> lines = slow.all();
    EXPECT_EQ(std::count(lines.begin(), lines.end(), "blocker"), 1);
    EXPECT_EQ(std::count(lines.begin(), lines.end(), "blocking task"), 1);
    EXPECT_GE(loop.stats().slow_callbacks, 2U);
    loop.debug_off();
    const std::size_t before = slow.all().size();
    on_loop(loop, [] { work_for(too_long); });
    EXPECT_EQ(slow.all().size(), before);
    EXPECT_TRUE(loop.shutdown().drained);
}

TEST(LoopPeriodicTest, A3_12_LagIsMeasuredAndHoldsNoShutdownUp) {
    const EventLoop loop;
    loop.debug(LoopDebug().lag_interval(milliseconds(1)).on_slow([](const SlowCallback&) {}));
    on_loop(loop, [] { work_for(milliseconds(50)); });
    // A probe was due in the meantime; it runs before what is scheduled after it.
    Counter later;
    loop.call_later(milliseconds(5), [&later] { later.add(); });
    later.wait_for(1);
    EXPECT_GE(loop.stats().max_lag, std::chrono::milliseconds(40));
    EXPECT_TRUE(loop.shutdown().drained);
}

}  // namespace
}  // namespace llmproc::testing
