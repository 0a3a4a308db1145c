#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/codec_checks.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

Endpoint endpoint() {
    Endpoint result;
    result.provider = "vllm";
    result.base_url = "http://localhost:8000/proxy/v1?api-version=7";
    result.model = "m";
    return result;
}

HttpRequest encode(
    const ChatRequest& request,
    const Endpoint& to = endpoint(),
    bool stream = false
) {
    EncodeCache cache;
    return find_codec("openai_chat")->encode(request, to, stream, cache);
}

Json messages(std::vector<Message> list) {
    ChatRequest request;
    for (Message& message : list) {
        request.add(std::move(message));
    }
    return parse_json(encode(request).body).at("messages");
}

Errc failure(const ChatRequest& request, const Endpoint& to = endpoint()) {
    try {
        static_cast<void>(encode(request, to));
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc::internal;
}

TEST(OpenAiChatRequestTest, SendsOnlyWhatWasSet) {
    const HttpRequest http = encode(ChatRequest("hi"));
    EXPECT_EQ(http.body, R"({"model":"m","messages":[{"role":"user","content":"hi"}]})");
    EXPECT_EQ(http.target, "/proxy/v1/chat/completions?api-version=7");
    EXPECT_FALSE(http.headers.contains("authorization"));
    EXPECT_EQ(http.headers.get("user-agent")->substr(0, 8), "llmproc/");
}

TEST(OpenAiChatRequestTest, StreamOptionsFollowTheQuirk) {
    Endpoint to = endpoint();
    EXPECT_NE(encode(ChatRequest("x"), to, true).body.find("include_usage"), std::string::npos);
    to.quirks.stream_usage = false;
    const std::string body = encode(ChatRequest("x"), to, true).body;
    EXPECT_NE(body.find("\"stream\":true"), std::string::npos);
    EXPECT_EQ(body.find("stream_options"), std::string::npos);
}

TEST(OpenAiChatRequestTest, WritesEverySetting) {
    ChatRequest request("x");
    request.system = "s";
    request.params.temperature = 0.5;
    request.params.top_p = 1;
    request.params.top_k = 40;
    request.params.max_tokens = 9;
    request.params.seed = -1;
    request.params.stop = {"a\n", "b"};
    request.params.response_schema = RawJson(R"({"type":"object"})");
    request.parallel_tool_calls = false;  // not sent: there are no tools
    EXPECT_EQ(
        parse_json(encode(request).body),
        parse_json(R"({"model":"m","temperature":0.5,"top_p":1.0,"top_k":40,"max_tokens":9,
            "seed":-1,"stop":["a\n","b"],"response_format":{"type":"json_schema","json_schema":
            {"name":"response","schema":{"type":"object"},"strict":true}},
            "messages":[{"role":"system","content":"s"},{"role":"user","content":"x"}]})")
    );
    Endpoint to = endpoint();
    to.quirks.send_top_k = false;
    EXPECT_EQ(failure(request, to), Errc::not_supported);
}

TEST(OpenAiChatRequestTest, ExtraBodyReplacesAndKeepsExactText) {
    ChatRequest request("x");
    request.params.temperature = 1;
    request.params.extra_body = RawJson(R"({"temperature":0.10,"n":12345678901234567890123})");
    request.params.extra_headers = {{"Authorization", "Token t"}, {"X-Title", "mine"}};
    Endpoint to = endpoint();
    to.api_key = Secret("k");
    const HttpRequest http = encode(request, to);
    EXPECT_NE(http.body.find(R"("temperature":0.10,)"), std::string::npos);
    EXPECT_NE(http.body.find(R"("n":12345678901234567890123,)"), std::string::npos);
    EXPECT_EQ(http.body.find("\"temperature\":1"), std::string::npos);
    EXPECT_EQ(http.headers.get_all("authorization").size(), 1U);
    EXPECT_EQ(http.headers.get("authorization"), "Token t");
    EXPECT_EQ(http.headers.get("x-title"), "mine");
    request.params.extra_body = RawJson("[1]");
    EXPECT_EQ(failure(request), Errc::invalid_argument);
}

TEST(OpenAiChatRequestTest, ToolChoiceForms) {
    ChatRequest request("x");
    request.tool_choice = ToolChoice::tool("f");
    EXPECT_EQ(failure(request), Errc::invalid_argument);
    request.tools.emplace_back("f", "", RawJson());
    const Json body = parse_json(encode(request).body);
    EXPECT_EQ(body.at("tool_choice"), parse_json(R"({"type":"function","function":{"name":"f"}})"));
    EXPECT_EQ(body.at("tools"), parse_json(R"([{"type":"function","function":{"name":"f"}}])"));
}

TEST(OpenAiChatRequestTest, MediaOfResultsFollowsAllResults) {
    const ImageBlock image(MediaSource::url("https://h/i.png"));
    const Json list = messages(
        {Message::tool_results({ToolResultBlock("a", {TextBlock("1"), TextBlock("2"), image})}),
         Message::tool_results({ToolResultBlock("b", {image}, true)}),
         Message::user("next")}
    );
    ASSERT_EQ(list.size(), 5U);
    EXPECT_EQ(list[0].at("content").size(), 2U);
    EXPECT_EQ(list[0].at("tool_call_id"), "a");
    EXPECT_EQ(list[1].at("content"), "error: The result follows in the next user message.");
    EXPECT_EQ(list[2].at("content")[1].at("image_url").at("url"), "https://h/i.png");
    EXPECT_EQ(list[3].at("role"), "user");
    EXPECT_EQ(list[4].at("content"), "next");
}

TEST(OpenAiChatRequestTest, AssistantMessages) {
    ThinkingBlock thinking("t");
    thinking.opaque = RawJson(R"([{"type":"reasoning.encrypted","data":"e"}])");
    const std::string ours = "openai_chat";
    const Json list = messages(
        {Message(Role::assistant, std::vector<ContentBlock>{thinking, TextBlock("a")}),
         Message(Role::assistant, std::vector<ContentBlock>{TextBlock::refused("no")}),
         Message(Role::assistant, std::vector<ContentBlock>{ToolCallBlock("i", "f", "")}),
         Message(
             Role::assistant,
             std::vector<ContentBlock>{
                 UnknownBlock(ours, RawJson(R"({"audio":{"data":"x","id":"au"}})")),
                 UnknownBlock("anthropic", RawJson(R"({"type":"secret"})"))}
         ),
         Message(Role::assistant, std::vector<ContentBlock>{TextBlock("a"), TextBlock("b")})}
    );
    EXPECT_EQ(list, parse_json(R"([
        {"role":"assistant","content":"a",
         "reasoning_details":[{"type":"reasoning.encrypted","data":"e"}]},
        {"role":"assistant","content":null,"refusal":"no"},
        {"role":"assistant","content":null,"tool_calls":
         [{"id":"i","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"assistant","content":null,"audio":{"id":"au"}},
        {"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])"));
}

TEST(OpenAiChatRequestTest, RawPartsKeepTheirPlaceAmongTheTexts) {
    const UnknownBlock part("openai_chat", RawJson(R"({"type":"new","n":1})"));
    const Json list = messages({Message(
        Role::assistant,
        std::vector<ContentBlock>{part, TextBlock("a"), part, TextBlock("b")}
    )});
    EXPECT_EQ(list.at(0).at("content"), parse_json(R"([{"type":"new","n":1},
        {"type":"text","text":"a"},{"type":"new","n":1},{"type":"text","text":"b"}])"));
}

TEST(OpenAiChatRequestTest, CallsOfCustomToolsGoBackAsWhatTheyWere) {
    const std::string calls =
        R"("tool_calls":[{"index":0,"id":"A","type":"function","function":{"name":"f","arguments":"{}"}},)"
        R"({"index":1,"id":"B","type":"custom","custom":{"name":"run_sql","input":"select 1"}}])";
    HttpResponse whole(200);
    whole.body = R"({"choices":[{"finish_reason":"tool_calls","message":{"content":null,)" + calls +
                 "}}]}";
    const std::string streamed = R"(data: {"choices":[{"index":0,"delta":{)" + calls +
                                 "},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    const Codec& codec = *find_codec("openai_chat");
    for (const ChatReply& reply :
         {codec.decode(whole), testing_cassettes::read_stream(codec, streamed)}) {
        const Json sent = messages(
            {reply.message,
             Message(
                 Role::tool,
                 std::vector<ContentBlock>{ToolResultBlock("A", "a"), ToolResultBlock("B", "b")}
             )}
        );
        EXPECT_EQ(sent.at(0), parse_json(R"({"role":"assistant","content":null,"tool_calls":[
            {"id":"A","type":"function","function":{"name":"f","arguments":"{}"}},
            {"id":"B","type":"custom","custom":{"name":"run_sql","input":"select 1"}}]})"));
    }
}

TEST(OpenAiChatRequestTest, DocumentsAndSystemMessages) {
    const Json list = messages(
        {Message::system("s"),
         Message::user(std::vector<ContentBlock>{
             DocumentBlock(MediaSource::base64("QQ==", "application/pdf"), "a.pdf"),
             DocumentBlock(MediaSource::file_id("file-1")),
             UnknownBlock("openai_chat", RawJson(R"({"type":"input_audio"})"))})}
    );
    EXPECT_EQ(list[0], parse_json(R"({"role":"system","content":"s"})"));
    EXPECT_EQ(list[1].at("content"), parse_json(R"([{"type":"file","file":{"filename":"a.pdf",
        "file_data":"data:application/pdf;base64,QQ=="}},
        {"type":"file","file":{"file_id":"file-1"}},{"type":"input_audio"}])"));
}

TEST(OpenAiChatRequestTest, WhatTheProtocolCannotExpressIsRefused) {
    const auto with = [](Role role, ContentBlock block) {
        ChatRequest request;
        request.add(Message(role, std::vector<ContentBlock>{std::move(block)}));
        return failure(request);
    };
    const MediaSource url = MediaSource::url("https://h/x");
    EXPECT_EQ(with(Role::user, DocumentBlock(url)), Errc::not_supported);
    EXPECT_EQ(with(Role::user, ImageBlock(MediaSource::file_id("f"))), Errc::not_supported);
    EXPECT_EQ(with(Role::assistant, ImageBlock(url)), Errc::not_supported);
    EXPECT_EQ(with(Role::user, ToolCallBlock("a", "b", "{}")), Errc::invalid_argument);
    EXPECT_EQ(with(Role::assistant, ToolResultBlock("a", "b")), Errc::invalid_argument);
    EXPECT_EQ(with(Role::tool, TextBlock("b")), Errc::invalid_argument);
    EXPECT_EQ(failure(ChatRequest()), Errc::invalid_argument);
    Endpoint to = endpoint();
    to.model.clear();
    EXPECT_EQ(failure(ChatRequest("x"), to), Errc::invalid_argument);
    to = endpoint();
    to.base_url = "ftp://h";
    EXPECT_EQ(failure(ChatRequest("x"), to), Errc::invalid_argument);
}

TEST(OpenAiChatRequestTest, AKeyWithALineEndIsRefusedWithoutShowingIt) {
    Endpoint to = endpoint();
    to.api_key = Secret("sk-secret\n");
    try {
        static_cast<void>(encode(ChatRequest("x"), to));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
        EXPECT_EQ(std::string(error.what()).find("sk-secret"), std::string::npos);
    }
}

}  // namespace
}  // namespace llmproc
