#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::openai_chat_echo;
using testing::program_for;
using testing::ScriptedServer;
using testing::watchdog;

asio::awaitable<void> call_back(
    std::shared_ptr<SyncLLMProcess> process,
    std::promise<bool>& refused
) {
    try {
        process->run("from the loop");
        refused.set_value(false);
    } catch (const WouldDeadlock&) {
        refused.set_value(true);
    }
    co_return;
}

TEST(SyncProcessTest, ABlockingCallOnALoopsThreadIsRefused) {
    ScriptedServer server;
    auto process = std::make_shared<SyncLLMProcess>(program_for(server).start_sync());
    std::promise<bool> refused;
    process->spawn(call_back(process, refused));
    EXPECT_TRUE(refused.get_future().get());
    EventLoop other;
    std::promise<bool> refused_too;
    SyncLLMProcess second = program_for(server).start_sync(SyncOptions().on(other));
    second.spawn(call_back(process, refused_too));
    EXPECT_TRUE(refused_too.get_future().get());
}

asio::awaitable<void> destroy_on_loop(
    std::unique_ptr<SyncLLMProcess> process,
    std::promise<void>& gone
) {
    process.reset();
    gone.set_value();
    co_return;
}

TEST(SyncProcessTest, TheLastHandleMayDieOnTheLoopsThread) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    auto process = std::make_unique<SyncLLMProcess>(program_for(server).start_sync());
    process->run("hi");
    std::promise<void> gone;
    SyncLLMProcess& handle = *process;
    handle.spawn(destroy_on_loop(std::move(process), gone));
    gone.get_future().get();
}

asio::awaitable<void> count(
    std::shared_ptr<std::atomic<int>> counter,
    std::promise<void>& reached
) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor);
    for (;;) {
        timer.expires_after(milliseconds(1));
        co_await timer.async_wait(asio::use_awaitable);
        if (++*counter == 20) {
            reached.set_value();
        }
    }
}

TEST(SyncProcessTest, BackgroundWorkGoesOnBetweenCallsAndEndsWithClose) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("hi");
    auto counter = std::make_shared<std::atomic<int>>(0);
    std::promise<void> reached;
    process.spawn(count(counter, reached));
    EXPECT_EQ(reached.get_future().wait_for(watchdog), std::future_status::ready)
        << "no call is active, and the counter stands still";
    EXPECT_EQ(process.run("again").text(), "You said: again");
    EXPECT_TRUE(process.close().drained);
    EXPECT_EQ(counter.use_count(), 1) << "the work's frame is still there";
}

TEST(SyncProcessTest, ProcessesShareALoopAndItsConnections) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    EventLoop loop;
    const LLMProgram program = program_for(server);
    {
        SyncLLMProcess first = program.start_sync(SyncOptions().on(loop));
        SyncLLMProcess second = program.start_sync(SyncOptions().on(loop));
        first.run("a");
        second.run("b");
        EXPECT_EQ(first.loop().thread_id(), second.loop().thread_id());
    }
    SyncLLMProcess third = program.start_sync(SyncOptions().on(loop));
    third.run("c");
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(connection_stats(loop.get_executor()).reused, 2U);
    loop.shutdown();
    try {
        third.run("d");
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::loop_closed) << error.what();
    }
}

}  // namespace
}  // namespace llmproc
