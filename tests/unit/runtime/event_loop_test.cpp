#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/log.hpp>
#include "runtime/loop_core.hpp"
#include "runtime/reaper.hpp"
#include "runtime/sync_call.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include <pthread.h>

#include <array>
#include <csignal>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

/// Runs `f` on the loop and returns its result.
template <typename F>
auto on_loop(const EventLoop& loop, F f) {
    std::packaged_task<decltype(f())()> task(std::move(f));
    auto result = task.get_future();
    asio::post(loop.get_executor(), std::move(task));
    return result.get();
}

TEST(EventLoopTest, RunsHandlersOnItsOneNamedThread) {
    const EventLoop loop("my-loop");
    const std::thread::id first = on_loop(loop, [] { return std::this_thread::get_id(); });
    const std::thread::id second = on_loop(loop, [] { return std::this_thread::get_id(); });
    EXPECT_EQ(first, second);
    EXPECT_EQ(first, loop.thread_id());
    EXPECT_NE(first, std::this_thread::get_id());
    EXPECT_FALSE(loop.running_in_this_thread());
    EXPECT_TRUE(on_loop(loop, [&loop] { return loop.running_in_this_thread(); }));
    const std::string name = on_loop(loop, [] {
        std::array<char, 16> buffer{};
        pthread_getname_np(pthread_self(), buffer.data(), buffer.size());
        return std::string(buffer.data());
    });
    EXPECT_EQ(name, "my-loop");
}

TEST(EventLoopTest, BlocksTheProgramsSignals) {
    const EventLoop loop;
    EXPECT_TRUE(on_loop(loop, [] {
        sigset_t blocked;
        pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
        return sigismember(&blocked, SIGINT) == 1 && sigismember(&blocked, SIGTERM) == 1 &&
               sigismember(&blocked, SIGSEGV) == 0;
    }));
    sigset_t mine;
    pthread_sigmask(SIG_BLOCK, nullptr, &mine);
    EXPECT_EQ(sigismember(&mine, SIGINT), 0);
}

TEST(EventLoopTest, SurvivesThrowingHandlers) {
    std::atomic<int> lines{0};
    set_log_sink(LogLevel::error, [&lines](LogLevel, std::string_view) { ++lines; });
    const EventLoop loop;
    asio::post(loop.get_executor(), [] { throw std::runtime_error("oops"); });
    asio::post(loop.get_executor(), [] { throw 42; });
    EXPECT_EQ(on_loop(loop, [] { return 7; }), 7);
    EXPECT_EQ(loop.stats().handler_exceptions, 2U);
    EXPECT_EQ(lines.load(), 2);
    set_log_sink(LogLevel::warning, nullptr);
}

TEST(EventLoopTest, ShutdownDrainsIsIdempotentAndRefusesLaterCalls) {
    EventLoop loop;
    bool ran = false;
    asio::post(loop.get_executor(), [&ran] { ran = true; });
    EXPECT_TRUE(loop.shutdown().drained);
    EXPECT_TRUE(ran);
    EXPECT_TRUE(loop.shutdown().drained);
    try {
        loop.core()->submit(std::make_shared<SyncCall>(), loop.get_executor(), [] {});
        FAIL() << "accepted";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::loop_closed);
        EXPECT_TRUE(error.code() == Condition::closed);
    }
}

TEST(EventLoopTest, ShutdownEndsCallsThatWait) {
    EventLoop loop;
    const auto call = std::make_shared<SyncCall>();
    loop.core()->submit(call, loop.get_executor(), [] {});
    EXPECT_EQ(loop.stats().pending_calls, 1U);
    EXPECT_EQ(loop.shutdown().cancelled_calls, 1U);
    ASSERT_TRUE(call->wait_until(std::chrono::steady_clock::time_point::max()));
    EXPECT_TRUE(call->lost());
    try {
        std::rethrow_exception(call->take_error());
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::loop_closed);
    }
}

TEST(EventLoopTest, ShutdownGivesUpOnWorkThatDoesNotEnd) {
    EventLoop loop;
    asio::steady_timer never(loop.get_executor(), std::chrono::hours(1));
    never.async_wait([](const boost::system::error_code&) {});
    const ShutdownReport report = loop.shutdown(milliseconds(1));
    EXPECT_FALSE(report.drained);
}

TEST(EventLoopTest, FirstOutcomeOfACallCounts) {
    SyncCall call;
    EXPECT_FALSE(call.wait_until(std::chrono::steady_clock::now()));
    call.finish(nullptr);
    call.loop_ended(std::make_exception_ptr(std::runtime_error("late")));
    EXPECT_TRUE(call.wait_until(std::chrono::steady_clock::time_point::max()));
    EXPECT_FALSE(call.lost());
    EXPECT_FALSE(call.take_error());
}

TEST(EventLoopTest, LastHandleMayDieOnItsOwnThread) {
    std::promise<void> dropped;
    std::promise<std::unique_ptr<EventLoop>> handed_over;
    auto loop = std::make_unique<EventLoop>();
    asio::post(loop->get_executor(), [&dropped, last = handed_over.get_future()]() mutable {
        std::unique_ptr<EventLoop> owned = last.get();
        owned.reset();
        dropped.set_value();
    });
    // Only now, as nobody may post to a loop that dies meanwhile.
    handed_over.set_value(std::move(loop));
    dropped.get_future().get();
    reap();
}

TEST(EventLoopTest, MovedFromHandleThrowsInvalidHandle) {
    EventLoop loop;
    const EventLoop other = std::move(loop);
    try {
        loop.get_executor();  // NOLINT(bugprone-use-after-move): what this test is about
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_handle);
    }
    EXPECT_FALSE(loop.running_in_this_thread());
}

TEST(EventLoopTest, ManyThreadsSubmitAndForget) {
    EventLoop loop;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&loop] {
            for (int i = 0; i < 500; ++i) {
                const auto call = std::make_shared<SyncCall>();
                loop.core()->submit(call, loop.get_executor(), [call] { call->finish(nullptr); });
                call->wait_until(std::chrono::steady_clock::time_point::max());
                loop.core()->forget(*call);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(loop.stats().calls, 4'000U);
    EXPECT_EQ(loop.stats().pending_calls, 0U);
}

}  // namespace
}  // namespace llmproc
