#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/log_lines.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <string>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::program_for;
using testing::Reply;
using testing::ScriptedServer;
using testing::watchdog;

TEST(SyncProcessTest, StreamsEventsInOrderAndCommitsAtTheEnd) {
    ScriptedServer server;
    server.push(openai_chat_stream({"Hel", "lo", " world"}));
    SyncLLMProcess process = program_for(server).start_sync();
    std::string text;
    int stops = 0;
    for (const StreamEvent& event : process.stream("hi")) {
        text += event.text();
        stops += event.type == StreamEvent::Type::stop ? 1 : 0;
    }
    EXPECT_EQ(text, "Hello world");
    EXPECT_EQ(stops, 1);
    ASSERT_EQ(process.messages().size(), 2U);
    EXPECT_EQ(process.messages().at(1)->text(), "Hello world");
}

TEST(SyncProcessTest, AStreamsResultIsWhatRunWouldHaveReturned) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}));
    SyncLLMProcess process = program_for(server).start_sync();
    SyncStream stream = process.stream("hi");
    const RunResult result = stream.result();
    EXPECT_EQ(result.text(), "ab");
    EXPECT_EQ(result.stop_reason(), StopReason::end_turn);
    EXPECT_TRUE(result.usage().reported);
    EXPECT_FALSE(stream.next());
}

TEST(SyncProcessTest, AStreamThatWasReadToItsEndIsNotOpenAnyMore) {
    ScriptedServer server;
    server.default_reply(openai_chat_stream({"a", "b"}));
    const LLMProgram program = program_for(server);
    const testing::LogLines log;
    for (int i = 0; i < 100; ++i) {
        SyncLLMProcess process = program.start_sync();
        for (const StreamEvent& event : process.stream("hi")) {
            EXPECT_LE(event.data.size(), 4U);
        }
    }
    EXPECT_EQ(log.count(LogLevel::warning, "destroyed without close()"), 0U);
}

TEST(SyncProcessTest, LeavingAStreamEarlyChangesNothing) {
    ScriptedServer server;
    SyncLLMProcess process = program_for(server).start_sync();
    server.push(openai_chat_stream({"a", "b", "c"}));
    for (const StreamEvent& event : process.stream("hi")) {
        if (event.text() == "a") {
            break;
        }
    }
    server.push(openai_chat_reply("fine"));
    EXPECT_EQ(process.run("next").text(), "fine");
    EXPECT_EQ(process.messages().size(), 2U);
    EXPECT_EQ(process.stats().failed_runs, 1U);
}

TEST(SyncProcessTest, LeavingAStreamThatHangsCancelsIt) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}).hold_after(400));
    SyncLLMProcess process = program_for(server).start_sync();
    { const SyncStream stream = process.stream("hi"); }
    EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
    server.push(openai_chat_reply("fine"));
    EXPECT_EQ(process.run("next").text(), "fine");
}

TEST(SyncProcessTest, ATruncatedStreamIsAnErrorWithThePartialText) {
    ScriptedServer server;
    SyncLLMProcess process = program_for(server).start_sync();
    const std::string piece =
        R"(data: {"id":"x","choices":[{"index":0,"delta":{"content":"par"}}]})"
        "\n\n";
    server.push(Reply().header("Content-Type", "text/event-stream").body(piece));
    std::string text;
    try {
        for (const StreamEvent& event : process.stream("hi")) {
            text += event.text();
        }
        FAIL() << "taken for success";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::truncated_stream) << error.what();
        EXPECT_EQ(error.diagnostics().partial_text, "par");
    }
    EXPECT_EQ(text, "par");
    EXPECT_TRUE(process.messages().empty());
}

TEST(SyncProcessTest, AServerThatDoesNotStreamStillGivesEvents) {
    ScriptedServer server;
    server.push(openai_chat_reply("whole"));
    SyncLLMProcess process = program_for(server).start_sync();
    SyncStream stream = process.stream("hi");
    EXPECT_EQ(stream.next()->text(), "whole");
    EXPECT_EQ(stream.result().text(), "whole");
}

TEST(SyncProcessTest, ARunOnTheThreadOfAnOpenStreamIsReentrant) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}));
    server.default_reply(openai_chat_reply("other"));
    SyncLLMProcess process = program_for(server).start_sync();
    SyncStream stream = process.stream("hi");
    EXPECT_THROW(process.run("me too"), ReentrantCall);
    EXPECT_THROW(process.stream("me too"), ReentrantCall);
    EXPECT_THROW(process.reset(), ReentrantCall);
    EXPECT_EQ(process.complete(ChatRequest("stateless")).text(), "other");
    auto elsewhere = std::async(std::launch::async, [&process] { return process.run("x").text(); });
    EXPECT_EQ(stream.result().text(), "ab");
    EXPECT_EQ(elsewhere.get(), "other");
    EXPECT_EQ(process.messages().size(), 4U);
}

TEST(SyncProcessTest, ARunBehindAStreamIsBoundByItsDeadline) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}));
    SyncLLMProcess process = program_for(server).start_sync();
    SyncStream stream = process.stream("hi");
    auto elsewhere = std::async(std::launch::async, [&process] {
        process.run("x", RunOptions().timeout(milliseconds(1)));
    });
    try {
        elsewhere.get();
        FAIL() << "no timeout";
    } catch (const Timeout& error) {
        EXPECT_EQ(error.stage(), Stage::queue);
    }
    EXPECT_EQ(stream.result().text(), "ab");
}

}  // namespace
}  // namespace llmproc
