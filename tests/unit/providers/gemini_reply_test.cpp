#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "unit/providers/gemini_support.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using testing_gemini::answer;
using testing_gemini::codec;
using testing_gemini::failure;
using testing_gemini::reply_of;

Usage usage_of(const std::string& metadata) {
    return reply_of(R"({"candidates":[{"finishReason":"STOP"}],"usageMetadata":)" + metadata + "}")
        .usage;
}

TEST(GeminiReplyTest, Trap9_ThoughtsAndToolPromptsAreCountedBesideTheRest) {
    const Usage usage = usage_of(R"({"promptTokenCount":100,"cachedContentTokenCount":"40",
        "toolUsePromptTokenCount":5,"candidatesTokenCount":10,"thoughtsTokenCount":3})");
    EXPECT_TRUE(usage.reported);
    EXPECT_EQ(usage.input_tokens, 105);
    EXPECT_EQ(usage.cached_input_tokens, 40);
    EXPECT_EQ(usage.output_tokens, 13);
    EXPECT_EQ(usage.reasoning_tokens, 3);
    EXPECT_EQ(usage.total_tokens, 118);
    EXPECT_EQ(usage_of(R"({"totalTokenCount":7})").total_tokens, 7);
}

TEST(GeminiReplyTest, AbsurdCountsAreBounded) {
    const Usage usage = usage_of(R"({"promptTokenCount":9223372036854775807,
        "toolUsePromptTokenCount":9223372036854775807,"candidatesTokenCount":-5,
        "thoughtsTokenCount":"99999999999999999999","totalTokenCount":{}})");
    EXPECT_GT(usage.input_tokens, 0);
    EXPECT_EQ(usage.output_tokens, 0);
    EXPECT_GT(usage.total_tokens, 0);
}

TEST(GeminiReplyTest, Trap9_ACallEndsWithStop) {
    const ChatReply reply = reply_of(answer(R"({"functionCall":{"name":"f"}})"));
    EXPECT_EQ(reply.stop_reason, StopReason::tool_use);
    EXPECT_EQ(reply.raw_stop_reason, "STOP");
    ASSERT_EQ(reply.message.tool_calls().size(), 1U);
    EXPECT_EQ(reply.message.tool_calls()[0].arguments, "{}");
    EXPECT_FALSE(reply.message.tool_calls()[0].id.empty());
}

TEST(GeminiReplyTest, Trap9_ABlockedPromptHasNoCandidates) {
    const ChatReply reply = reply_of(
        R"({"promptFeedback":{"blockReason":"BLOCKLIST","safetyRatings":[1]}})"
    );
    EXPECT_EQ(reply.stop_reason, StopReason::content_filter);
    EXPECT_EQ(reply.raw_stop_reason, "BLOCKLIST");
    EXPECT_EQ(reply.text(), "");
    ASSERT_EQ(reply.message.content().size(), 1U);
    EXPECT_EQ(
        std::get<UnknownBlock>(reply.message.content()[0]).raw.text(),
        R"({"of_candidate":{"promptFeedback":{"blockReason":"BLOCKLIST","safetyRatings":[1]}}})"
    );
}

TEST(GeminiReplyTest, StopReasons) {
    const std::vector<std::pair<std::string, StopReason>> cases{
        {"STOP", StopReason::end_turn},
        {"MAX_TOKENS", StopReason::max_tokens},
        {"SAFETY", StopReason::content_filter},
        {"RECITATION", StopReason::content_filter},
        {"LANGUAGE", StopReason::content_filter},
        {"BLOCKLIST", StopReason::content_filter},
        {"PROHIBITED_CONTENT", StopReason::content_filter},
        {"SPII", StopReason::content_filter},
        {"IMAGE_SAFETY", StopReason::content_filter},
        {"IMAGE_PROHIBITED_CONTENT", StopReason::content_filter},
        {"IMAGE_RECITATION", StopReason::content_filter},
        {"OTHER", StopReason::unknown},
        {"MALFORMED_FUNCTION_CALL", StopReason::unknown},
        {"UNEXPECTED_TOOL_CALL", StopReason::unknown},
        {"NO_IMAGE", StopReason::unknown},
        {"SOMETHING_NEW", StopReason::unknown}};
    for (const auto& [word, reason] : cases) {
        const ChatReply reply = reply_of(answer(R"({"text":"a"})", word));
        EXPECT_EQ(reply.stop_reason, reason) << word;
        EXPECT_EQ(reply.raw_stop_reason, word);
        EXPECT_EQ(reply.text(), "a");
    }
    // A cut by length or policy stays what it is, though calls came before it.
    EXPECT_EQ(
        reply_of(answer(R"({"functionCall":{"name":"f"}})", "MAX_TOKENS")).stop_reason,
        StopReason::max_tokens
    );
}

TEST(GeminiReplyTest, CitationsAndGroundingAreKeptWithTheText) {
    const ChatReply reply = reply_of(R"({"candidates":[{"content":{"parts":[{"text":"a"},
        {"inlineData":{"mimeType":"image/png","data":"AA=="}}]},"finishReason":"STOP",
        "citationMetadata":{"citationSources":[{"uri":"u"}]},"groundingMetadata":{"n":1.0},
        "urlContextMetadata":{"m":2},"safetyRatings":[],"avgLogprobs":-0.1}]})");
    ASSERT_EQ(reply.message.content().size(), 2U);
    const auto& text = std::get<TextBlock>(reply.message.content()[0]);
    ASSERT_TRUE(text.citations.has_value());
    EXPECT_EQ(
        text.citations->text(),
        R"({"citationMetadata":{"citationSources":[{"uri":"u"}]},)"
        R"("groundingMetadata":{"n":1.0},"urlContextMetadata":{"m":2}})"
    );
    EXPECT_EQ(
        std::get<UnknownBlock>(reply.message.content()[1]).raw.text(),
        R"({"inlineData":{"mimeType":"image/png","data":"AA=="}})"
    );
}

TEST(GeminiReplyTest, GroundingWithoutTextIsKeptToo) {
    const ChatReply reply = reply_of(R"({"candidates":[{"content":{"parts":[
        {"functionCall":{"id":"i","name":"f"}}]},"groundingMetadata":{},"finishReason":"STOP"}]})");
    ASSERT_EQ(reply.message.content().size(), 2U);
    EXPECT_EQ(
        std::get<UnknownBlock>(reply.message.content()[1]).raw.text(),
        R"({"of_candidate":{"groundingMetadata":{}}})"
    );
}

TEST(GeminiReplyTest, OnlyTheFirstCandidateIsRead) {
    EXPECT_EQ(
        reply_of(R"({"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"SAFETY",
            "index":1},{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP","index":0}]})")
            .text(),
        "a"
    );
    for (const char* index : {"-1", "128", "99999999999999999999", "\"0\""}) {
        const std::string body = std::string(R"({"candidates":[{"finishReason":"STOP","index":)") +
                                 index + "}]}";
        EXPECT_EQ(failure(reply_of, body), Errc::malformed_response) << index;
    }
}

TEST(GeminiReplyTest, MissingPiecesAreNoError) {
    for (const char* content :
         {"",
          R"("content":{},)",
          R"("content":null,)",
          R"("content":{"role":"model","parts":null},)"}) {
        const ChatReply reply = reply_of(
            std::string("{\"candidates\":[{") + content + R"("finishReason":"MAX_TOKENS"}]})"
        );
        EXPECT_TRUE(reply.message.content().empty()) << content;
        EXPECT_FALSE(reply.usage.reported);
    }
    const ChatReply endless = reply_of(R"({"candidates":[{"content":{"parts":[{"text":"a"}]}}]})");
    EXPECT_EQ(endless.stop_reason, StopReason::unknown);
}

TEST(GeminiReplyTest, WhatIsNoAnswerIsMalformed) {
    const std::string deep = std::string(10000, '[') + std::string(10000, ']');
    const std::vector<std::string> bodies{
        "",
        "null",
        "\"text\"",
        "{}",
        "{\"candidates\":[]}",
        "{\"candidates\":null}",
        "{\"candidates\":{}}",
        answer("7"),
        answer(R"({"functionCall":{"id":"i"}})"),
        answer(R"({"functionCall":{"name":"f","args":[]}})"),
        answer("{\"text\":\"\xff\"}"),
        answer("{\"new\":" + deep + "}"),
        "{\"new\":" + deep + "}",
        answer(R"({"text":"a"})") + "x"};
    for (const std::string& body : bodies) {
        EXPECT_EQ(failure(reply_of, body), Errc::malformed_response) << body.substr(0, 80);
    }
}

TEST(GeminiReplyTest, ManyCallsAndPiecesOfCallsAreRefused) {
    std::string calls = R"({"functionCall":{"name":"f"}})";
    for (int i = 0; i < 128; ++i) {
        calls += R"(,{"functionCall":{"name":"f"}})";
    }
    EXPECT_EQ(failure(reply_of, answer(calls)), Errc::malformed_response);
    EXPECT_EQ(
        failure(reply_of, answer(R"({"functionCall":{"name":"f","willContinue":true}})")),
        Errc::not_supported
    );
    EXPECT_EQ(
        failure(reply_of, answer(R"({"functionCall":{"name":"f","partialArgs":[{"a":1}]}})")),
        Errc::not_supported
    );
}

TEST(GeminiReplyTest, Trap15_AnErrorInABodyOfStatus200IsThrown) {
    const std::string body = R"({"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED",
        "details":[{"retryDelay":"2s"}]}})";
    EXPECT_EQ(failure(reply_of, body), Errc::rate_limited);
    EXPECT_EQ(failure(reply_of, "[" + body + "]"), Errc::rate_limited);
    EXPECT_EQ(
        reply_of(R"({"error":null,"candidates":[{"finishReason":"STOP"}]})").stop_reason,
        StopReason::end_turn
    );
}

TEST(GeminiReplyTest, Trap11_AStreamThatCameAsOneArrayIsRead) {
    const std::string first = R"({"candidates":[{"content":{"parts":[{"text":"a"}]}}]})";
    const ChatReply reply = reply_of("[" + first + ",\n" + answer(R"({"text":"b"})") + "]");
    EXPECT_EQ(reply.text(), "ab");
    EXPECT_EQ(reply.message.content().size(), 1U);
    EXPECT_EQ(failure(reply_of, "[" + first + "]"), Errc::truncated_response);
    EXPECT_EQ(failure(reply_of, "[]"), Errc::truncated_response);
}

TEST(GeminiReplyTest, AContinuationIsNoSuccess) {
    std::string body = answer(R"({"text":"a"})", "CONTINUATION");
    body.insert(1, R"("usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4},)");
    try {
        static_cast<void>(reply_of(body));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::truncated_response);
        EXPECT_EQ(error.diagnostics().partial_text, "a");
        ASSERT_TRUE(error.diagnostics().partial_usage);
        EXPECT_EQ(error.diagnostics().partial_usage->total_tokens, 7);
    }
}

TEST(GeminiReplyTest, ACountThatComesTwiceCountsOnce) {
    const std::string counts =
        R"("promptTokenCount":1,"toolUsePromptTokenCount":20,"candidatesTokenCount":300)";
    std::string body = answer(R"({"text":"a"})");
    // As often as it likes: no sum of theirs can overflow.
    body.insert(1, R"("usageMetadata":{)" + counts + "," + counts + "},");
    const Usage usage = reply_of(body).usage;
    EXPECT_EQ(usage.input_tokens, 21);
    EXPECT_EQ(usage.output_tokens, 300);
}

TEST(GeminiReplyTest, AnEmptyListMayBeLeftOut) {
    HttpResponse response(200);
    for (const char* const body : {"{}", R"({"models":null,"embeddings":null,"error":null})"}) {
        response.body = body;
        EXPECT_TRUE(codec().decode_list_models(response).models.empty()) << body;
        EXPECT_TRUE(codec().decode_embeddings(response).vectors.empty()) << body;
    }
    response.body = R"({"error":{"code":503,"message":"full","status":"UNAVAILABLE"}})";
    const auto models = [&](const std::string&) { return codec().decode_list_models(response); };
    const auto vectors = [&](const std::string&) { return codec().decode_embeddings(response); };
    EXPECT_EQ(failure(models, ""), Errc::overloaded);
    EXPECT_EQ(failure(vectors, ""), Errc::overloaded);
}

TEST(GeminiReplyTest, ListsThatAreNone) {
    HttpResponse response(200);
    for (const char* body : {"", "[]", R"({"models":{},"embeddings":[{}],"totalTokens":"x"})"}) {
        response.body = body;
        const auto models = [&](const std::string&) {
            return codec().decode_list_models(response);
        };
        const auto vectors = [&](const std::string&) {
            return codec().decode_embeddings(response);
        };
        EXPECT_EQ(failure(models, ""), Errc::malformed_response) << body;
        EXPECT_EQ(failure(vectors, ""), Errc::malformed_response) << body;
    }
    response.body = R"({"cachedContentTokenCount":3})";
    const auto count = [&](const std::string&) { return codec().decode_count_tokens(response); };
    EXPECT_EQ(failure(count, ""), Errc::malformed_response);
}

}  // namespace
}  // namespace llmproc
