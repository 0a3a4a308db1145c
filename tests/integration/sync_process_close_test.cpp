#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <stop_token>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::openai_chat_echo;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::program_for;
using testing::Reply;
using testing::ScriptedServer;
using testing::watchdog;

struct Stuck {
    const char* name;
    testing::ServerOptions options;
    Reply reply;
    Stage stage;
};

std::vector<Stuck> stuck_servers() {
    using testing::ServerOptions;
    return {
        {"handshake", ServerOptions().handshake_hang(), Reply(), Stage::handshake},
        {"first byte", ServerOptions(), Reply().hold(), Stage::first_byte},
        {"body", ServerOptions(), openai_chat_reply("long").hold_after(150), Stage::body},
    };
}

TEST(SyncProcessTest, TheDeadlineEndsACallAtEveryStage) {
    for (const Stuck& stuck : stuck_servers()) {
        ScriptedServer server(stuck.options);
        server.default_reply(stuck.reply);
        SyncLLMProcess process = program_for(server).start_sync();
        // On a slow machine a short limit may pass before that stage.
        Stage stage = Stage::none;
        for (milliseconds limit(300); stage != stuck.stage && limit < watchdog; limit *= 4) {
            try {
                process.run("hi", RunOptions().timeout(limit));
                ADD_FAILURE() << stuck.name << ": no timeout";
            } catch (const Timeout& error) {
                stage = error.stage();
            }
        }
        EXPECT_EQ(stage, stuck.stage) << stuck.name;
        EXPECT_TRUE(process.messages().empty());
    }
}

TEST(SyncProcessTest, AStopTokenEndsACallAtEveryStage) {
    for (const Stuck& stuck : stuck_servers()) {
        ScriptedServer server(stuck.options);
        server.push(stuck.reply);
        server.default_reply(openai_chat_reply("alive"));
        SyncLLMProcess process = program_for(server).start_sync();
        std::stop_source stop;
        auto run = std::async(std::launch::async, [&] {
            process.run("hi", RunOptions().stop_token(stop.get_token()));
        });
        if (stuck.stage != Stage::handshake) {
            EXPECT_TRUE(server.wait_for_requests(1, watchdog));
        }
        stop.request_stop();
        try {
            run.get();
            ADD_FAILURE() << stuck.name << ": not cancelled";
        } catch (const Cancelled& error) {
            EXPECT_EQ(error.reason(), CancelReason::user) << stuck.name;
        }
        EXPECT_TRUE(process.messages().empty());
        if (stuck.stage != Stage::handshake) {
            EXPECT_EQ(process.run("again").text(), "alive") << stuck.name;
            EXPECT_EQ(server.stats().accepts, 2U) << stuck.name << ": the connection was reused";
        }
    }
}

TEST(SyncProcessTest, AStopThatWasRequestedBeforeTheCallSendsNothing) {
    ScriptedServer server;
    SyncLLMProcess process = program_for(server).start_sync();
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THROW(process.run("hi", RunOptions().stop_token(stop.get_token())), Cancelled);
    EXPECT_THROW(process.run("hi", RunOptions().timeout(milliseconds(0))), Timeout);
    EXPECT_THROW(process.count_tokens(RunOptions().stop_token(stop.get_token())), Cancelled);
    EXPECT_THROW(process.count_tokens(RunOptions().timeout(milliseconds(0))), Timeout);
    EXPECT_EQ(server.stats().requests, 0U);
}

TEST(SyncProcessTest, CloseEndsCallsInProgress) {
    ScriptedServer server;
    server.default_reply(Reply().hold());
    SyncLLMProcess process = program_for(server).start_sync();
    std::vector<std::future<void>> calls;
    for (int i = 0; i < 4; ++i) {
        calls.push_back(std::async(std::launch::async, [&process] { process.run("hi"); }));
    }
    calls.push_back(std::async(std::launch::async, [&process] {
        process.complete(ChatRequest("hi"));
    }));
    EXPECT_TRUE(server.wait_for_requests(2, watchdog));
    const ShutdownReport report = process.close();
    EXPECT_TRUE(report.drained);
    for (std::future<void>& call : calls) {
        EXPECT_THROW(call.get(), ProcessClosed);
    }
    EXPECT_THROW(process.run("later"), ProcessClosed);
    EXPECT_THROW(process.complete(ChatRequest("later")), ProcessClosed);
    EXPECT_THROW(process.stream("later"), ProcessClosed);
    EXPECT_THROW(process.count_tokens(), ProcessClosed);
    EXPECT_THROW(process.reset(), ProcessClosed);
    EXPECT_THROW(process.get_executor(), ProcessClosed);
    EXPECT_TRUE(process.messages().empty());
}

TEST(SyncProcessTest, CloseIsIdempotentAndMayRace) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("hi");
    std::vector<std::future<ShutdownReport>> closers;
    for (int i = 0; i < 4; ++i) {
        closers.push_back(std::async(std::launch::async, [&process] { return process.close(); }));
    }
    for (auto& closer : closers) {
        EXPECT_TRUE(closer.get().drained);
    }
    EXPECT_TRUE(process.close().drained);
    EXPECT_EQ(process.messages().size(), 2U);
}

TEST(SyncProcessTest, DestroyingWithoutCloseDuringAStreamAndAnIdleConnection) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    auto process = std::make_unique<SyncLLMProcess>(program_for(server).start_sync());
    process->run("hi");
    server.push(openai_chat_stream({"a", "b"}).hold_after(400));
    SyncStream stream = process->stream("more");
    process.reset();
    EXPECT_THROW(stream.result(), ProcessClosed);
    EXPECT_THROW(stream.next(), ProcessClosed);
}

TEST(SyncProcessTest, AMovedFromProcessThrowsInvalidHandle) {
    ScriptedServer server;
    SyncLLMProcess process = program_for(server).start_sync();
    const SyncLLMProcess moved = std::move(process);
    try {
        process.run("hi");  // NOLINT(bugprone-use-after-move): what this test is about
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_handle);
    }
}

}  // namespace
}  // namespace llmproc
