#include <llmproc/stream_event.hpp>

#include <gtest/gtest.h>

namespace llmproc {
namespace {

TEST(StreamEventTest, OnlyAnswersHaveText) {
    using Type = StreamEvent::Type;
    EXPECT_EQ(StreamEvent(Type::text, "x").text(), "x");
    EXPECT_EQ(StreamEvent(Type::refusal, "x").text(), "x");
    for (const Type type :
         {Type::thinking,
          Type::tool_call_begin,
          Type::tool_call_arguments,
          Type::usage,
          Type::stop,
          Type::other}) {
        EXPECT_EQ(StreamEvent(type, "x").text(), "");
    }
    EXPECT_EQ(StreamEvent(Type::thinking, "x").thinking(), "x");
    EXPECT_EQ(StreamEvent(Type::text, "x").thinking(), "");
}

TEST(StreamEventTest, FactoriesFillTheirFields) {
    const StreamEvent call = StreamEvent::tool_call(2, "id", "name");
    EXPECT_EQ(call.type, StreamEvent::Type::tool_call_begin);
    EXPECT_EQ(call.index, 2U);
    EXPECT_EQ(call.tool_call_id, "id");
    EXPECT_EQ(call.tool_name, "name");
    const StreamEvent arguments = StreamEvent::tool_arguments(3, "{");
    EXPECT_EQ(arguments.type, StreamEvent::Type::tool_call_arguments);
    EXPECT_EQ(arguments.index, 3U);
    EXPECT_EQ(arguments.data, "{");
    Usage usage;
    usage.input_tokens = 7;
    EXPECT_EQ(StreamEvent::token_usage(usage).type, StreamEvent::Type::usage);
    EXPECT_EQ(StreamEvent::token_usage(usage).usage, usage);
    const StreamEvent stop = StreamEvent::stopped(StopReason::max_tokens, "length");
    EXPECT_EQ(stop.type, StreamEvent::Type::stop);
    EXPECT_EQ(stop.stop_reason, StopReason::max_tokens);
    EXPECT_EQ(stop.data, "length");
}

}  // namespace
}  // namespace llmproc
