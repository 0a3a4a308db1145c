#include <llmproc/chat.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace llmproc {
namespace {

TEST(ChatTest, ARequestOfTextIsOneUserMessage) {
    ChatRequest request("hi");
    ASSERT_EQ(request.messages.size(), 1U);
    EXPECT_EQ(*request.messages[0], Message::user("hi"));
    request.add(Message::assistant("ho")).add(Message::user("again"));
    ASSERT_EQ(request.messages.size(), 3U);
    EXPECT_EQ(request.messages[1]->role(), Role::assistant);
}

TEST(ChatTest, RequestsShareTheirMessages) {
    const ChatRequest request("hi");
    const ChatRequest fork(request.messages);
    EXPECT_EQ(fork.messages[0], request.messages[0]);
}

TEST(ChatTest, ToolChoiceNamesItsTool) {
    EXPECT_EQ(ToolChoice().mode, ToolChoice::Mode::automatic);
    EXPECT_EQ(ToolChoice::tool("calc").mode, ToolChoice::Mode::tool);
    EXPECT_EQ(ToolChoice::tool("calc").name, "calc");
}

TEST(ChatTest, StopReasonsHaveDistinctNames) {
    std::set<std::string_view> names;
    for (int value = 0; value <= static_cast<int>(StopReason::content_filter); ++value) {
        EXPECT_TRUE(names.insert(to_string(static_cast<StopReason>(value))).second);
    }
    EXPECT_TRUE(names.contains("end_turn"));
}

TEST(ChatTest, AReplysTextIsThatOfItsMessage) {
    ChatReply reply;
    reply.message = Message::assistant("ho");
    EXPECT_EQ(reply.text(), "ho");
}

}  // namespace
}  // namespace llmproc
