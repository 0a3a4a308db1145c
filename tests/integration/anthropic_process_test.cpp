// A conversation with Anthropic Messages through a whole process: program file, headers, replay.
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "providers/cassette.hpp"

#include <gtest/gtest.h>

#include <string>

namespace llmproc {
namespace {

using testing::Reply;
using testing::ScriptedServer;
using testing_cassettes::read_cassette;

LLMProgram claude_program(
    const ScriptedServer& server,
    const std::string& settings = "",
    const std::string& model = "claude-opus-5-5",
    const std::string& model_lines = ""
) {
    return LLMProgram::from_toml_string(
        "[model]\nname = \"" + model + "\"\nprovider = \"claude\"\nbase_url = \"" + server.url() +
            "\"\napi_key = \"sk-ant-test\"\nallow_inline_key = true\n" + model_lines +
            "[connection]\nca_file = \"" + server.ca_file() + "\"\n" + settings,
        "test.toml"
    );
}

Reply stream_of(const std::string& cassette) {
    Reply reply;
    reply.header("content-type", "text/event-stream");
    reply.header("request-id", "req_1");
    reply.piece(read_cassette("anthropic", cassette));
    return reply;
}

TEST(AnthropicProcessTest, StreamedThinkingAndCitationsGoBackInTheNextTurn) {
    ScriptedServer server;
    server.push(stream_of("anthropic-stream-thinking.sse"));
    server.push(Reply::json(read_cassette("anthropic", "anthropic-response.json")));
    SyncLLMProcess process = claude_program(server).start_sync();
    std::string text;
    std::string thinking;
    for (const StreamEvent& event : process.stream("How warm is it?")) {
        text += event.text();
        thinking += event.thinking();
    }
    EXPECT_EQ(text, "It is 24 \xc2\xb0\x43.");
    EXPECT_EQ(thinking, "The document says 24 \xc2\xb0\x43.");
    const RunResult second = process.run("And the sky?");
    EXPECT_EQ(second.usage().input_tokens, 1049);

    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(requests[0].target, "/v1/messages");
    EXPECT_EQ(requests[0].header("x-api-key"), "sk-ant-test");
    EXPECT_EQ(requests[0].header("anthropic-version"), "2026-10-21");
    EXPECT_FALSE(requests[0].has_header("authorization"));
    const Json messages = parse_json(requests[1].body).at("messages");
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_EQ(
        messages.at(1).at("content"),
        parse_json(read_cassette("anthropic", "anthropic-stream-thinking.expected.json"))
            .at("content")
    );
}

TEST(AnthropicProcessTest, TokensAreCountedByTheProvider) {
    ScriptedServer server;
    server.push(Reply::json(read_cassette("anthropic", "anthropic-response.json")));
    server.push(Reply::json(read_cassette("anthropic", "anthropic-count-tokens.json")));
    SyncLLMProcess process = claude_program(server).start_sync();
    EXPECT_FALSE(process.count_tokens().exact);  // nothing to count yet, and no request
    static_cast<void>(process.run("hi"));
    const TokenCount count = process.count_tokens();
    EXPECT_EQ(count.input_tokens, 403);
    EXPECT_EQ(count.source, TokenSource::provider);
    EXPECT_EQ(server.requests().at(1).target, "/v1/messages/count_tokens");
}

TEST(AnthropicProcessTest, TheVersionOfTheProgramFileDecidesAboutSampling) {
    ScriptedServer server;
    server.push(Reply::json(read_cassette("anthropic", "anthropic-response.json")));
    const std::string sampling = "[parameters]\ntemperature = 0.5\n";
    SyncLLMProcess refused = claude_program(server, sampling, "claude-sonnet-4-5").start_sync();
    try {
        static_cast<void>(refused.run("hi"));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_NE(error.message().find("2023-06-01"), std::string::npos);
    }
    EXPECT_TRUE(server.requests().empty());
    const std::string older = "api_version = \"2023-06-01\"\n";
    SyncLLMProcess process =
        claude_program(server, sampling, "claude-sonnet-4-5", older).start_sync();
    static_cast<void>(process.run("hi"));
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_EQ(requests[0].header("anthropic-version"), "2023-06-01");
    EXPECT_EQ(parse_json(requests[0].body).at("temperature"), 0.5);
}

TEST(AnthropicProcessTest, TheProgramFileOverridesWhatIsKnownOfTheModel) {
    ScriptedServer server;
    server.push(Reply::json(read_cassette("anthropic", "anthropic-response.json")));
    const std::string settings =
        "[parameters]\ntemperature = 0.5\nthinking = 2000\nprompt_caching = true\n"
        "[tools]\nhosted = [{ kind = \"web_search\", max_uses = 3 }]\n";
    SyncLLMProcess refused = claude_program(server, settings).start_sync();
    try {
        static_cast<void>(refused.run("hi"));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_NE(
            error.message().find("parameters.temperature is refused by the model "
                                 "claude-opus-5-5; remove it, or set model.rules.sampling = "
                                 "true"),
            std::string::npos
        ) << error.message();
    }
    EXPECT_TRUE(server.requests().empty());
    const std::string rules =
        "[model.rules]\nsampling = true\nthinking_budget = true\nmax_output_tokens = 9000\n";
    SyncLLMProcess process = claude_program(server, settings + rules).start_sync();
    static_cast<void>(process.run("hi"));
    const Json body = parse_json(server.requests().at(0).body);
    EXPECT_EQ(body.at("temperature"), 0.5);
    EXPECT_EQ(body.at("max_tokens"), 9000);
    EXPECT_EQ(body.at("thinking"), parse_json(R"({"type":"enabled","budget_tokens":2000})"));
    EXPECT_EQ(body.at("cache_control"), parse_json(R"({"type":"ephemeral"})"));
    EXPECT_EQ(
        body.at("tools"),
        parse_json(R"([{"type":"web_search_20260318","name":"web_search","max_uses":3}])")
    );
}

TEST(AnthropicProcessTest, AnErrorInTheStreamCarriesTextAndUsage) {
    ScriptedServer server;
    server.push(stream_of("anthropic-stream-error.sse"));
    SyncLLMProcess process = claude_program(server).start_sync();
    try {
        static_cast<void>(process.stream("hi").result());
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::overloaded);
        EXPECT_EQ(error.diagnostics().partial_text, "Partial");
        ASSERT_TRUE(error.diagnostics().partial_usage.has_value());
        EXPECT_EQ(error.diagnostics().partial_usage->input_tokens, 1049);
    }
    EXPECT_TRUE(process.messages().empty());
}

}  // namespace
}  // namespace llmproc
