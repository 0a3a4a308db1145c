#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/drive.hpp"
#include "support/test_program.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::openai_chat_echo;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::program_for;
using testing::Reply;
using testing::run_once;
using testing::ScriptedServer;
using testing::watchdog;

asio::awaitable<void> one_run(LLMProgram program, int number, int& done) {
    AsyncLLMProcess process = co_await program.start();
    const std::string prompt = std::to_string(number);
    const RunResult result = co_await process.run(prompt);
    done += result.text() == "You said: " + prompt ? 1 : 0;
}

TEST(AsyncProcessTest, SixtyFourProcessesOfOneProgramOverlapOnOneThread) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    server.hold_until_open_requests(64);
    const LLMProgram program = program_for(server);
    asio::io_context io;
    int done = 0;
    for (int i = 0; i < 64; ++i) {
        asio::co_spawn(io, one_run(program, i, done), [](const std::exception_ptr& error) {
            if (error) {
                std::rethrow_exception(error);
            }
        });
    }
    io.run_for(watchdog);
    EXPECT_EQ(done, 64);
    EXPECT_EQ(server.stats().peak_open_requests, 64U);
    EXPECT_EQ(server.stats().accepts, 64U);
}

TEST(AsyncProcessTest, TheHostsLimitOfConnectionsHolds) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const LLMProgram program = program_for(server, "max_connections_per_host = 4\n");
    asio::io_context io;
    int done = 0;
    for (int i = 0; i < 32; ++i) {
        asio::co_spawn(io, one_run(program, i, done), [](const std::exception_ptr& error) {
            if (error) {
                std::rethrow_exception(error);
            }
        });
    }
    io.run_for(watchdog);
    EXPECT_EQ(done, 32);
    EXPECT_LE(server.stats().accepts, 4U);
    EXPECT_LE(server.stats().peak_open_requests, 4U);
}

asio::awaitable<void> read_stream(LLMProgram program, std::string& text) {
    AsyncLLMProcess process = co_await program.start();
    Stream stream = co_await process.stream("hi");
    while (const auto event = co_await stream.next()) {
        text += event->text();
    }
    const RunResult result = co_await stream.result();
    EXPECT_EQ(result.text(), text);
    EXPECT_EQ(process.messages().size(), 2U);
}

TEST(AsyncProcessTest, StreamsEvents) {
    ScriptedServer server;
    server.push(openai_chat_stream({"Hel", "lo"}));
    asio::io_context io;
    std::string text;
    testing::drive(io, read_stream(program_for(server), text));
    EXPECT_EQ(text, "Hello");
}

TEST(AsyncProcessTest, ALongStreamArrivesWholeDespiteASlowConsumer) {
    ScriptedServer server;
    std::vector<std::string> pieces;
    std::string whole;
    for (int i = 0; i < 20'000; ++i) {
        pieces.push_back("piece " + std::to_string(i) + " ");
        whole += pieces.back();
    }
    server.push(openai_chat_stream(pieces));
    asio::io_context io;
    std::string text;
    testing::drive(io, read_stream(program_for(server), text));
    EXPECT_EQ(text.size(), whole.size());
    EXPECT_TRUE(text == whole);
}

asio::awaitable<void> run_while_streaming(LLMProgram program, int& busy) {
    AsyncLLMProcess process = co_await program.start();
    {
        const Stream stream = co_await process.stream("hi");
        for (int i = 0; i < 2; ++i) {
            try {
                if (i == 0) {
                    co_await process.run("me too");
                } else {
                    co_await process.reset();
                }
            } catch (const LLMError& error) {
                busy += error.errc() == Errc::busy ? 1 : 0;
            }
        }
    }
    // The stream is gone, so the process is free at once.
    const RunResult result = co_await process.run("next");
    EXPECT_EQ(result.text(), "fine");
}

TEST(AsyncProcessTest, ARunBesideAnOpenStreamIsBusy) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a"}));
    server.push(openai_chat_reply("fine"));
    asio::io_context io;
    int busy = 0;
    testing::drive(io, run_while_streaming(program_for(server), busy));
    EXPECT_EQ(busy, 2);
}

TEST(AsyncProcessTest, ConcurrentRunsOfOneProcessAreServedInTurn) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    asio::io_context io;
    AsyncLLMProcess process = program_for(server).start(io.get_executor());
    std::string text;
    for (const char* prompt : {"a", "b", "c"}) {
        asio::co_spawn(io, run_once(process, prompt, text), [](const std::exception_ptr& error) {
            if (error) {
                std::rethrow_exception(error);
            }
        });
    }
    io.run_for(watchdog);
    EXPECT_EQ(text, "You said: a;You said: b;You said: c;");
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(process.messages().size(), 6U);
}

/// A run that is cancelled by its coroutine's slot once the server holds it.
TEST(AsyncProcessTest, ACancellationSlotEndsARunThatHangs) {
    ScriptedServer server;
    server.push(Reply().hold());
    server.push(openai_chat_reply("alive"));
    asio::io_context io;
    AsyncLLMProcess process = program_for(server).start(io.get_executor());
    asio::cancellation_signal signal;
    std::string text;
    std::exception_ptr error;
    asio::co_spawn(
        io,
        run_once(process, "hi", text),
        asio::bind_cancellation_slot(
            signal.slot(),
            [&](std::exception_ptr failure) { error = std::move(failure); }
        )
    );
    std::thread watcher([&] {
        EXPECT_TRUE(server.wait_for_requests(1, watchdog));
        asio::post(io, [&signal] { signal.emit(asio::cancellation_type::terminal); });
    });
    io.run_for(watchdog);
    watcher.join();
    ASSERT_TRUE(error);
    try {
        std::rethrow_exception(error);
    } catch (const Cancelled& cancelled) {
        EXPECT_EQ(cancelled.reason(), CancelReason::user);
    }
    EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
    EXPECT_TRUE(process.messages().empty());
    testing::drive(io, run_once(process, "again", text));
    EXPECT_EQ(text, "alive;");
    EXPECT_EQ(server.stats().accepts, 2U);
}

asio::awaitable<void> wait_for_ever(bool& unwound) {
    struct Mark {
        bool& flag;
        ~Mark() { flag = true; }
    };
    const Mark mark{unwound};
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer never(executor, std::chrono::hours(1));
    co_await never.async_wait(asio::use_awaitable);
}

asio::awaitable<void> close_with_work(AsyncLLMProcess& process, bool& unwound) {
    process.spawn(wait_for_ever(unwound));
    co_await process.aclose();
    EXPECT_TRUE(unwound);
    co_await process.aclose();
    try {
        co_await process.run("later");
        ADD_FAILURE() << "no error";
    } catch (const ProcessClosed&) {}
}

TEST(AsyncProcessTest, AcloseCancelsAndJoinsBackgroundWork) {
    ScriptedServer server;
    asio::io_context io;
    AsyncLLMProcess process = program_for(server).start(io.get_executor());
    bool unwound = false;
    testing::drive(io, close_with_work(process, unwound));
}

TEST(AsyncProcessTest, AcloseEndsRunsInProgress) {
    ScriptedServer server;
    server.default_reply(Reply().hold());
    asio::io_context io;
    AsyncLLMProcess process = program_for(server).start(io.get_executor());
    std::string text;
    int closed = 0;
    for (int i = 0; i < 3; ++i) {
        asio::co_spawn(
            io,
            run_once(process, "hi", text),
            [&closed](const std::exception_ptr& error) {
                try {
                    std::rethrow_exception(error);
                } catch (const ProcessClosed&) {
                    ++closed;
                }
            }
        );
    }
    std::thread watcher([&] {
        EXPECT_TRUE(server.wait_for_requests(1, watchdog));
        asio::co_spawn(io, process.aclose(), [](const std::exception_ptr& error) {
            EXPECT_FALSE(error);
        });
    });
    io.run_for(watchdog);
    watcher.join();
    EXPECT_EQ(closed, 3);
}

}  // namespace
}  // namespace llmproc
