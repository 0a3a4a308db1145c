#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/drive.hpp"
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::openai_chat_echo;
using testing::openai_chat_stream;
using testing::program_for;
using testing::Reply;
using testing::run_once;
using testing::ScriptedServer;
using testing::watchdog;

asio::awaitable<void> many_runs(LLMProgram program, int count) {
    AsyncLLMProcess process = co_await program.start();
    for (int i = 0; i < count; ++i) {
        const std::string prompt = std::to_string(i);
        const RunResult result = co_await process.run(prompt);
        EXPECT_EQ(result.text(), "You said: " + prompt);
    }
    co_await process.aclose();
}

TEST(AsyncProcessContextTest, ManyRunsAreOneConnectionAndTheContextRunsOut) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    asio::io_context io;
    testing::drive(io, many_runs(program_for(server), 20));
    io.run_for(watchdog);
    EXPECT_TRUE(io.stopped()) << "something keeps the caller's context running";
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(server.stats().handshakes, 1U);
    testing::drive(io, many_runs(program_for(server), 5));
    EXPECT_EQ(server.stats().accepts, 1U) << "processes of one context share connections";
}

asio::awaitable<void> run_and_drop(LLMProgram program) {
    AsyncLLMProcess process = co_await program.start();
    co_await process.run("hi");
}

TEST(AsyncProcessContextTest, DroppingAProcessLetsTheContextRunOut) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    asio::io_context io;
    testing::drive(io, run_and_drop(program_for(server)));
    io.run_for(watchdog);
    EXPECT_TRUE(io.stopped());
}

TEST(AsyncProcessContextTest, OutlivesItsContextWithAnIdleConnection) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    std::optional<AsyncLLMProcess> process;
    {
        asio::io_context io;
        process.emplace(program_for(server).start(io.get_executor()));
        std::string text;
        testing::drive(io, run_once(*process, "hi", text));
    }
    EXPECT_EQ(process->messages().size(), 2U);
    EXPECT_EQ(process->stats().runs, 1U);
    try {
        static_cast<void>(process->run("later"));
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::loop_closed);
        EXPECT_TRUE(error.code() == Condition::closed);
    }
    process.reset();
    EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
}

asio::awaitable<void> complete_and_forget(AsyncLLMProcess& process) {
    ChatRequest request("never answered");
    co_await process.complete(std::move(request));
}

TEST(AsyncProcessContextTest, OutlivesItsContextWithCallsPending) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}).hold_after(400));
    server.default_reply(Reply().hold());
    std::optional<AsyncLLMProcess> process;
    std::optional<Stream> stream;
    {
        asio::io_context io;
        process.emplace(program_for(server).start(io.get_executor()));
        auto open = [](AsyncLLMProcess& from, std::optional<Stream>& to) -> asio::awaitable<void> {
            Stream opened = co_await from.stream("hi");
            to.emplace(std::move(opened));
        };
        testing::drive(io, open(*process, stream));
        asio::co_spawn(io, complete_and_forget(*process), [](const std::exception_ptr&) {
            ADD_FAILURE() << "the frame is destroyed, not resumed";
        });
        io.restart();
        io.poll();
    }
    process.reset();
    stream.reset();
    EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
}

TEST(AsyncProcessContextTest, StrandsOnAContextOfManyThreads) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const LLMProgram program = program_for(server);
    asio::io_context io;
    std::atomic<int> ended{0};
    for (int i = 0; i < 32; ++i) {
        asio::co_spawn(
            asio::make_strand(io),
            many_runs(program, 5),
            [&ended](const std::exception_ptr& error) {
                EXPECT_FALSE(error);
                ++ended;
            }
        );
    }
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&io] { io.run_for(watchdog); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(ended.load(), 32);
}

TEST(AsyncProcessContextTest, CoSpawnCarriesAProcessToItsHandler) {
    ScriptedServer server;
    asio::io_context io;
    const LLMProgram program = program_for(server);
    AsyncLLMProcess process;
    try {
        static_cast<void>(process.messages());
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_handle);
    }
    asio::co_spawn(
        io,
        program.start(),
        [&process](const std::exception_ptr& error, AsyncLLMProcess started) {
            EXPECT_FALSE(error);
            process = std::move(started);
        }
    );
    io.run_for(watchdog);
    EXPECT_TRUE(process.messages().empty());
}

asio::awaitable<void> complete_one(AsyncLLMProcess& process, int number, int& done) {
    ChatRequest request(std::to_string(number));
    const ChatReply reply = co_await process.complete(std::move(request));
    done += reply.text() == "You said: " + std::to_string(number) ? 1 : 0;
}

TEST(AsyncProcessContextTest, OneProcessCompletesManyAtOnce) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    server.hold_until_open_requests(64);
    asio::io_context io;
    AsyncLLMProcess process = program_for(server).start(io.get_executor());
    int done = 0;
    for (int i = 0; i < 64; ++i) {
        asio::co_spawn(io, complete_one(process, i, done), [](const std::exception_ptr& error) {
            if (error) {
                std::rethrow_exception(error);
            }
        });
    }
    io.run_for(watchdog);
    EXPECT_EQ(done, 64);
    EXPECT_TRUE(process.messages().empty());
}

asio::awaitable<void> await_process_of(SyncLLMProcess& owner, LLMProgram program, int& done) {
    // The process runs on the other loop, this coroutine on the caller's context.
    AsyncLLMProcess process = program.start(owner.get_executor());
    const RunResult result = co_await process.run("across");
    done += result.text() == "You said: across" ? 1 : 0;
    co_await process.aclose();
}

TEST(AsyncProcessContextTest, AProcessOfAnotherLoopCanBeAwaited) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess owner = program_for(server).start_sync();
    asio::io_context io;
    int done = 0;
    testing::drive(io, await_process_of(owner, program_for(server), done));
    EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace llmproc
