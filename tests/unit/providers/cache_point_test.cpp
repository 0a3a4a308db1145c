#include "unit/providers/request_support.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

using namespace testing_requests;  // NOLINT(google-build-using-namespace)

using Blocks = std::vector<ContentBlock>;

const Json ephemeral = parse_json(R"({"type":"ephemeral"})");

TEST(CachePointTest, AutomaticCachingIsAskedForWhereItMustBe) {
    ChatRequest request("hi");
    request.params.prompt_caching = true;
    EXPECT_EQ(body_of(anthropic, request).at("cache_control"), ephemeral);
    for (const std::string_view protocol : {chat, responses, gemini}) {
        EXPECT_EQ(body_text(protocol, request).find("cache"), std::string::npos) << protocol;
    }
    request.params.prompt_caching = false;
    EXPECT_FALSE(body_of(anthropic, request).contains("cache_control"));
    request.params.prompt_caching.reset();
    EXPECT_FALSE(body_of(anthropic, request).contains("cache_control"));
}

TEST(CachePointTest, ByHandItIsOnTheBlockBeforeIt) {
    const ChatRequest request = request_of(
        {Message::user(Blocks{TextBlock("long"), CachePointBlock("1h"), TextBlock("short")}),
         Message(Role::assistant, Blocks{TextBlock("yes"), CachePointBlock()}),
         Message(Role::tool, Blocks{ToolResultBlock("c", "r"), CachePointBlock()}),
         Message::user(
             Blocks{ImageBlock(MediaSource::url("https://a.example/i.png")), CachePointBlock()}
         )}
    );
    const Json messages = body_of(anthropic, request).at("messages");
    EXPECT_EQ(
        messages.at(0).at("content"),
        parse_json(
            R"([{"type":"text","text":"long","cache_control":{"type":"ephemeral","ttl":"1h"}},
            {"type":"text","text":"short"}])"
        )
    );
    EXPECT_EQ(messages.at(1).at("content").at(0).at("cache_control"), ephemeral);
    const Json& last = messages.at(2).at("content");
    EXPECT_EQ(last.at(0).at("type"), "tool_result");
    EXPECT_EQ(last.at(0).at("cache_control"), ephemeral);
    EXPECT_EQ(last.at(1).at("cache_control"), ephemeral);
}

TEST(CachePointTest, FirstInTheConversationItIsOnTheSystemPrompt) {
    ChatRequest request = request_of({Message::user(Blocks{CachePointBlock(), TextBlock("hi")})});
    request.system = "be brief";
    Json body = body_of(anthropic, request);
    EXPECT_EQ(
        body.at("system"),
        parse_json(R"([{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}])")
    );
    EXPECT_EQ(
        body.at("messages"),
        parse_json(R"([{"role":"user","content":[{"type":"text","text":"hi"}]}])")
    );
    request = request_of(
        {Message::system("one"), Message::user(Blocks{CachePointBlock(), TextBlock("hi")})}
    );
    request.system = "be brief";
    body = body_of(anthropic, request);
    EXPECT_FALSE(body.at("system").at(0).contains("cache_control"));
    EXPECT_EQ(body.at("system").at(1).at("cache_control"), ephemeral);
    request = request_of(
        {Message(Role::system, Blocks{TextBlock("one"), CachePointBlock()}), Message::user("hi")}
    );
    EXPECT_EQ(body_of(anthropic, request).at("system").at(0).at("cache_control"), ephemeral);
}

TEST(CachePointTest, WithNothingBeforeItItIsRefusedWithARemedy) {
    const Message point = Message::user(Blocks{CachePointBlock(), TextBlock("hi")});
    for (const ChatRequest& request :
         {request_of({point}),
          request_of({Message::user("a"), point}),
          request_of(
              {Message(Role::system, Blocks{CachePointBlock(), TextBlock("s")}), Message::user("a")}
          ),
          request_of(
              {Message::user("a"),
               Message(Role::assistant, Blocks{CachePointBlock(), TextBlock("b")})}
          )}) {
        const LLMError error = failure(anthropic, request);
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
        EXPECT_NE(error.message().find("put it behind the block"), std::string::npos)
            << error.message();
    }
}

TEST(CachePointTest, OtherProtocolsLeaveItOut) {
    const auto conversation = [](bool points) {
        const auto blocks = [&](const ContentBlock& block) {
            return points ? Blocks{CachePointBlock(), block, CachePointBlock("1h")} : Blocks{block};
        };
        return request_of(
            {Message(Role::system, blocks(TextBlock("s"))),
             Message(Role::user, blocks(TextBlock("a"))),
             Message(Role::assistant, blocks(ToolCallBlock("c", "f", "{}"))),
             Message(Role::tool, blocks(ToolResultBlock("c", "r"))),
             Message(Role::user, blocks(ImageBlock(MediaSource::url("https://a.example/i.png")))),
             Message(Role::assistant, blocks(TextBlock("b")))}
        );
    };
    for (const std::string_view protocol : {responses, gemini}) {
        EXPECT_EQ(body_of(protocol, conversation(true)), body_of(protocol, conversation(false)));
    }
    // A lone text stays a string, since many compatible servers know no other form.
    const Json with = body_of(chat, conversation(true)).at("messages");
    const Json without = body_of(chat, conversation(false)).at("messages");
    EXPECT_EQ(with, without);
}

TEST(CachePointTest, AMessageOfNothingElseSaysNothing) {
    const ChatRequest request = request_of(
        {Message::user("a"), Message(Role::user, Blocks{CachePointBlock()})}
    );
    EXPECT_NO_THROW(body_of(chat, request));
    EXPECT_NO_THROW(body_of(responses, request));
    EXPECT_NO_THROW(body_of(gemini, request));
    EXPECT_EQ(failure(anthropic, request).errc(), Errc::invalid_argument);
}

}  // namespace
}  // namespace llmproc
