// What else ends tasks: strange exceptions, the end of a loop or an io_context.
#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/task.hpp>
#include "event_loop/task_support.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace llmproc::test {

namespace {

using namespace std::chrono_literals;

asio::awaitable<void> throw_int() {
    co_await next_turn();
    throw 42;
}

/// Can neither be copied nor asked.
class Awkward {
public:
    Awkward() = default;
    Awkward(const Awkward& /*other*/) { throw std::bad_alloc(); }
    Awkward& operator=(const Awkward&) = delete;
    [[noreturn]] const char* what() const { throw std::bad_alloc(); }
};

asio::awaitable<void> throw_awkward() {
    co_await next_turn();
    throw Awkward();
}

TEST(LoopTest, F15_ExceptionsOfAnyKindReachWhoAsksAndTheHandler) {
    const EventLoop loop;
    try {
        loop.create_task(throw_int()).get();
        FAIL() << "the exception was lost";
    } catch (int value) {
        EXPECT_EQ(value, 42);
    }
    for (int round = 0; round < 2; ++round) {
        const Task<void> task = loop.create_task(throw_awkward());
        EXPECT_THROW(task.get(), Awkward);
        EXPECT_THROW(task.get(), Awkward);
    }
    const Reports reports(loop);
    loop.create_task(throw_awkward(), "awkward");
    loop.create_task(throw_int(), "int");
    reports.wait_for(2);
    EXPECT_EQ(reports.names(), (std::vector<std::string>{"awkward", "int"}));
    EXPECT_THROW(std::rethrow_exception(reports.error(0)), Awkward);
    EXPECT_THROW(std::rethrow_exception(reports.error(1)), int);
    EXPECT_EQ(loop.create_task(value_of(1)).get(), 1) << "the loop goes on";
}

asio::awaitable<void> await_it(Task<void> task, Flag begun) {
    begun.raise();
    co_await task.result();
}

TEST(LoopTest, F44_AwaitedTaskOfAClosingLoopIsCancelledAsClosed) {
    const EventLoop here;
    const EventLoop there;
    const Flag awaited_begun;
    const Flag awaiting_begun;
    const Task<void> awaited = there.create_task(raise_and_wait_for_ever(awaited_begun));
    const Task<void> awaiting = here.create_task(await_it(awaited, awaiting_begun));
    awaited_begun.wait();
    awaiting_begun.wait();
    flush(here);
    EXPECT_TRUE(there.shutdown().drained);
    EXPECT_EQ(reason_of([&awaiting] { awaiting.get(); }), CancelReason::closed);
    EXPECT_EQ(here.create_task(value_of(1)).get(), 1);
    EXPECT_EQ(code_of([&there] { there.create_task(value_of(1)); }), Errc::loop_closed);
}

TEST(LoopTest, F44_AwaitingLoopMayCloseFirst) {
    const EventLoop there;
    const Gate gate;
    const Task<int> awaited = there.create_task(pass(gate, 9));
    Task<int> awaiting;
    {
        const EventLoop here;
        const auto wait = [](Task<int> task) -> asio::awaitable<int> {
            const int value = co_await task.result();
            co_return value;
        };
        awaiting = here.create_task(wait(awaited));
        flush(here);
    }
    EXPECT_EQ(reason_of([&awaiting] { awaiting.get(); }), CancelReason::closed);
    gate.open();
    EXPECT_EQ(awaited.get(), 9);
}

TEST(LoopTest, F44_TasksOfADyingContextEndAsClosed) {
    const EventLoop here;
    const Flag frame_gone;
    Task<void> never_run;
    Task<void> suspended;
    Task<void> awaiting;
    {
        asio::io_context io;
        const EventLoop there = EventLoop::attach(io);
        const auto hold = [](Flag gone) -> asio::awaitable<void> {
            const RaisesAtEnd end(gone);
            co_await wait_for_ever();
        };
        suspended = there.submit(hold(frame_gone), RunOptions().timeout(1h));
        io.poll();
        never_run = there.create_task(wait_for_ever(), "named");
        const Flag begun;
        awaiting = here.create_task(await_it(suspended, begun));
        begun.wait();
        flush(here);
    }
    EXPECT_TRUE(frame_gone.raised());
    EXPECT_EQ(code_of([&suspended] { suspended.get(); }), Errc::loop_closed);
    EXPECT_EQ(code_of([&never_run] { never_run.get(); }), Errc::loop_closed);
    EXPECT_EQ(code_of([&awaiting] { awaiting.get(); }), Errc::loop_closed);
    suspended.cancel();
}

/// Says so when the frame that holds it dies.
struct SaysItsEnd {
    SaysItsEnd() = default;
    SaysItsEnd(const SaysItsEnd&) = delete;
    SaysItsEnd& operator=(const SaysItsEnd&) = delete;
    ~SaysItsEnd() { std::cerr << "cleaned up, "; }
};

asio::awaitable<void> guarded_wait(Flag begun) {
    const SaysItsEnd guard;
    begun.raise();
    co_await wait_for_ever();
}

/// Outlives what `exit` calls.
std::optional<Task<void>> left_over;

void say_how_it_ended() {
    if (!left_over->done()) {
        std::cerr << "still there";
        return;
    }
    try {
        left_over->get();
        std::cerr << "no error";
    } catch (const Cancelled& error) {
        std::cerr << (error.errc() == Errc::cancelled ? "cancelled: " : "another code: ")
                  << to_string(error.reason());
    } catch (const std::exception& error) {
        std::cerr << error.what();
    }
}

[[noreturn]] void exit_with_a_task(bool shuts_down) {
    // What was registered first is called last: after the library's own hook.
    std::atexit(&say_how_it_ended);
    const Flag begun;
    left_over = EventLoop::global().create_task(guarded_wait(begun));
    begun.wait();
    if (shuts_down) {
        const ShutdownReport report = EventLoop::global().shutdown(10s);
        std::cerr << (report.drained ? "drained, " : "not drained, ");
    }
    std::exit(0);  // NOLINT(concurrency-mt-unsafe): what this test is about
}

TEST(LoopTest, A2_5_TasksCleanUpAndLearnWhetherTheProgramOrTheLoopEnds) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto exits = ::testing::ExitedWithCode(0);
    EXPECT_EXIT(exit_with_a_task(false), exits, "^cleaned up, cancelled: shutdown$");
    EXPECT_EXIT(exit_with_a_task(true), exits, "^cleaned up, drained, cancelled: closed$");
}

}  // namespace

}  // namespace llmproc::test
