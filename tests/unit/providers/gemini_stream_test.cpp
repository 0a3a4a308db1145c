#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "unit/providers/gemini_support.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing_gemini::chunk;
using testing_gemini::codec;
using testing_gemini::event;
using testing_gemini::failure;
using testing_gemini::stop;
using testing_gemini::stream_reply;

TEST(GeminiStreamTest, Trap15_TheEndOfTheBodyAloneIsNoEnd) {
    EXPECT_EQ(failure(stream_reply, ""), Errc::truncated_stream);
    EXPECT_EQ(failure(stream_reply, chunk(R"({"text":"a"})")), Errc::truncated_stream);
    const std::string unspecified = event(
        R"({"candidates":[{"finishReason":"FINISH_REASON_UNSPECIFIED"}]})"
    );
    EXPECT_EQ(failure(stream_reply, unspecified), Errc::truncated_stream);
    const std::string half = stop.substr(0, stop.size() - 8);
    EXPECT_EQ(failure(stream_reply, chunk(R"({"text":"a"})") + half), Errc::truncated_stream);
    // Complete, though its blank line is missing.
    EXPECT_EQ(stream_reply(stop.substr(0, stop.size() - 4)).stop_reason, StopReason::end_turn);
}

TEST(GeminiStreamTest, Trap9_UsageIsARunningTotal) {
    const std::string first = event(R"({"usageMetadata":{"promptTokenCount":5,
        "totalTokenCount":9,"thoughtsTokenCount":4}})");
    const std::string last = event(R"({"usageMetadata":{"promptTokenCount":5,
        "candidatesTokenCount":2,"totalTokenCount":11,"thoughtsTokenCount":4}})");
    std::string one_line = first + last;
    std::erase(one_line, ' ');
    for (std::size_t at = one_line.find(",\n"); at != one_line.npos; at = one_line.find(",\n")) {
        one_line.erase(at + 1, 1);
    }
    const Usage usage = stream_reply(one_line + stop).usage;
    EXPECT_EQ(usage.input_tokens, 5);
    EXPECT_EQ(usage.output_tokens, 6);
    EXPECT_EQ(usage.total_tokens, 11);
}

TEST(GeminiStreamTest, Trap10_TextIsJoinedButNeverAcrossASignature) {
    const ChatReply reply = stream_reply(
        chunk(R"({"text":"a","thought":true})") + chunk(R"({"text":"b","thought":true})") +
        chunk(R"({"text":"c"},{"text":""},{"text":"d"})") +
        chunk(R"({"text":"e","thoughtSignature":"1"})") + chunk(R"({"text":"f"})") +
        chunk(R"({"text":"","thoughtSignature":"2"})") + stop
    );
    const auto& blocks = reply.message.content();
    ASSERT_EQ(blocks.size(), 6U);
    EXPECT_EQ(std::get<ThinkingBlock>(blocks[0]).text, "ab");
    EXPECT_EQ(std::get<TextBlock>(blocks[1]).text, "cd");
    EXPECT_EQ(std::get<TextBlock>(blocks[2]).text, "e");
    EXPECT_EQ(std::get<TextBlock>(blocks[4]).text, "f");
    EXPECT_EQ(
        std::get<UnknownBlock>(blocks[5]).raw.text(),
        R"({"text":"","thoughtSignature":"2"})"
    );
    EXPECT_EQ(reply.text(), "cdef");
}

TEST(GeminiStreamTest, EventsComeInTheOrderOfTheParts) {
    providers::StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(
        chunk(R"({"text":"a"},{"functionCall":{"id":"i","name":"f","args":{"n": 1}}})") +
            chunk(R"({"executableCode":{"code":"x"}},{"functionCall":{"id":"j","name":"g"}})") +
            stop,
        events
    );
    driver.finish(events);
    using Type = StreamEvent::Type;
    const std::vector<Type> wanted{
        Type::text,
        Type::tool_call_begin,
        Type::tool_call_arguments,
        Type::other,
        Type::tool_call_begin,
        Type::tool_call_arguments,
        Type::stop};
    ASSERT_EQ(events.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        EXPECT_EQ(events[i].type, wanted[i]) << i;
    }
    EXPECT_EQ(events[2].data, R"({"n": 1})");
    EXPECT_EQ(events[3].data, R"({"executableCode":{"code":"x"}})");
    EXPECT_EQ(events[4].index, 1U);
    EXPECT_EQ(events[6].stop_reason, StopReason::tool_use);
}

TEST(GeminiStreamTest, ABlockedPromptEndsTheStream) {
    const ChatReply reply = stream_reply(
        event(R"({"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}})")
    );
    EXPECT_EQ(reply.stop_reason, StopReason::content_filter);
    EXPECT_EQ(reply.raw_stop_reason, "PROHIBITED_CONTENT");
    const std::string open = event(
        R"({"promptFeedback":{"blockReason":"BLOCK_REASON_UNSPECIFIED"}})"
    );
    EXPECT_EQ(failure(stream_reply, open), Errc::truncated_stream);
}

TEST(GeminiStreamTest, CitationsOfAllChunksAreKept) {
    const auto cited = [](const std::string& sources) {
        return event(
            R"({"candidates":[{"content":{"parts":[{"text":"x"}]},"citationMetadata":)"
            R"({"citationSources":[)" +
            sources + "]}}]}"
        );
    };
    const ChatReply reply = stream_reply(cited(R"({"uri":"a"})") + cited(R"({"uri":"b"})") + stop);
    EXPECT_EQ(
        std::get<TextBlock>(reply.message.content()[0]).citations->text(),
        R"({"citationMetadata":{"citationSources":[{"uri":"a"},{"uri":"b"}]}})"
    );
}

TEST(GeminiStreamTest, AReasonInEveryChunkIsFineAndTheLastOneCounts) {
    const auto part = [](const std::string& text, const std::string& reason) {
        return event(
            R"({"candidates":[{"content":{"parts":[{"text":")" + text + R"("}]},"finishReason":")" +
            reason + R"("}]})"
        );
    };
    const ChatReply reply = stream_reply(part("a", "STOP") + part("b", "MAX_TOKENS"));
    EXPECT_EQ(reply.text(), "ab");
    EXPECT_EQ(reply.stop_reason, StopReason::max_tokens);
}

TEST(GeminiStreamTest, CorruptEventsAreMalformed) {
    const std::string deep = std::string(10000, '{') + std::string(10000, '}');
    const std::vector<std::string> events{
        "{",
        "[1]",
        "text",
        "{\"candidates\":7}",
        "{\"candidates\":[7]}",
        "{\"candidates\":[{\"index\":1e99}]}",
        "{\"candidates\":[{\"index\":-1}]}",
        "{\"new\":" + deep + "}",
        "{\"new\":\"\xc3\"}"};
    for (const std::string& data : events) {
        EXPECT_EQ(failure(stream_reply, event(data) + stop), Errc::malformed_response) << data;
    }
}

TEST(GeminiStreamTest, UnknownEventsAreSkipped) {
    providers::StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed("data: [DONE]\n\nevent: ping\ndata: x\n\n" + event("{\"new\":1}") + stop, events);
    driver.finish(events);
    EXPECT_EQ(driver.unknown_events(), 3U);
    EXPECT_EQ(events.back().stop_reason, StopReason::end_turn);
}

TEST(GeminiStreamTest, AnErrorEventIsTheProvidersError) {
    const std::string named =
        "event: error\ndata: {\"error\":{\"code\":500,\"status\":\"INTERNAL\"}}\n\n";
    EXPECT_EQ(failure(stream_reply, named), Errc::server_error);
    EXPECT_EQ(failure(stream_reply, stop + named), Errc::server_error);
    const std::string key = event(
        R"({"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}})"
    );
    EXPECT_EQ(failure(stream_reply, key), Errc::authentication_failed);
}

TEST(GeminiStreamTest, TheTokensSoFarAreKnownBeforeTheEnd) {
    const auto decoder = codec().stream_decoder();
    StreamEvents events;
    decoder->feed(SseEvent("", R"({"usageMetadata":{"promptTokenCount":5}})"), events);
    EXPECT_EQ(decoder->usage().input_tokens, 5);
}

}  // namespace
}  // namespace llmproc
