#include <llmproc/message.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

TEST(MessageTest, BuildersSetRoleAndText) {
    EXPECT_EQ(Message::user("hi").role(), Role::user);
    EXPECT_EQ(Message::user("hi").text(), "hi");
    EXPECT_EQ(Message::assistant("hi").role(), Role::assistant);
    EXPECT_EQ(Message::system("hi").role(), Role::system);
    EXPECT_EQ(Message(Role::tool, "hi").role(), Role::tool);
    EXPECT_TRUE(Message().content().empty());
    EXPECT_EQ(Message::user("hi"), Message(Role::user, "hi"));
    EXPECT_NE(Message::user("hi"), Message::assistant("hi"));
    EXPECT_NE(Message::user("hi"), Message::user("ho"));
}

TEST(MessageTest, TextLeavesThinkingOutAndTakesRefusalsIn) {
    Message message(Role::assistant, std::vector<ContentBlock>());
    message.add(ThinkingBlock("let me see, "))
        .add(TextBlock("one "))
        .add(ToolCallBlock("c1", "tool", "{}"))
        .add(TextBlock::refused("two"))
        .add(ThinkingBlock("done"))
        .add(ToolCallBlock("c2", "tool", ""));
    EXPECT_EQ(message.text(), "one two");
    EXPECT_EQ(message.thinking(), "let me see, done");
    ASSERT_EQ(message.tool_calls().size(), 2U);
    EXPECT_EQ(message.tool_calls()[1].id, "c2");
    EXPECT_TRUE(message.has_tool_calls());
    EXPECT_FALSE(Message::user("x").has_tool_calls());
}

TEST(MessageTest, ToolResultsAreOneMessageOfRoleTool) {
    const std::vector<ToolResultContent> parts = {
        TextBlock("a"),
        ImageBlock(MediaSource::url("https://example/x.png")),
        TextBlock("b")};
    const Message message = Message::tool_results(
        {ToolResultBlock("c1", "fine"), ToolResultBlock("c2", parts, true)}
    );
    EXPECT_EQ(message.role(), Role::tool);
    ASSERT_EQ(message.content().size(), 2U);
    const auto& first = std::get<ToolResultBlock>(message.content()[0]);
    const auto& second = std::get<ToolResultBlock>(message.content()[1]);
    EXPECT_EQ(first.text(), "fine");
    EXPECT_FALSE(first.is_error);
    EXPECT_EQ(second.text(), "ab");
    EXPECT_TRUE(second.is_error);
    EXPECT_EQ(message.text(), "");
}

TEST(MessageTest, MediaSourcesSayWhereTheBytesAre) {
    const MediaSource bytes = MediaSource::bytes("foobar", "image/png");
    EXPECT_EQ(bytes.kind, MediaSource::Kind::base64);
    EXPECT_EQ(bytes.data, "Zm9vYmFy");
    EXPECT_EQ(bytes, MediaSource::base64("Zm9vYmFy", "image/png"));
    EXPECT_EQ(MediaSource::url("u").kind, MediaSource::Kind::url);
    EXPECT_EQ(MediaSource::file_id("f").kind, MediaSource::Kind::file_id);
    EXPECT_EQ(MediaSource::file_id("f").data, "f");
}

TEST(MessageTest, RolesHaveNames) {
    EXPECT_EQ(to_string(Role::system), "system");
    EXPECT_EQ(to_string(Role::user), "user");
    EXPECT_EQ(to_string(Role::assistant), "assistant");
    EXPECT_EQ(to_string(Role::tool), "tool");
}

}  // namespace
}  // namespace llmproc
