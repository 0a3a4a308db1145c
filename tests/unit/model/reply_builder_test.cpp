#include "model/reply_builder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

using Type = StreamEvent::Type;

ChatReply built(const std::vector<StreamEvent>& events) {
    ReplyBuilder builder;
    for (const StreamEvent& event : events) {
        builder.add(event);
    }
    return builder.finish();
}

TEST(ReplyBuilderTest, JoinsPiecesOfText) {
    const ChatReply reply = built({
        StreamEvent(Type::text, "Hel"),
        StreamEvent(Type::text, ""),
        StreamEvent(Type::text, "lo"),
        StreamEvent::stopped(StopReason::end_turn, "stop"),
    });
    EXPECT_EQ(reply.message, Message::assistant("Hello"));
    EXPECT_EQ(reply.stop_reason, StopReason::end_turn);
    EXPECT_EQ(reply.raw_stop_reason, "stop");
}

TEST(ReplyBuilderTest, OrdersThinkingTextAndToolCalls) {
    const ChatReply reply = built({
        StreamEvent::tool_call(1, "b", "second"),
        StreamEvent(Type::text, "one"),
        StreamEvent::tool_arguments(1, "{\"x\""),
        StreamEvent(Type::thinking, "hm "),
        StreamEvent::tool_call(0, "a", "first"),
        StreamEvent(Type::refusal, "no"),
        StreamEvent::tool_arguments(1, ":1}"),
        StreamEvent(Type::refusal, "pe"),
        StreamEvent(Type::thinking, "hm"),
        StreamEvent(Type::text, "two"),
        StreamEvent(Type::other, "{}"),
    });
    Message expected(Role::assistant, std::vector<ContentBlock>());
    expected.add(ThinkingBlock("hm hm"))
        .add(TextBlock("one"))
        .add(TextBlock::refused("nope"))
        .add(TextBlock("two"))
        .add(ToolCallBlock("a", "first", ""))
        .add(ToolCallBlock("b", "second", "{\"x\":1}"));
    EXPECT_EQ(reply.message, expected);
    EXPECT_EQ(reply.text(), "onenopetwo");
}

TEST(ReplyBuilderTest, KeepsWhatARepeatedBeginningLeavesEmpty) {
    const ChatReply reply = built({
        StreamEvent::tool_call(0, "a", "first"),
        StreamEvent::tool_arguments(0, "{"),
        StreamEvent::tool_call(0, "", ""),
        StreamEvent::tool_arguments(0, "}"),
    });
    ASSERT_EQ(reply.message.tool_calls().size(), 1U);
    EXPECT_EQ(reply.message.tool_calls()[0], ToolCallBlock("a", "first", "{}"));
}

TEST(ReplyBuilderTest, TheLastUsageCounts) {
    Usage early;
    early.output_tokens = 1;
    Usage late;
    late.output_tokens = 9;
    late.reported = true;
    EXPECT_EQ(built({StreamEvent::token_usage(early), StreamEvent::token_usage(late)}).usage, late);
}

TEST(ReplyBuilderTest, NothingGivesAnEmptyAssistantMessage) {
    const ChatReply reply = built({});
    EXPECT_EQ(reply.message, Message(Role::assistant, std::vector<ContentBlock>()));
    EXPECT_EQ(reply.stop_reason, StopReason::unknown);
    EXPECT_FALSE(reply.usage.reported);
}

TEST(ReplyBuilderTest, ShowsItsTextUntilItIsFinished) {
    ReplyBuilder builder;
    builder.add(StreamEvent(Type::text, "par"));
    builder.add(StreamEvent(Type::thinking, "hidden"));
    builder.add(StreamEvent(Type::refusal, "tial"));
    EXPECT_EQ(builder.text(), "partial");
    EXPECT_EQ(builder.finish().text(), "partial");
    EXPECT_EQ(builder.text(), "");
    builder.add(StreamEvent(Type::text, "again"));
    EXPECT_EQ(builder.finish().message, Message::assistant("again"));
}

}  // namespace
}  // namespace llmproc
