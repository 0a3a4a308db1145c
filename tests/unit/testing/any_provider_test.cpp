#include <llmproc/message.hpp>
#include <llmproc/provider.hpp>
#include <llmproc/testing/anthropic.hpp>
#include <llmproc/testing/any_provider.hpp>
#include <llmproc/testing/gemini.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/openai_responses.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "providers/codec_checks.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {
namespace {

/// One vendor's answers, and the codec that must understand them.
struct Vendor {
    const char* codec;
    const char* provider;
    Reply (*reply)(const std::string&, const MockUsage&);
    Reply (*stream)(const std::vector<std::string>&, const MockUsage&);
    Reply (*calls)(const std::vector<MockToolCall>&, const MockUsage&);
    Reply (*call_stream)(const std::vector<MockToolCall>&, const MockUsage&);
    Reply (*error)(int, const std::string&);
};

std::ostream& operator<<(std::ostream& out, const Vendor& vendor) {
    return out << vendor.codec;
}

class AnyProviderTest : public ::testing::TestWithParam<Vendor> {
protected:
    const Codec& codec() const { return *find_codec(GetParam().codec); }

    static HttpResponse received(const Reply& reply) {
        HttpResponse response;
        response.status = reply.spec().status;
        for (const auto& [name, value] : reply.spec().headers) {
            response.headers.add(name, value);
        }
        response.body = reply.spec().body;
        return response;
    }

    ChatReply decoded(const Reply& reply) const { return codec().decode(received(reply)); }

    ChatReply streamed(const Reply& reply) const {
        std::string body;
        for (const ReplyPiece& piece : reply.spec().pieces) {
            body += piece.bytes;
        }
        EXPECT_FALSE(body.empty());
        return testing_cassettes::read_stream(codec(), body);
    }

    RecordedRequest asked(bool stream) const {
        ChatRequest request;
        request.add(Message::user("old words"));
        request.add(Message::assistant("yes"));
        request.add(Message::user("hello there"));
        EncodeCache cache;
        return recorded(codec().encode(request, endpoint(), stream, cache));
    }

    Endpoint endpoint() const {
        Endpoint endpoint;
        endpoint.provider = GetParam().provider;
        endpoint.base_url = "https://localhost/v1";
        endpoint.model = "m-1";
        endpoint.api_key = Secret("k");
        return endpoint;
    }

    static RecordedRequest recorded(const HttpRequest& request) {
        RecordedRequest result;
        result.method = request.method;
        result.target = request.target;
        result.headers.assign(request.headers.begin(), request.headers.end());
        result.body = request.body;
        return result;
    }
};

const std::vector<MockToolCall> two_calls{
    {"call_a", "get_weather", R"({"city":"Lisbon"})"},
    {"call_b", "now", "{}"}};

void expect_two_calls(const ChatReply& reply) {
    const std::vector<ToolCallBlock> calls = reply.message.tool_calls();
    ASSERT_EQ(calls.size(), 2U);
    EXPECT_EQ(calls[0].id, "call_a");
    EXPECT_EQ(calls[0].name, "get_weather");
    EXPECT_EQ(calls[0].arguments, R"({"city":"Lisbon"})");
    EXPECT_EQ(calls[1].name, "now");
    EXPECT_EQ(reply.stop_reason, StopReason::tool_use);
}

void expect_usage(const Usage& usage) {
    EXPECT_EQ(usage.input_tokens, 40);
    EXPECT_EQ(usage.output_tokens, 9);
    EXPECT_EQ(usage.cached_input_tokens, 30);
    EXPECT_EQ(usage.reasoning_tokens, 4);
    EXPECT_EQ(usage.total_tokens, 49);
}

TEST_P(AnyProviderTest, AWholeAnswerIsUnderstood) {
    const ChatReply reply = decoded(GetParam().reply("Hello", MockUsage(40, 9, 30, 4)));
    EXPECT_EQ(reply.text(), "Hello");
    EXPECT_EQ(reply.stop_reason, StopReason::end_turn);
    expect_usage(reply.usage);
}

TEST_P(AnyProviderTest, AStreamIsUnderstood) {
    const ChatReply reply = streamed(GetParam().stream({"Hel", "lo"}, MockUsage(40, 9, 30, 4)));
    EXPECT_EQ(reply.text(), "Hello");
    EXPECT_EQ(reply.stop_reason, StopReason::end_turn);
    expect_usage(reply.usage);
}

TEST_P(AnyProviderTest, ToolCallsAreUnderstood) {
    expect_two_calls(decoded(GetParam().calls(two_calls, MockUsage())));
    expect_two_calls(streamed(GetParam().call_stream(two_calls, MockUsage())));
}

TEST_P(AnyProviderTest, ErrorsAreUnderstood) {
    const std::vector<std::pair<int, Errc>> rows{
        {400, Errc::invalid_request},
        {401, Errc::authentication_failed},
        {403, Errc::permission_denied},
        {404, Errc::not_found},
        {429, Errc::rate_limited},
        {500, Errc::server_error},
        {503, Errc::overloaded}};
    for (const auto& [status, code] : rows) {
        const LLMError error = codec().decode_error(received(GetParam().error(status, "why")));
        EXPECT_EQ(error.errc(), code) << status;
        EXPECT_EQ(error.diagnostics().provider_message, "why");
    }
}

TEST_P(AnyProviderTest, TheEchoAnswersInTheProtocolOfTheRequest) {
    const ChatReply whole = decoded(any_provider_echo(asked(false)));
    EXPECT_EQ(whole.text(), "You said: hello there");
    EXPECT_EQ(whole.model, "m-1");
    EXPECT_EQ(whole.usage.input_tokens, 5);
    const ChatReply stream = streamed(any_provider_echo(asked(true)));
    EXPECT_EQ(stream.text(), "You said: hello there");
    EXPECT_EQ(stream.usage.output_tokens, 4);
}

TEST_P(AnyProviderTest, TheEchoCountsTokens) {
    ChatRequest request("one two three");
    const auto encoded = codec().encode_count_tokens(request, endpoint());
    if (!encoded) {
        EXPECT_STREQ(GetParam().codec, "openai_chat");
        return;
    }
    const Reply reply = any_provider_echo(recorded(*encoded));
    EXPECT_EQ(codec().decode_count_tokens(received(reply)).input_tokens, 3);
}

TEST_P(AnyProviderTest, ARequestThatIsNoneIsRefused) {
    for (const char* const body : {"", "{", "[]", "{}"}) {
        RecordedRequest request = asked(false);
        request.body = body;
        const Reply reply = any_provider_echo(request);
        EXPECT_EQ(reply.spec().status, 400) << body;
        EXPECT_EQ(codec().decode_error(received(reply)).errc(), Errc::invalid_request) << body;
    }
    RecordedRequest request = asked(false);
    request.target = "/v1/nothing";
    const Reply reply = any_provider_echo(request);
    EXPECT_EQ(codec().decode_error(received(reply)).errc(), Errc::not_found);
}

INSTANTIATE_TEST_SUITE_P(
    All,
    AnyProviderTest,
    ::testing::Values(
        Vendor{
            "anthropic",
            "anthropic",
            anthropic_reply,
            anthropic_stream,
            anthropic_tool_call_reply,
            anthropic_tool_call_stream,
            [](int status, const std::string& text) {
                return anthropic_error_reply(status, text);
            }},
        Vendor{
            "gemini",
            "gemini",
            gemini_reply,
            gemini_stream,
            gemini_tool_call_reply,
            gemini_tool_call_stream,
            [](int status, const std::string& text) { return gemini_error_reply(status, text); }},
        Vendor{
            "openai_chat",
            "openai_chat",
            openai_chat_reply,
            openai_chat_stream,
            openai_tool_call_reply,
            openai_tool_call_stream,
            [](int status, const std::string& text) { return openai_error_reply(status, text); }},
        Vendor{
            "openai_responses",
            "openai_responses",
            openai_responses_reply,
            openai_responses_stream,
            openai_responses_tool_call_reply,
            openai_responses_tool_call_stream,
            [](int status, const std::string& text) { return openai_error_reply(status, text); }}
    ),
    [](const auto& row) { return std::string(row.param.codec); }
);

}  // namespace
}  // namespace llmproc::testing
