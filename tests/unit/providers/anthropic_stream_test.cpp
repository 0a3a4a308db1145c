#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "model/reply_builder.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

struct Answer {
    ChatReply built;  ///< What the events alone say.
    ChatReply reply;  ///< The same, completed by the decoder.
    StreamEvents events;
    std::uint64_t unknown = 0;
};

Answer read_all(const std::string& body) {
    providers::StreamDriver driver(find_codec("anthropic")->stream_decoder(), wire::SseLimits());
    Answer answer;
    driver.feed(body, answer.events);
    driver.finish(answer.events);
    ReplyBuilder builder;
    for (const StreamEvent& event : answer.events) {
        builder.add(event);
    }
    answer.built = builder.finish();
    answer.reply = answer.built;
    driver.decoder().complete(answer.reply);
    answer.unknown = driver.unknown_events();
    return answer;
}

ChatReply read(const std::string& body) {
    return read_all(body).reply;
}

LLMError error_of(const std::string& body) {
    try {
        static_cast<void>(read(body));
    } catch (const LLMError& error) {
        EXPECT_LT(error.message().size(), 3000U);
        return error;
    }
    return {Errc::internal, "it did not fail"};
}

Errc failure(const std::string& body) {
    return error_of(body).errc();
}

/// An event; `members` begin with a comma.
std::string event(const std::string& type, const std::string& members = "") {
    return "event: " + type + "\ndata: {\"type\":\"" + type + "\"" + members + "}\n\n";
}

std::string at(int index) {
    return ",\"index\":" + std::to_string(index);
}

std::string begin(int index, const std::string& block) {
    return event("content_block_start", at(index) + ",\"content_block\":" + block);
}

std::string delta(int index, const std::string& members) {
    return event("content_block_delta", at(index) + ",\"delta\":{" + members + "}");
}

std::string text(int index, const std::string& piece) {
    return delta(index, R"("type":"text_delta","text":")" + piece + "\"");
}

std::string json(int index, const std::string& piece) {
    return delta(index, R"("type":"input_json_delta","partial_json":")" + piece + "\"");
}

std::string end(int index) {
    return event("content_block_stop", at(index));
}

std::string ended(const std::string& reason) {
    return event("message_delta", R"(,"delta":{"stop_reason":")" + reason + "\"}") +
           event("message_stop");
}

const std::string start = event(
    "message_start",
    R"(,"message":{"id":"m","model":"c","content":[],"usage":{"input_tokens":5,"output_tokens":1}})"
);
const std::string empty_text = R"({"type":"text","text":""})";
const std::string tool = R"({"type":"tool_use","id":"i","name":"f","input":{}})";
const std::string stop = ended("end_turn");

TEST(AnthropicStreamTest, Trap15_WithoutMessageStopItIsTruncation) {
    const std::string whole = start + begin(0, empty_text) + text(0, "Hi") + end(0);
    const LLMError error = error_of(
        whole + event("message_delta", R"(,"delta":{"stop_reason":"end_turn"})")
    );
    EXPECT_EQ(error.errc(), Errc::truncated_stream);
    EXPECT_EQ(failure(""), Errc::truncated_stream);
    EXPECT_EQ(failure(start), Errc::truncated_stream);
    std::string pending = whole + stop;
    pending.pop_back();  // the last event lacks its empty line
    EXPECT_EQ(failure(pending), Errc::truncated_stream);
    EXPECT_EQ(read(whole + stop).text(), "Hi");
}

TEST(AnthropicStreamTest, Trap15_AnErrorAfterHttp200IsItsOwnError) {
    const auto error = [](const std::string& type) {
        return event("error", R"(,"error":{"type":")" + type + R"(","message":"m"})");
    };
    EXPECT_EQ(failure(start + error("overloaded_error")), Errc::overloaded);
    EXPECT_EQ(failure(error("rate_limit_error")), Errc::rate_limited);
    EXPECT_EQ(failure(start + error("api_error")), Errc::server_error);
    EXPECT_EQ(failure(start + error("request_too_large")), Errc::request_too_large);
    EXPECT_EQ(failure(start + "event: error\ndata: plain words\n\n"), Errc::server_error);
    EXPECT_EQ(
        failure(R"(data: {"type":"error","error":{"type":"timeout_error"}})"
                "\n\n"),
        Errc::server_error
    );
}

TEST(AnthropicStreamTest, Trap7_UsageIsCumulativeAndNullChangesNothing) {
    const auto usage = [](const std::string& members) {
        return event("message_delta", R"(,"delta":{},"usage":{)" + members + "}");
    };
    const ChatReply reply = read(
        start + usage(R"("output_tokens":10,"cache_read_input_tokens":7)") +
        usage(R"("input_tokens":null,"output_tokens":25,"output_tokens_details":null)") +
        usage(R"("output_tokens_details":{"thinking_tokens":4})") + stop
    );
    EXPECT_EQ(reply.usage.input_tokens, 12);
    EXPECT_EQ(reply.usage.cached_input_tokens, 7);
    EXPECT_EQ(reply.usage.output_tokens, 25);
    EXPECT_EQ(reply.usage.reasoning_tokens, 4);
    EXPECT_EQ(reply.usage.total_tokens, 37);
}

TEST(AnthropicStreamTest, Trap8_ToolInputIsTheJoinedTextAndEmptyMeansAnEmptyObject) {
    const Answer answer = read_all(
        start + begin(0, tool) + json(0, "") + json(0, R"({\"n\": 1)") + json(0, ".10}") + end(0) +
        begin(1, R"({"type":"tool_use","id":"j","name":"g","input":{}})") + json(1, "") + end(1) +
        begin(2, R"({"type":"tool_use","id":"k","name":"h","input":{"whole":1}})") + end(2) +
        ended("tool_use")
    );
    const std::vector<ToolCallBlock> calls{
        ToolCallBlock("i", "f", R"({"n": 1.10})"),
        ToolCallBlock("j", "g", "{}"),
        ToolCallBlock("k", "h", R"({"whole":1})")};
    EXPECT_EQ(answer.reply.message.tool_calls(), calls);
    EXPECT_EQ(answer.built.message.tool_calls(), calls);
    EXPECT_EQ(answer.reply.stop_reason, StopReason::tool_use);
}

TEST(AnthropicStreamTest, Trap8_InputThatWasCutIsKeptAsItIs) {
    const ChatReply reply = read(
        start + begin(0, tool) + json(0, R"({\"city\": \"Lis)") + end(0) + ended("max_tokens")
    );
    ASSERT_EQ(reply.message.tool_calls().size(), 1U);
    EXPECT_EQ(reply.message.tool_calls()[0].arguments, R"({"city": "Lis)");
    EXPECT_EQ(reply.stop_reason, StopReason::max_tokens);
}

TEST(AnthropicStreamTest, Trap6_TheSignatureReplacesAndTheOrderOfBlocksStays) {
    const std::string thinking = R"({"type":"thinking","thinking":"","signature":""})";
    const auto sign = [](int index, const std::string& value) {
        return delta(index, R"("type":"signature_delta","signature":")" + value + "\"");
    };
    const Answer answer = read_all(
        start + begin(0, thinking) + delta(0, R"("type":"thinking_delta","thinking":"A\n")") +
        sign(0, "old") + sign(0, "s1") + end(0) + begin(1, empty_text) + text(1, "x") + end(1) +
        begin(2, thinking) + sign(2, "s2") + end(2) + begin(3, tool) + end(3) +
        begin(4, empty_text) + text(4, "y") + end(4) + ended("tool_use")
    );
    const std::vector<ContentBlock> wanted{
        ThinkingBlock("A\n", "s1"),
        TextBlock("x"),
        ThinkingBlock("", "s2"),
        ToolCallBlock("i", "f", "{}"),
        TextBlock("y")};
    EXPECT_EQ(answer.reply.message.content(), wanted);
    EXPECT_EQ(answer.built.text(), "xy");
    EXPECT_EQ(answer.built.message.thinking(), "A\n");
}

TEST(AnthropicStreamTest, Trap19_PingsAndCommentsAreNoUnknownEvents) {
    const Answer answer = read_all(
        ": keep-alive\n\n" + event("ping") + start + event("ping") + stop
    );
    EXPECT_EQ(answer.unknown, 0U);
}

TEST(AnthropicStreamTest, UnknownEventsAndDeltasAreSkipped) {
    const Answer answer = read_all(
        event("future_event", ",\"index\":\"x\"") + start + "event: gateway\ndata: not JSON\n\n" +
        "data: words\n\n" + begin(0, empty_text) +
        delta(0, R"("type":"future_delta","text":5,"thinking":{})") + text(0, "ok") +
        delta(0, R"("type":"thinking_delta","thinking":"not of a text")") +
        delta(0, R"("type":"text_delta","text":null,"new":{"text":"x"})") + end(0) + stop
    );
    EXPECT_EQ(answer.reply.text(), "ok");
    EXPECT_EQ(answer.unknown, 5U);
}

TEST(AnthropicStreamTest, UnknownBlocksAreKeptAndShownWithTheirInput) {
    const std::string search = R"({"type":"server_tool_use","id":"s","name":"web","input":{}})";
    const std::string result =
        R"({"type":"web_search_tool_result","tool_use_id":"s","content":[]})";
    const Answer answer = read_all(
        start + begin(0, search) + json(0, R"({\"q\": 1.0})") + end(0) + begin(1, result) + end(1) +
        begin(2, search) + json(2, "{cut") + end(2) + ended("pause_turn")
    );
    const auto& content = answer.reply.message.content();
    ASSERT_EQ(content.size(), 3U);
    EXPECT_EQ(
        std::get<UnknownBlock>(content[0]).raw.text(),
        R"({"type":"server_tool_use","id":"s","name":"web","input":{"q": 1.0}})"
    );
    EXPECT_EQ(std::get<UnknownBlock>(content[1]).raw.text(), result);
    EXPECT_EQ(
        std::get<UnknownBlock>(content[2]).raw.text(),
        R"({"type":"server_tool_use","id":"s","name":"web","input":{"INVALID_JSON":"{cut"}})"
    );
    EXPECT_EQ(answer.events.at(0).type, StreamEvent::Type::other);
    EXPECT_EQ(answer.events.at(1).data, result);
    EXPECT_FALSE(answer.reply.message.has_tool_calls());
    EXPECT_EQ(answer.reply.stop_reason, StopReason::pause_turn);
    EXPECT_EQ(answer.reply.raw_stop_reason, "pause_turn");
}

TEST(AnthropicStreamTest, CitationsAreCollected) {
    const auto cite = [](const std::string& citation) {
        return delta(0, R"("type":"citations_delta","citation":)" + citation);
    };
    const ChatReply reply = read(
        start + begin(0, R"({"type":"text","text":"","citations":null})") + cite(R"({"n": 1.0})") +
        text(0, "x") + cite(R"({"n":2})") + cite("null") + end(0) + stop
    );
    const auto& block = std::get<TextBlock>(reply.message.content().at(0));
    ASSERT_TRUE(block.citations.has_value());
    EXPECT_EQ(block.citations->text(), R"([{"n": 1.0},{"n":2}])");
}

TEST(AnthropicStreamTest, ARefusalShowsItsExplanation) {
    const Answer answer = read_all(
        start + begin(0, empty_text) + text(0, "I") + end(0) +
        event(
            "message_delta",
            R"(,"delta":{"stop_reason":"refusal","stop_details":)"
            R"({"type":"refusal","category":null,"explanation":"No."}})"
        ) +
        event("message_stop")
    );
    EXPECT_EQ(answer.reply.stop_reason, StopReason::refusal);
    EXPECT_EQ(answer.built.text(), "INo.");
    EXPECT_EQ(answer.reply.message.content().at(1), ContentBlock(TextBlock::refused("No.")));
    EXPECT_EQ(answer.reply.message.content().size(), 3U);
}

TEST(AnthropicStreamTest, EventsOutOfOrderAreMalformed) {
    const std::string block = begin(0, empty_text) + text(0, "x") + end(0);
    const std::string cases[] = {
        block + start + stop,                            // before the message
        start + start + block + stop,                    // twice
        start + text(0, "x") + stop,                     // before its block
        start + block + text(0, "late") + stop,          // after its block
        start + block + end(0) + stop,                   // ended twice
        start + block + block + stop,                    // begun twice
        start + begin(0, empty_text) + stop,             // never ended
        start + begin(-1, empty_text) + end(-1) + stop,  // no number
        start + block + event("message_stop"),           // no reason
        start + begin(0, tool) + json(1, "{}") + end(0) + stop};
    for (const std::string& body : cases) {
        EXPECT_EQ(failure(body), Errc::malformed_response) << body;
    }
}

TEST(AnthropicStreamTest, CorruptKnownEventsAreMalformed) {
    const std::string open = start + begin(0, empty_text);
    const std::string cases[] = {
        event("message_start"),
        event("message_start", ",\"message\":[]"),
        "event: message_start\ndata: {\n\n",
        "event: message_start\ndata:\n\n",
        "event: message_start\ndata: 5\n\n",
        open + delta(0, R"("type":"text_delta","text":5)"),
        open + "event: content_block_delta\ndata: {\"index\":0,\"delta\":\"x\"}\n\n",
        open + event("content_block_delta", at(0)),
        open + event("content_block_delta", R"(,"index":null,"delta":{})"),
        open + event("content_block_stop", ",\"index\":1e30"),
        open + event("content_block_stop") + "trailing",
        open + text(0, "\xff"),
        open + text(0, "x\ty"),
        start + begin(0, "{}"),
        start + begin(0, R"({"type":"tool_use","id":"i"})"),
        start + event("content_block_start", at(0)),
        start + event("message_delta", R"(,"delta":[])")};
    for (const std::string& body : cases) {
        EXPECT_EQ(failure(body + end(0) + stop), Errc::malformed_response) << body;
    }
    const std::string deep(10000, '[');
    EXPECT_EQ(failure(start + event("message_delta", ",\"x\":" + deep)), Errc::malformed_response);
}

TEST(AnthropicStreamTest, TheNumberOfBlocksIsBounded) {
    std::string body = start;
    for (int i = 0; i < 4096; ++i) {
        body += begin(i * 1000, empty_text) + end(i * 1000);
    }
    EXPECT_TRUE(read(body + stop).message.content().empty());
    body += begin(7, empty_text) + end(7);
    EXPECT_EQ(failure(body + stop), Errc::malformed_response);
}

TEST(AnthropicStreamTest, ACallWithoutIdGetsOne) {
    const Answer answer = read_all(
        start + begin(0, R"({"type":"tool_use","name":"f"})") + end(0) + ended("tool_use")
    );
    const auto calls = answer.reply.message.tool_calls();
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_EQ(calls[0].id.size(), 29U);
    EXPECT_EQ(calls, answer.built.message.tool_calls());
}

TEST(AnthropicStreamTest, EventsAfterMessageStopAreIgnored) {
    EXPECT_EQ(read(start + stop + "event: error\ndata: {broken\n\n").id, "m");
}

}  // namespace
}  // namespace llmproc
