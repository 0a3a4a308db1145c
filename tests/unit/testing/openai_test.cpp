#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace llmproc::testing {
namespace {

using Json = nlohmann::json;

std::vector<Json> events_of(const Reply& reply) {
    std::vector<Json> events;
    const auto& pieces = reply.spec().pieces;
    EXPECT_FALSE(pieces.empty());
    EXPECT_EQ(pieces.back().bytes, "data: [DONE]\n\n");
    for (std::size_t i = 0; i + 1 < pieces.size(); ++i) {
        events.push_back(Json::parse(pieces[i].bytes.substr(6)));
    }
    return events;
}

RecordedRequest post(const std::string& body) {
    RecordedRequest request;
    request.method = "POST";
    request.target = "/v1/chat/completions";
    request.body = body;
    return request;
}

TEST(OpenAITest, MakesAWholeReply) {
    const Reply reply = openai_chat_reply("hi", OpenAIUsage(7, 2, 3, 1));
    const Json json = Json::parse(reply.spec().body);
    EXPECT_EQ(json["choices"][0]["message"]["content"], "hi");
    EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(json["usage"]["total_tokens"], 9);
    EXPECT_EQ(json["usage"]["prompt_tokens_details"]["cached_tokens"], 3);
    EXPECT_EQ(json["usage"]["completion_tokens_details"]["reasoning_tokens"], 1);
}

TEST(OpenAITest, MakesAStreamThatEndsProperly) {
    const auto events = events_of(openai_chat_stream({"a", " b"}, OpenAIUsage(4, 2)));
    ASSERT_EQ(events.size(), 5U);
    EXPECT_EQ(events[0]["choices"][0]["delta"]["role"], "assistant");
    EXPECT_EQ(events[1]["choices"][0]["delta"]["content"], "a");
    EXPECT_EQ(events[2]["choices"][0]["delta"]["content"], " b");
    EXPECT_TRUE(events[2]["choices"][0]["finish_reason"].is_null());
    EXPECT_EQ(events[3]["choices"][0]["finish_reason"], "stop");
    EXPECT_TRUE(events[4]["choices"].empty());
    EXPECT_EQ(events[4]["usage"]["total_tokens"], 6);
}

TEST(OpenAITest, MakesToolCallsWholeAndStreamed) {
    const std::vector<OpenAIToolCall> calls = {{"c1", "f", R"({"x":1})"}, {"c2", "g", "{}"}};
    const Json json = Json::parse(openai_tool_call_reply(calls).spec().body);
    EXPECT_EQ(json["choices"][0]["finish_reason"], "tool_calls");
    EXPECT_EQ(json["choices"][0]["message"]["tool_calls"][1]["function"]["name"], "g");
    std::vector<std::string> arguments(2);
    for (const Json& event : events_of(openai_tool_call_stream(calls))) {
        if (event["choices"].empty() || !event["choices"][0]["delta"].contains("tool_calls")) {
            continue;
        }
        for (const Json& call : event["choices"][0]["delta"]["tool_calls"]) {
            arguments.at(call["index"].get<std::size_t>()) += call["function"]["arguments"];
        }
    }
    EXPECT_EQ(arguments[0], R"({"x":1})");
    EXPECT_EQ(arguments[1], "{}");
}

TEST(OpenAITest, EchoesTheLastUserMessage) {
    const Reply reply = openai_chat_echo(post(
        R"({"model":"m","messages":[{"role":"user","content":"old"},{"role":"assistant","content":null},
            {"role":"user","content":[{"type":"text","text":"new one"}]}]})"
    ));
    const Json json = Json::parse(reply.spec().body);
    EXPECT_EQ(json["choices"][0]["message"]["content"], "You said: new one");
    EXPECT_EQ(json["model"], "m");
    EXPECT_EQ(json["usage"]["prompt_tokens"], 3);
    EXPECT_EQ(json["usage"]["completion_tokens"], 4);
}

TEST(OpenAITest, StreamsTheEchoAndItsUsageOnlyOnRequest) {
    const std::string messages = R"("messages":[{"role":"user","content":"a b"}],"stream":true)";
    std::string text;
    for (const Json& event : events_of(openai_chat_echo(post("{" + messages + "}")))) {
        EXPECT_FALSE(event.contains("usage"));
        text += event["choices"][0]["delta"].value("content", "");
    }
    EXPECT_EQ(text, "You said: a b");
    const auto events = events_of(
        openai_chat_echo(post("{" + messages + R"(,"stream_options":{"include_usage":true}})"))
    );
    EXPECT_EQ(events.back()["usage"]["prompt_tokens"], 2);
}

TEST(OpenAITest, AnswersBadRequestsWithErrors) {
    const std::vector<std::string> bodies =
        {"", "{", "[]", "{}", R"({"messages":[]})", R"({"messages":[1],"stream":"yes"})"};
    for (const std::string& body : bodies) {
        const Reply reply = openai_chat_echo(post(body));
        EXPECT_EQ(reply.spec().status, 400) << body;
        EXPECT_TRUE(Json::parse(reply.spec().body)["error"]["message"].is_string());
    }
    RecordedRequest request = post("{}");
    request.target = "/v1/nothing";
    EXPECT_EQ(openai_chat_echo(request).spec().status, 404);
    request.method = "GET";
    request.target = "/v1/models?limit=2";
    EXPECT_EQ(Json::parse(openai_chat_echo(request).spec().body)["object"], "list");
}

}  // namespace
}  // namespace llmproc::testing
