#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/drive.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::drive;
using testing::errc_from;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::watchdog;

class ProcessStreamTest : public ::testing::Test {
public:
    LLMProgram program() const { return testing::program_for(server); }
    void push_endless() { server.push(openai_chat_stream({"one", "two"}).hold_after(700)); }
    /// The stream is gone: its connection is closed, nothing is kept, the process is free.
    void expect_free(SyncLLMProcess& process) {
        EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
        EXPECT_TRUE(process.messages().empty());
        server.push(openai_chat_reply("fine"));
        EXPECT_EQ(process.run("next").text(), "fine");
        EXPECT_EQ(process.messages().size(), 2U);
    }

    testing::ScriptedServer server;
};

TEST_F(ProcessStreamTest, F45_AnEarlyBreakCancels) {
    SyncLLMProcess process = program().start_sync();
    push_endless();
    for (const StreamEvent& event : process.stream("hi")) {
        if (!event.text().empty()) {
            break;
        }
    }
    expect_free(process);
}

TEST_F(ProcessStreamTest, F45_AnExceptionInTheConsumerCancelsAndPasses) {
    SyncLLMProcess process = program().start_sync();
    push_endless();
    const auto consume = [&] {
        for (const StreamEvent& event : process.stream("hi")) {
            throw std::out_of_range("the consumer's own: " + std::string(event.text()));
        }
    };
    EXPECT_THROW(consume(), std::out_of_range);
    expect_free(process);
}

asio::awaitable<void> fail_while_reading(AsyncLLMProcess& process) {
    Stream stream = co_await process.stream("hi");
    co_await stream.next();
    throw std::out_of_range("the consumer's own");
}

TEST_F(ProcessStreamTest, F45_AnExceptionInAnAwaitingConsumer) {
    asio::io_context io;
    AsyncLLMProcess process = program().start(io.get_executor());
    push_endless();
    EXPECT_THROW(drive(io, fail_while_reading(process)), std::out_of_range);
    std::string text;
    server.push(openai_chat_reply("fine"));
    drive(io, testing::run_once(process, "next", text));
    EXPECT_EQ(text, "fine;");
    EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
    EXPECT_EQ(process.messages().size(), 2U);
}

TEST_F(ProcessStreamTest, F45_ASlowConsumerStopsTheServer) {
    constexpr std::size_t piece = 1024;
    constexpr std::size_t pieces = 20'000;
    server.push(openai_chat_stream(std::vector<std::string>(pieces, std::string(piece, 'x'))));
    SyncLLMProcess process = program().start_sync();
    // Nothing is read: the library holds what it may hold and then leaves the connection alone,
    // until the consumer's limit says that nobody comes.
    SyncStream stream =
        process.stream("hi", RunOptions().timeouts(Timeouts().consumer(milliseconds(200))));
    EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
    EXPECT_EQ(server.stats().responses, 0U) << "the server could send everything";
    std::size_t bytes = 0;
    try {
        while (const std::optional<StreamEvent> event = stream.next()) {
            bytes += event->text().size();
        }
        FAIL() << "no error";
    } catch (const Timeout& error) {
        EXPECT_EQ(error.stage(), Stage::consumer);
    }
    EXPECT_GT(bytes, 0U);
    EXPECT_LT(bytes, 1024 * piece) << "the buffer is bounded by 256 KiB and one read";
}

TEST_F(ProcessStreamTest, F45_ASlowConsumerGetsEverything) {
    std::vector<std::string> pieces;
    std::string whole;
    for (int i = 0; i < 5'000; ++i) {
        pieces.push_back(std::to_string(i) + " ");
        whole += pieces.back();
    }
    server.push(openai_chat_stream(pieces));
    SyncLLMProcess process = program().start_sync();
    std::string text;
    for (const StreamEvent& event : process.stream("hi")) {
        text += event.text();
        std::this_thread::yield();
    }
    EXPECT_TRUE(text == whole);
}

TEST_F(ProcessStreamTest, F45_AConsumerOutlivesItsProcess) {
    push_endless();
    std::optional<SyncStream> stream;
    {
        SyncLLMProcess process = program().start_sync();
        stream.emplace(process.stream("hi"));
        process.close();
    }
    EXPECT_EQ(errc_from([&] { return stream->result(); }), Errc::process_closed);
    EXPECT_EQ(errc_from([&] { return stream->next(); }), Errc::process_closed);
}

asio::awaitable<void> outlive(LLMProgram program, std::optional<Errc>& ended) {
    AsyncLLMProcess process = co_await program.start();
    Stream stream = co_await process.stream("hi");
    process = AsyncLLMProcess();
    try {
        co_await stream.result();
    } catch (const LLMError& error) {
        ended = error.errc();
    }
}

TEST_F(ProcessStreamTest, F45_AnAwaitingConsumerOutlivesItsProcess) {
    push_endless();
    asio::io_context io;
    std::optional<Errc> ended;
    drive(io, outlive(program(), ended));
    EXPECT_EQ(ended, Errc::process_closed);
}

TEST_F(ProcessStreamTest, F45_ASecondRunWhileAStreamIsOpenIsQueuedOrRefused) {
    SyncLLMProcess process = program().start_sync();
    server.push(openai_chat_stream({"a", "b"}));
    server.push(openai_chat_reply("second"));
    SyncStream stream = process.stream("hi");
    // This thread would wait for itself, others queue.
    EXPECT_EQ(errc_from([&] { return process.run("me too"); }), Errc::reentrant_call);
    auto other = std::async(std::launch::async, [&] { return process.run("me too").text(); });
    const auto end = std::chrono::steady_clock::now() + watchdog;
    while (process.loop().stats().calls < 2) {
        ASSERT_LT(std::chrono::steady_clock::now(), end);
        std::this_thread::yield();
    }
    EXPECT_EQ(server.stats().requests, 1U) << "it does not wait for the stream";
    EXPECT_EQ(stream.result().text(), "ab");
    EXPECT_EQ(other.get(), "second");
    EXPECT_EQ(process.messages().size(), 4U);
}

asio::awaitable<void> run_beside_stream(LLMProgram program, int& busy) {
    AsyncLLMProcess process = co_await program.start();
    Stream stream = co_await process.stream("hi");
    try {
        co_await process.run("me too");
    } catch (const LLMError& error) {
        busy += error.errc() == Errc::busy ? 1 : 0;
    }
    const RunResult result = co_await stream.result();
    busy += result.text() == "ab" ? 1 : 0;
}

TEST_F(ProcessStreamTest, F45_ASecondRunOnTheStreamsThreadIsBusy) {
    server.push(openai_chat_stream({"a", "b"}));
    asio::io_context io;
    int busy = 0;
    drive(io, run_beside_stream(program(), busy));
    EXPECT_EQ(busy, 2);
}

}  // namespace
}  // namespace llmproc
