#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "providers/codec_checks.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

ChatReply read(const std::string& body) {
    return testing_cassettes::read_stream(*find_codec("openai_chat"), body);
}

std::string chunk(const std::string& choice) {
    return "data: {\"choices\":[" + choice + "]}\n\n";
}

std::string delta(const std::string& members) {
    return chunk("{\"index\":0,\"delta\":{" + members + "}}");
}

const std::string stop = chunk(R"({"index":0,"delta":{},"finish_reason":"stop"})");

Errc failure(const std::string& body) {
    try {
        static_cast<void>(read(body));
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc::internal;
}

TEST(OpenAiChatStreamTest, DoneWithoutFinishReasonIsTruncation) {
    EXPECT_EQ(failure(delta(R"("content":"Hi")") + "data: [DONE]\n\n"), Errc::truncated_stream);
    EXPECT_EQ(failure(""), Errc::truncated_stream);
}

TEST(OpenAiChatStreamTest, FinishReasonWithoutDoneIsComplete) {
    EXPECT_EQ(read(delta(R"("content":"Hi")") + stop).text(), "Hi");
}

TEST(OpenAiChatStreamTest, EventsAfterDoneAreIgnored) {
    EXPECT_EQ(read(stop + "data: [DONE]\n\ndata: {broken\n\n").text(), "");
}

TEST(OpenAiChatStreamTest, DeltaBeforeIndexAndOtherChoices) {
    const ChatReply reply = read(
        chunk(R"({"delta":{"content":"A"},"finish_reason":null,"index":0})") +
        chunk(R"({"delta":{"content":"B"},"index":1})") + chunk(R"({"delta":{"content":"C"}})") +
        chunk(R"({"finish_reason":"length","delta":{},"index":1})") + stop
    );
    EXPECT_EQ(reply.text(), "AC");
    EXPECT_EQ(reply.stop_reason, StopReason::end_turn);
}

TEST(OpenAiChatStreamTest, Trap14_CallsWithoutIndexAreToldApartByIdAndName) {
    const ChatReply reply = read(
        delta(R"("tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\""}}])") +
        delta(R"("tool_calls":[{"function":{"arguments":":1}"}}])") +
        delta(R"("tool_calls":[{"id":"b","function":{"name":"g","arguments":""}}])") +
        delta(R"("tool_calls":[{"id":"b","function":{"arguments":"{}"}}])") +
        delta(R"("tool_calls":[{"function":{"name":"h"}}])") + stop
    );
    const auto calls = reply.message.tool_calls();
    ASSERT_EQ(calls.size(), 3U);
    EXPECT_EQ(calls[0], ToolCallBlock("a", "f", R"({"x":1})"));
    EXPECT_EQ(calls[1], ToolCallBlock("b", "g", "{}"));
    EXPECT_EQ(calls[2].name, "h");
    EXPECT_EQ(calls[2].id.rfind("call_", 0), 0U);
    EXPECT_EQ(calls[2].id.size(), 29U);
    EXPECT_EQ(reply.stop_reason, StopReason::tool_use);
    EXPECT_EQ(reply.raw_stop_reason, "stop");
}

TEST(OpenAiChatStreamTest, WholeCallsOfEqualIndexAndObjectsAsArguments) {
    const ChatReply reply = read(
        delta(
            R"("tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":{"n":1e400}}}])"
        ) +
        delta(R"("tool_calls":[{"index":0,"id":"b","function":{"name":"f","arguments":"{}"}}])") +
        stop
    );
    const auto calls = reply.message.tool_calls();
    ASSERT_EQ(calls.size(), 2U);
    EXPECT_EQ(calls[0].arguments, R"({"n":1e400})");
    EXPECT_EQ(calls[1].id, "b");
}

TEST(OpenAiChatStreamTest, ArgumentsBeforeTheNameAreHeldBack) {
    const ChatReply reply = read(
        delta(R"("tool_calls":[{"index":3,"id":"a","function":{"arguments":"{\"x\":"}}])") +
        delta(R"("tool_calls":[{"index":3,"function":{"name":"f","arguments":"1}"}}])") + stop
    );
    ASSERT_EQ(reply.message.tool_calls().size(), 1U);
    EXPECT_EQ(reply.message.tool_calls()[0], ToolCallBlock("a", "f", R"({"x":1})"));
}

TEST(OpenAiChatStreamTest, CallsAreNumberedInTheOrderInWhichTheyBegin) {
    const ChatReply reply = read(
        delta(R"("tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\"x\":"}}])") +
        delta(R"("tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{}"}}])") +
        delta(R"("tool_calls":[{"index":0,"function":{"name":"f","arguments":"1}"}}])") + stop
    );
    ASSERT_EQ(reply.message.tool_calls().size(), 2U);
    EXPECT_EQ(reply.message.tool_calls()[0], ToolCallBlock("b", "g", "{}"));
    EXPECT_EQ(reply.message.tool_calls()[1], ToolCallBlock("a", "f", R"({"x":1})"));
}

TEST(OpenAiChatStreamTest, LegacyFunctionCall) {
    const ChatReply reply = read(
        delta(R"("function_call":{"name":"f","arguments":""})") +
        delta(R"("function_call":{"arguments":"{}"})") +
        chunk(R"({"index":0,"delta":{},"finish_reason":"function_call"})")
    );
    ASSERT_EQ(reply.message.tool_calls().size(), 1U);
    EXPECT_EQ(reply.message.tool_calls()[0].arguments, "{}");
}

TEST(OpenAiChatStreamTest, ImpossibleCallsAreMalformed) {
    EXPECT_EQ(
        failure(delta(R"("tool_calls":[{"index":128,"function":{"name":"f"}}])") + stop),
        Errc::malformed_response
    );
    EXPECT_EQ(
        failure(delta(R"("tool_calls":[{"index":-1,"function":{"name":"f"}}])") + stop),
        Errc::malformed_response
    );
    EXPECT_EQ(
        failure(delta(R"("tool_calls":[{"function":{"arguments":"{}"}}])") + stop),
        Errc::malformed_response
    );
    EXPECT_EQ(
        failure(delta(R"("tool_calls":[{"index":0,"id":"a"}])") + stop),
        Errc::malformed_response
    );
    EXPECT_EQ(failure(chunk(R"({"index":128,"delta":{}})") + stop), Errc::malformed_response);
}

TEST(OpenAiChatStreamTest, ReasoningUnderTwoNamesCountsOnceAndDetailsAreJoined) {
    const ChatReply reply = read(
        delta(R"("reasoning":"Look","reasoning_content":"Look","reasoning_details":[)"
              R"({"type":"reasoning.text","text":"Look","index":0,"signature":null}])") +
        delta(R"("reasoning":" up","reasoning_details":[)"
              R"({"type":"reasoning.text","text":" up","index":0,"signature":"s"},)"
              R"({"type":"reasoning.encrypted","data":"e","index":1}])") +
        delta(R"("content":"Hi")") + stop
    );
    EXPECT_EQ(reply.message.thinking(), "Look up");
    const auto& thinking = std::get<ThinkingBlock>(reply.message.content().at(0));
    ASSERT_TRUE(thinking.opaque.has_value());
    EXPECT_EQ(
        thinking.opaque->text(),
        R"([{"type":"reasoning.text","text":"Look up","signature":"s","index":0},)"
        R"({"type":"reasoning.encrypted","data":"e","index":1}])"
    );
}

TEST(OpenAiChatStreamTest, ADetailWhoseLastPieceHasNoTextKeepsTheTextAndTheSignature) {
    const ChatReply reply = read(
        delta(R"("reasoning_details":[{"type":"reasoning.text","text":"Look","index":0}])") +
        delta(R"("reasoning_details":[{"type":"reasoning.text","text":" up","index":0}])") +
        delta(R"("reasoning_details":)"
              R"([{"type":"reasoning.text","text":null,"signature":"s","index":0}])") +
        delta(R"("content":"Hi")") + stop
    );
    const auto& thinking = std::get<ThinkingBlock>(reply.message.content().at(0));
    ASSERT_TRUE(thinking.opaque.has_value());
    EXPECT_EQ(
        thinking.opaque->text(),
        R"([{"type":"reasoning.text","text":"Look up","signature":"s","index":0}])"
    );
}

TEST(OpenAiChatStreamTest, ContentPartsAnnotationsAndAudioAreKept) {
    const ChatReply reply = read(
        delta(R"("content":[{"type":"thinking","thinking":[{"type":"text","text":"T"}]},)"
              R"({"type":"text","text":"A"}])") +
        delta(R"("annotations":[{"n":1}])") + delta(R"("annotations":[{"n":2}])") +
        delta(R"("audio":{"id":"au","data":"QU","transcript":"x"})") +
        delta(R"("audio":{"data":"JD","transcript":"y"})") + stop
    );
    EXPECT_EQ(reply.text(), "A");
    EXPECT_EQ(reply.message.thinking(), "T");
    const auto& text = std::get<TextBlock>(reply.message.content().at(1));
    ASSERT_TRUE(text.citations.has_value());
    EXPECT_EQ(text.citations->text(), R"([{"n":1},{"n":2}])");
    const auto& audio = std::get<UnknownBlock>(reply.message.content().at(2));
    EXPECT_EQ(audio.provider, "openai_chat");
    EXPECT_EQ(audio.raw.text(), R"({"audio":{"id":"au","data":"QUJD","transcript":"xy"}})");
}

TEST(OpenAiChatStreamTest, ErrorsAfterHttp200) {
    EXPECT_EQ(failure("event: error\ndata: {\"error\":\"slow\"}\n\n"), Errc::server_error);
    EXPECT_EQ(failure("event: error\ndata: plain words\n\n"), Errc::server_error);
    EXPECT_EQ(
        failure("data: {\"error\":{\"code\":429,\"message\":\"x\"}}\n\n"),
        Errc::rate_limited
    );
    EXPECT_EQ(
        failure(chunk(R"({"index":0,"delta":{},"finish_reason":"error","error":{"code":502}})")),
        Errc::server_error
    );
    EXPECT_EQ(
        failure(chunk(R"({"index":0,"delta":{},"finish_reason":"error"})")),
        Errc::server_error
    );
    EXPECT_EQ(read("data: {\"error\":null,\"choices\":[]}\n\n" + stop).text(), "");
}

TEST(OpenAiChatStreamTest, CorruptKnownEventsAreErrors) {
    EXPECT_EQ(failure("data: {\"choices\":[}\n\n" + stop), Errc::malformed_response);
    EXPECT_EQ(failure("data: 5\n\n" + stop), Errc::malformed_response);
    EXPECT_EQ(failure(delta(R"("content":5)") + stop), Errc::malformed_response);
    EXPECT_EQ(failure("data: {\"choices\":[]} x\n\n" + stop), Errc::malformed_response);
}

TEST(OpenAiChatStreamTest, Trap13_UsageMayComeAnywhereAndTheLastCounts) {
    const ChatReply reply = read(
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n" +
        stop +
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,"
        "\"total_tokens\":22,\"completion_tokens_details\":{\"reasoning_tokens\":7}}}\n\n"
        "data: {\"choices\":[],\"usage\":null}\n\n"
    );
    EXPECT_EQ(reply.usage.input_tokens, 10);
    EXPECT_EQ(reply.usage.output_tokens, 12);  // the server counted reasoning beside it
    EXPECT_EQ(reply.usage.total_tokens, 22);
}

}  // namespace
}  // namespace llmproc
