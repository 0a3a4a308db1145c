#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

Endpoint endpoint() {
    Endpoint result;
    result.provider = "anthropic";
    result.base_url = "http://localhost:8000/proxy";
    result.model = "m";
    return result;
}

HttpRequest encode(
    const ChatRequest& request,
    const Endpoint& to = endpoint(),
    bool stream = false
) {
    EncodeCache cache;
    return find_codec("anthropic")->encode(request, to, stream, cache);
}

Json body_of(const ChatRequest& request) {
    return parse_json(encode(request).body);
}

ChatRequest request_of(std::vector<Message> list) {
    ChatRequest request;
    for (Message& message : list) {
        request.add(std::move(message));
    }
    return request;
}

Json messages(std::vector<Message> list) {
    return body_of(request_of(std::move(list))).at("messages");
}

Json assistant_content(std::vector<ContentBlock> blocks) {
    const Json list = messages({Message::user("x"), Message(Role::assistant, std::move(blocks))});
    return list.size() < 2 ? Json() : list.at(1).at("content");
}

LLMError failure(const ChatRequest& request, const Endpoint& to = endpoint()) {
    try {
        static_cast<void>(encode(request, to));
    } catch (const LLMError& error) {
        return error;
    }
    return {Errc::internal, "it did not fail"};
}

// max_tokens is the one default: the protocol demands it.
TEST(AnthropicRequestTest, Trap2_SendsOnlyWhatWasSetAndTheLimitThatTheProtocolDemands) {
    const HttpRequest http = encode(ChatRequest("hi"));
    EXPECT_EQ(
        http.body,
        R"({"model":"m","max_tokens":16384,"messages":[{"role":"user","content":"hi"}]})"
    );
    EXPECT_EQ(http.method, "POST");
    EXPECT_FALSE(http.headers.contains("x-api-key"));
    EXPECT_FALSE(http.headers.contains("authorization"));
    EXPECT_EQ(http.headers.get("anthropic-version"), "2026-10-21");
    EXPECT_EQ(http.headers.get("user-agent")->substr(0, 8), "llmproc/");
}

TEST(AnthropicRequestTest, Trap1_ThePathPrefixStaysAndAVersionInItIsNotDoubled) {
    const auto target = [](const std::string& base) {
        Endpoint to = endpoint();
        to.base_url = base;
        return encode(ChatRequest("x"), to).target;
    };
    EXPECT_EQ(target("https://api.anthropic.com"), "/v1/messages");
    EXPECT_EQ(target("https://api.anthropic.com/v1"), "/v1/messages");
    EXPECT_EQ(target("https://api.anthropic.com/v1/"), "/v1/messages");
    EXPECT_EQ(target("https://h/a/b?key=7"), "/a/b/v1/messages?key=7");
    EXPECT_EQ(target("https://h/a/v1?key=7"), "/a/v1/messages?key=7");
    EXPECT_EQ(target("http://v1"), "/v1/messages");
}

TEST(AnthropicRequestTest, SamplingIsRefusedBeforeSendingFromVersion20261021On) {
    for (const char* name : {"temperature", "top_p", "top_k"}) {
        ChatRequest request("x");
        const std::string key = name;
        request.params.temperature = key == "temperature" ? std::optional(1.0) : std::nullopt;
        request.params.top_p = key == "top_p" ? std::optional(1.0) : std::nullopt;
        request.params.top_k = key == "top_k" ? std::optional<std::int64_t>(5) : std::nullopt;
        const LLMError error = failure(request);
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_NE(error.message().find("parameters." + key), std::string::npos);
        EXPECT_NE(error.message().find("model.api_version = \"2023-06-01\""), std::string::npos);

        request.params.extra_headers = {{"Anthropic-Version", "2027-01-01"}};
        EXPECT_EQ(failure(request).errc(), Errc::not_supported);

        request.params.extra_headers = {{"Anthropic-Version", "2023-06-01"}};
        const HttpRequest http = encode(request);
        EXPECT_EQ(http.headers.get_all("anthropic-version").size(), 1U);
        EXPECT_EQ(http.headers.get("anthropic-version"), "2023-06-01");
        EXPECT_TRUE(parse_json(http.body).contains(key));
    }
}

TEST(AnthropicRequestTest, WritesEverySetting) {
    ChatRequest request("x");
    request.system = "s";
    request.params.max_tokens = 9;
    request.params.stop = {"a\n", "b"};
    request.params.reasoning_effort = "high";
    request.params.response_schema = RawJson(R"({"type":"object","additionalProperties":false})");
    EXPECT_EQ(
        body_of(request),
        parse_json(R"({"model":"m","max_tokens":9,"stop_sequences":["a\n","b"],"system":"s",
            "output_config":{"effort":"high","format":{"type":"json_schema","schema":
            {"type":"object","additionalProperties":false}}},
            "messages":[{"role":"user","content":"x"}]})")
    );
    request.params.seed = 1;
    EXPECT_EQ(failure(request).errc(), Errc::not_supported);
}

TEST(AnthropicRequestTest, ExtraBodyReplacesAndKeepsExactText) {
    ChatRequest request("x");
    request.params.extra_body = RawJson(
        R"({"thinking":{"type":"enabled","budget_tokens":2048.0},"max_tokens":1e4,)"
        R"("tools":[{"type":"web_search_20260318","name":"web_search"}]})"
    );
    const std::string body = encode(request).body;
    EXPECT_NE(body.find(R"("budget_tokens":2048.0})"), body.npos);
    EXPECT_NE(body.find(R"("max_tokens":1e4,)"), body.npos);
    EXPECT_EQ(body.find("16384"), body.npos);
    request.params.extra_body = RawJson("[1]");
    EXPECT_EQ(failure(request).errc(), Errc::invalid_argument);
}

TEST(AnthropicRequestTest, ToolChoiceForms) {
    const auto choice = [](std::optional<ToolChoice> wanted, std::optional<bool> parallel) {
        ChatRequest request("x");
        request.tools.emplace_back("f", "", RawJson());
        request.tool_choice = std::move(wanted);
        request.parallel_tool_calls = parallel;
        const Json body = body_of(request);
        return body.contains("tool_choice") ? body.at("tool_choice").dump() : "";
    };
    using Mode = ToolChoice::Mode;
    EXPECT_EQ(choice(std::nullopt, std::nullopt), "");
    EXPECT_EQ(choice(std::nullopt, false), R"({"disable_parallel_tool_use":true,"type":"auto"})");
    EXPECT_EQ(choice(ToolChoice(Mode::required), std::nullopt), R"({"type":"any"})");
    EXPECT_EQ(choice(ToolChoice(Mode::none), false), R"({"type":"none"})");
    EXPECT_EQ(choice(ToolChoice::tool("f"), std::nullopt), R"({"name":"f","type":"tool"})");
    ChatRequest request("x");
    request.tool_choice = ToolChoice::tool("f");
    EXPECT_EQ(failure(request).errc(), Errc::invalid_argument);
}

TEST(AnthropicRequestTest, Trap6_AllResultsStandFirstInTheOneNextUserMessage) {
    const Json list = messages(
        {Message::user("a"),
         Message(
             Role::assistant,
             std::vector<ContentBlock>{
                 ToolCallBlock("1", "f", "{}"),
                 ToolCallBlock("2", "f", "{}"),
                 ToolCallBlock("3", "f", "{}")}
         ),
         Message::user(std::vector<ContentBlock>{TextBlock("early"), ToolResultBlock("2", "r2")}),
         Message::tool_results({ToolResultBlock("1", "r1")}),
         Message::user("late"),
         Message::tool_results({ToolResultBlock("3", "")})}
    );
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list.at(2), parse_json(R"({"role":"user","content":[
        {"type":"tool_result","tool_use_id":"2","content":"r2"},
        {"type":"tool_result","tool_use_id":"1","content":"r1"},
        {"type":"tool_result","tool_use_id":"3","content":""},
        {"type":"text","text":"early"},{"type":"text","text":"late"}]})"));
}

TEST(AnthropicRequestTest, Trap6_ThinkingIsReplayedInPlaceAndForeignThinkingIsNot) {
    ThinkingBlock omitted("", "only a signature");
    ThinkingBlock ours("t", "s");
    ours.opaque = RawJson(R"({"type":"thinking","thinking":"t","signature":"s","new":1.0})");
    ThinkingBlock theirs("t");
    theirs.opaque = RawJson(R"([{"type":"reasoning.text"}])");
    ThinkingBlock responses("t", "s");
    responses.opaque = RawJson(R"({"type":"reasoning","id":"rs"})");
    EXPECT_EQ(
        assistant_content(
            {TextBlock("a"),
             omitted,
             TextBlock(""),
             theirs,
             responses,
             ThinkingBlock("no signature"),
             RedactedThinkingBlock("r"),
             ours,
             TextBlock("b")}
        ),
        parse_json(R"([{"type":"text","text":"a"},
            {"type":"thinking","thinking":"","signature":"only a signature"},
            {"type":"redacted_thinking","data":"r"},
            {"type":"thinking","thinking":"t","signature":"s","new":1.0},
            {"type":"text","text":"b"}])")
    );
}

TEST(AnthropicRequestTest, ThinkingThatWasCutOffIsNotReplayed) {
    HttpResponse cut(200);
    cut.body = R"({"content":[{"type":"thinking","thinking":"I","signature":""}],)"
               R"("stop_reason":"max_tokens","container":{"id":"c"}})";
    const Message reply = find_codec("anthropic")->decode(cut).message;
    EXPECT_EQ(assistant_content(reply.content()), Json());
    std::vector<ContentBlock> followed = reply.content();
    followed.emplace_back(TextBlock("t"));  // a compatible server's, which signs nothing
    EXPECT_EQ(assistant_content(followed).size(), 2U);
}

TEST(AnthropicRequestTest, Trap12_ArgumentsAreSentAsTheObjectThatTheyAre) {
    const auto input = [](const std::string& arguments) {
        ChatRequest request = request_of(
            {Message::user("x"),
             Message(
                 Role::assistant,
                 std::vector<ContentBlock>{ToolCallBlock("i", "f", arguments)}
             )}
        );
        const std::string body = encode(request).body;
        const std::size_t at = body.find("\"input\":") + 8;
        return body.substr(at, body.find("}]}", at) - at);
    };
    EXPECT_EQ(
        input(R"( {"z":1.10,"a":12345678901234567890123} )"),
        R"({"z":1.10,"a":12345678901234567890123})"
    );
    EXPECT_EQ(input(""), "{}");
    EXPECT_EQ(input(" \n"), "{}");
    EXPECT_EQ(input(R"({"cut": "of)"), R"({"INVALID_JSON":"{\"cut\": \"of"})");
    EXPECT_EQ(input("[1]"), R"({"INVALID_JSON":"[1]"})");
}

TEST(AnthropicRequestTest, BlocksOfThisProtocolGoBackAndOthersDoNot) {
    const std::string ours = "anthropic";
    EXPECT_EQ(
        assistant_content(
            {UnknownBlock(ours, RawJson(R"({"type":"server_tool_use","id":"s","input":{}})")),
             UnknownBlock("gemini", RawJson(R"({"type":"text","text":"secret"})")),
             UnknownBlock(ours, RawJson(R"({"stop_reason":"end_turn","container":{"id":"c"}})")),
             UnknownBlock(ours, RawJson(R"({"tool_use":{"caller":{"type":"code"}}})")),
             ToolCallBlock("i", "f", "{}"),
             ToolCallBlock("j", "f", "{}")}
        ),
        parse_json(R"([{"type":"server_tool_use","id":"s","input":{}},
            {"type":"tool_use","id":"i","name":"f","input":{},"caller":{"type":"code"}},
            {"type":"tool_use","id":"j","name":"f","input":{}}])")
    );
}

TEST(AnthropicRequestTest, CitationsGoBackOnlyFromTheAssistantAndOnlyOwnOnes) {
    TextBlock cited("c");
    cited.citations = RawJson(
        R"([{"type":"char_location","start_char_index":1},{"type":"url_citation","url":"u"}])"
    );
    const Json list = messages(
        {Message::user(std::vector<ContentBlock>{cited, TextBlock("d")}),
         Message(Role::assistant, std::vector<ContentBlock>{cited})}
    );
    EXPECT_EQ(list.at(0).at("content").at(0), parse_json(R"({"type":"text","text":"c"})"));
    EXPECT_EQ(list.at(1).at("content"), parse_json(R"([{"type":"text","text":"c",
            "citations":[{"type":"char_location","start_char_index":1}]}])"));
}

TEST(AnthropicRequestTest, ARefusedTurnIsNotReplayed) {
    const UnknownBlock mark("anthropic", RawJson(R"({"stop_reason":"refusal"})"));
    EXPECT_EQ(assistant_content({TextBlock("I"), TextBlock::refused("no"), mark}), Json());
    // With a call it stays, or the results would answer nothing.
    EXPECT_EQ(assistant_content({ToolCallBlock("i", "f", "{}"), mark}).size(), 1U);
    // Another provider's refusal is what the assistant said.
    EXPECT_EQ(assistant_content({TextBlock::refused("no")}).at(0).at("text"), "no");
}

TEST(AnthropicRequestTest, APausedTurnGoesBackAsItIsWithoutAUserMessage) {
    const Json list = messages(
        {Message::user("search"),
         Message(
             Role::assistant,
             std::vector<ContentBlock>{
                 UnknownBlock("anthropic", RawJson(R"({"type":"server_tool_use","id":"s"})"))}
         )}
    );
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list.at(1).at("role"), "assistant");
}

TEST(AnthropicRequestTest, SystemMessagesStandInFrontOrFromVersion20261021OnBetween) {
    ChatRequest request = request_of({Message::system("b"), Message::user("x")});
    request.system = "a";
    EXPECT_EQ(
        body_of(request).at("system"),
        parse_json(R"([{"type":"text","text":"a"},{"type":"text","text":"b"}])")
    );
    request.add(Message::system("c"));
    EXPECT_EQ(
        body_of(request).at("messages").at(1),
        parse_json(R"({"role":"system","content":"c"})")
    );
    request.params.extra_headers = {{"anthropic-version", "2023-06-01"}};
    const LLMError error = failure(request);
    EXPECT_EQ(error.errc(), Errc::not_supported);
    EXPECT_NE(error.message().find("2026-10-21"), std::string::npos);
}

TEST(AnthropicRequestTest, ImagesAndDocumentsOfEverySource) {
    const Json content =
        messages({Message::user(std::vector<ContentBlock>{
                     ImageBlock(MediaSource::url("https://h/i.png")),
                     ImageBlock(MediaSource::file_id("file_1"), "low"),
                     DocumentBlock(MediaSource::base64("QQ==", "application/pdf"), "a.pdf"),
                     DocumentBlock(MediaSource::url("https://h/d.pdf")),
                     DocumentBlock(MediaSource::file_id("file_2")),
                     DocumentBlock(MediaSource::bytes("1 \xe2\x82\xac", "text/markdown")),
                     UnknownBlock("anthropic", RawJson(R"({"type":"search_result","source":"s"})"))}
                 )})
            .at(0);
    EXPECT_EQ(
        content.at("content"),
        parse_json("["
                   R"(
        {"type":"image","source":{"type":"url","url":"https://h/i.png"}},
        {"type":"image","source":{"type":"file","file_id":"file_1"}},
        {"type":"document","source":{"type":"base64","media_type":"application/pdf",
            "data":"QQ=="},"title":"a.pdf"},
        {"type":"document","source":{"type":"url","url":"https://h/d.pdf"}},
        {"type":"document","source":{"type":"file","file_id":"file_2"}},
        {"type":"document","source":{"type":"text","media_type":"text/plain",
            "data":"1 )"
                   "\xe2\x82\xac"
                   R"("}},
        {"type":"search_result","source":"s"}])")
    );
}

TEST(AnthropicRequestTest, WhatTheProtocolCannotExpressIsRefused) {
    const auto with = [](Role role, ContentBlock block) {
        ChatRequest request("x");
        request.add(Message(role, std::vector<ContentBlock>{std::move(block)}));
        return failure(request).errc();
    };
    const MediaSource url = MediaSource::url("https://h/x");
    EXPECT_EQ(with(Role::assistant, ImageBlock(url)), Errc::not_supported);
    EXPECT_EQ(with(Role::assistant, DocumentBlock(url)), Errc::not_supported);
    EXPECT_EQ(with(Role::system, ImageBlock(url)), Errc::not_supported);
    EXPECT_EQ(with(Role::assistant, ToolResultBlock("a", "b")), Errc::invalid_argument);
    EXPECT_EQ(with(Role::system, ToolResultBlock("a", "b")), Errc::invalid_argument);
    EXPECT_EQ(with(Role::user, ToolCallBlock("a", "b", "{}")), Errc::invalid_argument);
    EXPECT_EQ(with(Role::user, ThinkingBlock("a", "b")), Errc::invalid_argument);
    EXPECT_EQ(with(Role::tool, TextBlock("b")), Errc::invalid_argument);
    EXPECT_EQ(with(Role::user, TextBlock("")), Errc::invalid_argument);
    const DocumentBlock broken(MediaSource::base64("?", "text/plain"));
    EXPECT_EQ(with(Role::user, broken), Errc::invalid_argument);
    EXPECT_EQ(failure(ChatRequest()).errc(), Errc::invalid_argument);
    EXPECT_EQ(failure(request_of({Message::system("s")})).errc(), Errc::invalid_argument);
    EXPECT_EQ(failure(ChatRequest(History{nullptr})).errc(), Errc::invalid_argument);
    Endpoint to = endpoint();
    to.model.clear();
    EXPECT_EQ(failure(ChatRequest("x"), to).errc(), Errc::invalid_argument);
    to = endpoint();
    to.base_url = "ftp://h";
    EXPECT_EQ(failure(ChatRequest("x"), to).errc(), Errc::invalid_argument);
}

TEST(AnthropicRequestTest, Trap21_AKeyWithALineEndIsRefusedWithoutShowingIt) {
    Endpoint to = endpoint();
    to.api_key = Secret("sk-secret\n");
    const LLMError error = failure(ChatRequest("x"), to);
    EXPECT_EQ(error.errc(), Errc::invalid_argument);
    EXPECT_EQ(std::string(error.what()).find("sk-secret"), std::string::npos);
}

}  // namespace
}  // namespace llmproc
