#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace llmproc {
namespace {

ChatReply decode(std::string body) {
    HttpResponse response(200);
    response.body = std::move(body);
    return find_codec("openai_chat")->decode(response);
}

ChatReply decode_message(const std::string& members, const std::string& reason = "stop") {
    return decode(
        R"({"choices":[{"message":{)" + members + R"(},"finish_reason":")" + reason + "\"}]}"
    );
}

Errc failure(const std::string& body) {
    try {
        static_cast<void>(decode(body));
    } catch (const LLMError& error) {
        EXPECT_FALSE(error.diagnostics().status.has_value());
        return error.errc();
    }
    return Errc::internal;
}

TEST(OpenAiChatReplyTest, CallsAreDecisiveAndGetAnId) {
    const ChatReply reply = decode_message(
        R"("content":"","tool_calls":[{"id":"","function":{"name":"f","arguments":{"n": 1.10}}}])"
    );
    ASSERT_EQ(reply.message.tool_calls().size(), 1U);
    EXPECT_EQ(reply.message.tool_calls()[0].arguments, R"({"n": 1.10})");
    EXPECT_EQ(reply.message.tool_calls()[0].id.rfind("call_", 0), 0U);
    EXPECT_EQ(reply.stop_reason, StopReason::tool_use);
    EXPECT_FALSE(reply.usage.reported);
}

TEST(OpenAiChatReplyTest, CountsAreWholeNumbersInAnyForm) {
    const auto input_tokens = [](const std::string& number) {
        HttpResponse response(200);
        response.body = R"({"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],)"
                        R"("usage":{"prompt_tokens":)" +
                        number + "}}";
        return find_codec("openai_chat")->decode(response).usage.input_tokens;
    };
    EXPECT_EQ(input_tokens("1200"), 1200);
    EXPECT_EQ(input_tokens("12e2"), 1200);
    EXPECT_EQ(input_tokens("1200.0"), 1200);
    EXPECT_EQ(input_tokens("1e300"), std::int64_t{1} << 48);
    for (const char* none : {"1.5", "-3", "-1e300", "null", "\"7\"", "{}", "1e-400"}) {
        EXPECT_EQ(input_tokens(none), 0) << none;
    }
}

TEST(OpenAiChatReplyTest, ReasonsAreMapped) {
    const std::string text = R"("content":"x")";
    EXPECT_EQ(decode_message(text, "length").stop_reason, StopReason::max_tokens);
    EXPECT_EQ(decode_message(text, "content_filter").stop_reason, StopReason::content_filter);
    EXPECT_EQ(decode_message(text, "tool_calls").stop_reason, StopReason::end_turn);
    EXPECT_EQ(decode_message(text, "brand_new").stop_reason, StopReason::unknown);
    EXPECT_EQ(decode_message(text, "brand_new").raw_stop_reason, "brand_new");
    EXPECT_EQ(
        decode_message(R"("tool_calls":[{"id":"a","function":{"name":"f"}}])", "length")
            .stop_reason,
        StopReason::max_tokens
    );
}

TEST(OpenAiChatReplyTest, PartsReasoningAnnotationsAndExtrasAreKept) {
    const ChatReply reply = decode_message(
        R"("audio":{"id":"au"},"annotations":[{"n":1}],"reasoning_details":[{"d":1}],)"
        R"("content":[{"type":"thinking","thinking":[{"type":"text","text":"T"}]},)"
        R"({"type":"text","text":"A"},{"type":"new","x":1},{"type":"refusal","refusal":"R"}])"
    );
    const auto& blocks = reply.message.content();
    ASSERT_EQ(blocks.size(), 5U);
    EXPECT_EQ(std::get<ThinkingBlock>(blocks[0]).text, "T");
    EXPECT_EQ(std::get<ThinkingBlock>(blocks[0]).opaque->text(), R"([{"d":1}])");
    EXPECT_EQ(std::get<TextBlock>(blocks[1]).citations->text(), R"([{"n":1}])");
    EXPECT_EQ(std::get<UnknownBlock>(blocks[2]).raw.text(), R"({"type":"new","x":1})");
    EXPECT_TRUE(std::get<TextBlock>(blocks[3]).refusal);
    EXPECT_EQ(std::get<UnknownBlock>(blocks[4]).raw.text(), R"({"audio":{"id":"au"}})");
    EXPECT_EQ(reply.stop_reason, StopReason::refusal);
}

TEST(OpenAiChatReplyTest, LegacyFunctionCallAndFirstChoiceOnly) {
    const ChatReply reply = decode(
        R"({"choices":[{"message":{"function_call":{"name":"f","arguments":"{}"}},)"
        R"("finish_reason":"function_call"},{"message":{"content":"second"}}]})"
    );
    EXPECT_EQ(reply.text(), "");
    EXPECT_EQ(reply.message.tool_calls().at(0).name, "f");
}

TEST(OpenAiChatReplyTest, ErrorsInA200Body) {
    EXPECT_EQ(failure(R"({"error":{"code":429,"message":"slow"}})"), Errc::rate_limited);
    EXPECT_EQ(failure(R"({"error":"boom"})"), Errc::server_error);
    EXPECT_EQ(
        failure(R"({"choices":[{"error":{"code":502},"message":{},"finish_reason":"error"}]})"),
        Errc::server_error
    );
    EXPECT_EQ(
        failure(R"({"error":{"code":"context_length_exceeded","message":"m"}})"),
        Errc::context_length
    );
    EXPECT_EQ(decode(R"({"error":null,"choices":[{"message":{"content":"x"}}]})").text(), "x");
}

TEST(OpenAiChatReplyTest, WhatIsNoReplyIsMalformed) {
    for (const char* body :
         {"",
          "[]",
          "<html>",
          "{}",
          R"({"choices":[]})",
          R"({"choices":null})",
          R"({"choices":[{}]})",
          R"({"choices":[{"message":{"content":5}}]})",
          R"({"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]})",
          R"({"choices":[{"message":{"content":"x"}}]} trailing)"}) {
        EXPECT_EQ(failure(body), Errc::malformed_response) << body;
    }
}

}  // namespace
}  // namespace llmproc
