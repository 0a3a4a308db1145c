#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <future>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

using testing::openai_chat_echo;
using testing::openai_chat_reply;
using testing::program_for;
using testing::Reply;
using testing::ScriptedServer;

TEST(SyncProcessTest, FiftyRunsAreOneConnectionOneHandshakeOneThread) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    const std::thread::id loop = process.loop().thread_id();
    for (int i = 0; i < 50; ++i) {
        const std::string prompt = "number " + std::to_string(i);
        const RunResult result = process.run(prompt);
        EXPECT_EQ(result.text(), "You said: " + prompt);
        EXPECT_EQ(result.stop_reason(), StopReason::end_turn);
        EXPECT_TRUE(result.usage().reported);
        EXPECT_EQ(result.api_calls(), 1);
        EXPECT_EQ(process.loop().thread_id(), loop);
    }
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(server.stats().handshakes, 1U);
    EXPECT_EQ(server.stats().requests, 50U);
    const ProcessStats stats = process.stats();
    EXPECT_EQ(stats.runs, 50U);
    EXPECT_EQ(stats.connections_opened, 1U);
    EXPECT_EQ(stats.tls_handshakes, 1U);
    EXPECT_EQ(stats.connections_reused, 49U);
    EXPECT_EQ(stats.connections_replaced, 0U);
    EXPECT_EQ(process.messages().size(), 100U);
}

TEST(SyncProcessTest, SendsTheConversationAndTheSystemPrompt) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("first");
    process.run("second");
    const std::string body = server.requests().at(1).body;
    const std::size_t system = body.find("Be brief.");
    const std::size_t first = body.find("first", system);
    const std::size_t answer = body.find("You said: first", first);
    const std::size_t second = body.find("second", answer);
    EXPECT_NE(second, std::string::npos) << body;
    process.reset();
    EXPECT_TRUE(process.messages().empty());
    process.run("third");
    EXPECT_EQ(server.requests().at(2).body.find("first"), std::string::npos);
}

TEST(SyncProcessTest, AnIdleConnectionThatTheServerClosedIsReplaced) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("one");
    EXPECT_EQ(server.close_idle_connections(), 1U);
    EXPECT_EQ(process.run("two").text(), "You said: two");
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(server.stats().requests, 2U);
}

struct BadAnswer {
    const char* name;
    Reply reply;
    Errc code;
};

std::vector<BadAnswer> bad_answers() {
    using testing::openai_error_reply;
    return {
        {"400", openai_error_reply(400, "no"), Errc::invalid_request},
        {"401", openai_error_reply(401, "no"), Errc::authentication_failed},
        {"404", openai_error_reply(404, "no"), Errc::not_found},
        {"429",
         openai_error_reply(429, "slow", "requests", "rate_limit_exceeded"),
         Errc::rate_limited},
        {"500", openai_error_reply(500, "oops", "server_error"), Errc::server_error},
        {"not json", Reply::json("{\"id\":"), Errc::malformed_response},
        {"no choices", Reply::json("{}"), Errc::malformed_response},
        {"html",
         Reply().body("<html>").header("Content-Type", "text/html"),
         Errc::malformed_response},
        {"cut body", openai_chat_reply("cut").truncate_after(150), Errc::truncated_response},
        {"cut header", openai_chat_reply("cut").truncate_after(20), Errc::truncated_response},
        {"reset", openai_chat_reply("cut").reset_after(150), Errc::connection_lost},
        {"no http", Reply().raw("SSH-2.0-OpenSSH_9.2\r\n"), Errc::malformed_http},
    };
}

TEST(SyncProcessTest, EveryFailureIsTypedAndLeavesTheConversationAsItWas) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("before");
    History before = process.messages();
    for (const BadAnswer& bad : bad_answers()) {
        server.push(bad.reply);
        try {
            process.run("this fails");
            ADD_FAILURE() << bad.name << ": no error";
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), bad.code) << bad.name << ": " << error.what();
            EXPECT_EQ(error.diagnostics().provider, "openai_compatible") << bad.name;
            EXPECT_EQ(error.diagnostics().model, "test-model") << bad.name;
            EXPECT_EQ(error.diagnostics().attempts, 1) << bad.name;
        }
        EXPECT_EQ(process.messages(), before) << bad.name << ": not the same messages";
        EXPECT_EQ(process.run("after").text(), "You said: after") << bad.name;
        before = process.messages();
    }
}

TEST(SyncProcessTest, RunsOfManyThreadsAreServedInTurn) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    constexpr int threads = 16;
    constexpr int calls = 10;
    std::vector<std::thread> callers;
    std::atomic<int> matched{0};
    for (int t = 0; t < threads; ++t) {
        callers.emplace_back([&process, &matched, t] {
            for (int i = 0; i < calls; ++i) {
                const std::string prompt = std::to_string(t) + "/" + std::to_string(i);
                matched += process.run(prompt).text() == "You said: " + prompt ? 1 : 0;
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(matched.load(), threads * calls);
    EXPECT_EQ(server.stats().accepts, 1U) << "runs of one process overlap";
    const History history = process.messages();
    ASSERT_EQ(history.size(), 2U * threads * calls);
    for (std::size_t i = 0; i < history.size(); i += 2) {
        EXPECT_EQ(history[i]->role(), Role::user);
        EXPECT_EQ(history[i + 1]->text(), "You said: " + history[i]->text());
    }
}

TEST(SyncProcessTest, CompleteTakesNoTurnAndNoHistory) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    server.hold_until_open_requests(8);
    SyncLLMProcess process = program_for(server).start_sync();
    std::vector<std::future<std::string>> calls;
    for (int i = 0; i < 8; ++i) {
        calls.push_back(std::async(std::launch::async, [&process, i] {
            return process.complete(ChatRequest(std::to_string(i))).text();
        }));
    }
    for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), "You said: " + std::to_string(i));
    }
    EXPECT_EQ(server.stats().peak_open_requests, 8U);
    EXPECT_TRUE(process.messages().empty());
}

TEST(SyncProcessTest, CompleteFillsInTheProgramsParameters) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process =
        program_for(
            server,
            "[parameters]\ntemperature = 0.25\nmax_tokens = 7\n"
            "[parameters.extra_headers]\nX-Team = \"robots\"\nX-Site = \"here\"\n"
        )
            .start_sync();
    ChatRequest request("hi");
    request.params.max_tokens = 9;
    request.params.extra_headers.emplace_back("X-Site", "there");
    process.complete(request);
    const testing::RecordedRequest sent = server.requests().at(0);
    EXPECT_NE(sent.body.find("\"temperature\":0.25"), std::string::npos) << sent.body;
    EXPECT_NE(sent.body.find("\"max_tokens\":9"), std::string::npos) << sent.body;
    EXPECT_EQ(sent.body.find("Be brief."), std::string::npos)
        << "the program's prompt is not taken";
    EXPECT_EQ(sent.header("X-Team"), "robots");
    EXPECT_EQ(sent.header("X-Site"), "there");
}

TEST(SyncProcessTest, CountsTokensAndSaysWhereTheNumberIsFrom) {
    ScriptedServer server;
    server.push(openai_chat_reply("hello", testing::OpenAIUsage(120, 30)));
    SyncLLMProcess process = program_for(server).start_sync();
    const TokenCount before = process.count_tokens();
    EXPECT_EQ(before.source, TokenSource::estimate);
    EXPECT_FALSE(before.exact);
    EXPECT_GT(before.input_tokens, 0) << "the system prompt counts";
    process.run("hi");
    const TokenCount after = process.count_tokens();
    EXPECT_EQ(after.source, TokenSource::last_usage);
    EXPECT_EQ(after.input_tokens, 150);
    process.reset();
    EXPECT_EQ(process.count_tokens().input_tokens, before.input_tokens);
}

TEST(SyncProcessTest, ToolCallsComeBackAsDataAndTheirResultsGoOut) {
    ScriptedServer server;
    server.push(testing::openai_tool_call_reply(
        {testing::OpenAIToolCall("call_1", "get_weather", R"({"city":"Paris"})")}
    ));
    server.push(openai_chat_reply("18 degrees"));
    SyncLLMProcess process = program_for(server).start_sync();
    const RunResult asked = process.run("Weather in Paris?");
    EXPECT_EQ(asked.stop_reason(), StopReason::tool_use);
    ASSERT_EQ(asked.tool_calls().size(), 1U);
    const ToolCallBlock call = asked.tool_calls().front();
    EXPECT_EQ(call.name, "get_weather");
    EXPECT_EQ(call.arguments, R"({"city":"Paris"})");
    const RunResult answered = process.run(Message::tool_results({ToolResultBlock(call.id, "18")}));
    EXPECT_EQ(answered.text(), "18 degrees");
    EXPECT_NE(server.requests().at(1).body.find("\"tool_call_id\":\"call_1\""), std::string::npos);
}

}  // namespace
}  // namespace llmproc
