#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/bridge_support.hpp"
#include "support/resources.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/socket_base.hpp>
#include <gtest/gtest.h>

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace llmproc::testing {
namespace {

using namespace std::chrono_literals;

class RunMainTest : public ::testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

// ---- 1.10, 2.9: again and again

asio::awaitable<int> one_call(LLMProgram program, int number) {
    AsyncLLMProcess process = co_await program.start();
    const std::string prompt = "call " + std::to_string(number);
    const RunResult result = co_await process.run(prompt);
    EXPECT_EQ(result.text(), "You said: " + prompt);
    co_await process.aclose();
    co_return number;
}

TEST_F(RunMainTest, A1_10_AHundredTimesWithACallEach) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const LLMProgram program = program_for(server);
    EXPECT_EQ(run_main(one_call(program, 0)), 0);
    ASSERT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    const Resources before = Resources::now();
    for (int i = 1; i <= 100; ++i) {
        ASSERT_EQ(run_main(one_call(program, i)), i);
    }
    ASSERT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    EXPECT_EQ(settled(before, watchdog), before);
    EXPECT_EQ(server.stats().requests, 101U);
    EXPECT_EQ(Disposition::of(SIGINT), SIG_DFL);
    EXPECT_EQ(Disposition::of(SIGTERM), SIG_DFL);
}

asio::awaitable<void> failing() {
    co_await turns(1);
    throw std::out_of_range("far");
}

asio::awaitable<int> number(int value) {
    co_await turns(1);
    co_return value;
}

TEST_F(RunMainTest, A2_9_ValuesAndErrorsAnyNumberOfTimes) {
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(run_main(number(i)), i);
        EXPECT_EQ(run_main(turns(3)), 0);
        EXPECT_THROW(run_main(failing()), std::out_of_range);
    }
}

TEST_F(RunMainTest, A2_9_OnALoopsThreadItIsRefused) {
    const auto nested = []() -> asio::awaitable<int> {
        const Errc code = code_of([] { run_main(turns(1)); });
        co_return code == Errc::loop_running ? 1 : 0;
    };
    EXPECT_EQ(run_main(nested()), 1);
    EXPECT_EQ(run_sync(nested()), 1);
}

TEST_F(RunMainTest, A2_9_TwoAtOnceOnTwoThreads) {
    std::atomic<int> inside{0};
    const auto both = [](std::atomic<int>* count) -> asio::awaitable<int> {
        ++*count;
        const auto both_inside = [count] { return *count == 2; };
        co_await until(both_inside);
        co_return 3;
    };
    int other = 0;
    std::thread second([&] { other = run_main(both(&inside)); });
    EXPECT_EQ(run_main(both(&inside)), 3);
    second.join();
    EXPECT_EQ(other, 3);
    EXPECT_EQ(Disposition::of(SIGINT), SIG_DFL);
}

asio::awaitable<void> keep(EventLoop* loop, Order& order) {
    *loop = co_await this_loop();
    loop->create_task(with_clean_up(order, [&order] { order.add("begun"); }), "left over");
    const auto begun = [&order] { return !order.steps().empty(); };
    co_await until(begun);
    order.add("main ended");
}

TEST_F(RunMainTest, A2_9_WhatItLeavesIsCancelledAndJoined) {
    Order order;
    EventLoop loop;
    EXPECT_EQ(run_main(keep(&loop, order)), 0);
    EXPECT_EQ(order.steps(), (Steps{"begun", "main ended", "cancelled", "clean-up"}));
    EXPECT_EQ(code_of([&] { loop.create_task(turns(1)); }), Errc::loop_closed);
}

// ---- 3.4: signals

void say(const char* line) {
    std::cerr << line << std::endl;
}

asio::awaitable<void> unwinding(const char* name) {
    std::exception_ptr error;
    try {
        co_await for_ever();
    } catch (...) {
        error = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state();
    co_await turns(3);
    std::cerr << name << " cleaned up" << std::endl;
    std::rethrow_exception(error);
}

asio::awaitable<void> program_with_a_task(Task<void>* task, int signal) {
    EventLoop loop = co_await this_loop();
    *task = loop.create_task(unwinding("task"), "heartbeat");
    say("running");
    co_await turns(3);
    send_signal(signal);
    co_await unwinding("main");
}

void old_handler(int) {
    constexpr std::string_view text = "old handler\n";
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void be_signalled(int signal) {
    const Disposition user(signal, old_handler);
    Task<void> task;
    const int code = run_main(program_with_a_task(&task, signal));
    try {
        task.get();
    } catch (const Cancelled& error) {
        std::cerr << "task: " << to_string(error.reason()) << std::endl;
    }
    say("returned");
    send_signal(signal);
    std::exit(code);
}

constexpr const char* in_order = "running\nmain cleaned up\ntask cleaned up\ntask: shutdown\n"
                                 "returned\nold handler\n";

TEST_F(RunMainTest, A3_4_TheFirstSignalEndsInOrder) {
    EXPECT_EXIT(be_signalled(SIGINT), ::testing::ExitedWithCode(130), in_order);
    EXPECT_EXIT(be_signalled(SIGTERM), ::testing::ExitedWithCode(143), in_order);
}

asio::awaitable<void> signalled_while_stuck(int first, int second) {
    send_signal(first);
    say("still here");
    send_signal(second);
    stuck();
    co_return;
}

TEST_F(RunMainTest, A3_4_TheSecondSignalKillsEvenIfTheLoopIsStuck) {
    EXPECT_EXIT(
        std::exit(run_main(signalled_while_stuck(SIGINT, SIGINT))),
        ::testing::KilledBySignal(SIGINT),
        "still here"
    );
    EXPECT_EXIT(
        std::exit(run_main(signalled_while_stuck(SIGINT, SIGTERM))),
        ::testing::KilledBySignal(SIGTERM),
        "still here"
    );
}

TEST_F(RunMainTest, A3_4_WithoutSignalHandlingItDies) {
    EXPECT_EXIT(
        {
            const Disposition plain(SIGINT, SIG_DFL);
            run_main(signalled_while_stuck(SIGINT, SIGINT), MainOptions().handle_signals(false));
        },
        ::testing::KilledBySignal(SIGINT),
        ""
    );
}

asio::awaitable<int> valued(Order& order) {
    try {
        co_await with_clean_up(order, [] { send_signal(SIGINT); });
    } catch (const boost::system::system_error&) {
        co_return 5;
    }
    co_return 6;
}

TEST_F(RunMainTest, A3_4_AValueOfItsOwnPrevails) {
    Order order;
    EXPECT_EQ(run_main(valued(order)), 5);
    EXPECT_EQ(order.steps(), (Steps{"cancelled", "clean-up"}));
}

asio::awaitable<void> failing_clean_up() {
    send_signal(SIGINT);
    try {
        co_await for_ever();
    } catch (const boost::system::system_error&) {
        throw std::out_of_range("in its clean-up");
    }
}

TEST_F(RunMainTest, A3_4_AnErrorOfItsOwnPrevails) {
    EXPECT_THROW(run_main(failing_clean_up()), std::out_of_range);
    EXPECT_EQ(Disposition::of(SIGINT), SIG_DFL);
}

asio::awaitable<void> never_ending(std::shared_ptr<int> kept) {
    send_signal(SIGTERM);
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await for_ever();
    ++*kept;
}

TEST_F(RunMainTest, A3_4_WhatIgnoresItsCancellationIsGivenUp) {
    std::string warnings;
    set_log_sink(LogLevel::warning, [&warnings](LogLevel, std::string_view line) {
        warnings += line;
    });
    const auto kept = std::make_shared<int>(0);
    EXPECT_EQ(run_main(never_ending(kept), MainOptions().shutdown_timeout(20ms)), 128 + SIGTERM);
    set_log_sink(LogLevel::warning, nullptr);
    EXPECT_NE(warnings.find("shutdown timeout"), std::string::npos) << warnings;
    EXPECT_EQ(Disposition::of(SIGTERM), SIG_DFL);
}

TEST_F(RunMainTest, A3_4_WhileAnotherHasTheSignalsItLeavesThemAlone) {
    const InterruptScope scope;
    EXPECT_EQ(run_main(turns(3)), 0);
    send_signal(SIGINT);
    EXPECT_TRUE(scope.interrupted());
}

}  // namespace
}  // namespace llmproc::testing
