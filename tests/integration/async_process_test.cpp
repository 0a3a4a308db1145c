#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::openai_chat_echo;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::program_for;
using testing::Reply;
using testing::ScriptedServer;
using testing::watchdog;

/// Runs a coroutine on `io` to its end and rethrows what it threw.
void run(asio::io_context& io, asio::awaitable<void> body) {
    std::exception_ptr error;
    bool ended = false;
    asio::co_spawn(io, std::move(body), [&](std::exception_ptr failure) {
        error = std::move(failure);
        ended = true;
    });
    io.restart();
    while (!ended && io.run_one_for(watchdog) > 0) {}
    ASSERT_TRUE(ended) << "the io_context ran out of work, or hangs";
    if (error) {
        std::rethrow_exception(error);
    }
}

asio::awaitable<void> many_runs(LLMProgram program, int count) {
    AsyncLLMProcess process = co_await program.start();
    for (int i = 0; i < count; ++i) {
        const std::string prompt = std::to_string(i);
        const RunResult result = co_await process.run(prompt);
        EXPECT_EQ(result.text(), "You said: " + prompt);
    }
    co_await process.aclose();
}

TEST(AsyncProcessTest, ManyRunsAreOneConnectionAndTheContextRunsOut) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    asio::io_context io;
    run(io, many_runs(program_for(server), 20));
    io.run_for(watchdog);
    EXPECT_TRUE(io.stopped()) << "something keeps the caller's context running";
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(server.stats().handshakes, 1U);
    run(io, many_runs(program_for(server), 5));
    EXPECT_EQ(server.stats().accepts, 1U) << "processes of one context share connections";
}

asio::awaitable<void> run_and_drop(LLMProgram program) {
    AsyncLLMProcess process = co_await program.start();
    co_await process.run("hi");
}

TEST(AsyncProcessTest, DroppingAProcessLetsTheContextRunOut) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    asio::io_context io;
    run(io, run_and_drop(program_for(server)));
    io.run_for(watchdog);
    EXPECT_TRUE(io.stopped());
}

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
    run(io, read_stream(program_for(server), text));
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
    run(io, read_stream(program_for(server), text));
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
    run(io, run_while_streaming(program_for(server), busy));
    EXPECT_EQ(busy, 2);
}

asio::awaitable<void> run_once(AsyncLLMProcess& process, std::string prompt, std::string& text) {
    const RunResult result = co_await process.run(prompt);
    text += result.text() + ";";
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
    run(io, run_once(process, "again", text));
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
    run(io, close_with_work(process, unwound));
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

TEST(AsyncProcessTest, OutlivesItsContextWithAnIdleConnection) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    std::optional<AsyncLLMProcess> process;
    {
        asio::io_context io;
        process.emplace(program_for(server).start(io.get_executor()));
        std::string text;
        run(io, run_once(*process, "hi", text));
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

TEST(AsyncProcessTest, OutlivesItsContextWithCallsPending) {
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
        run(io, open(*process, stream));
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

TEST(AsyncProcessTest, StrandsOnAContextOfManyThreads) {
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

TEST(AsyncProcessTest, CoSpawnCarriesAProcessToItsHandler) {
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

TEST(AsyncProcessTest, OneProcessCompletesManyAtOnce) {
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

TEST(AsyncProcessTest, AProcessOfAnotherLoopCanBeAwaited) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess owner = program_for(server).start_sync();
    asio::io_context io;
    int done = 0;
    run(io, await_process_of(owner, program_for(server), done));
    EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace llmproc
