#include "unit/providers/request_support.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc {
namespace {

using namespace testing_requests;  // NOLINT(google-build-using-namespace)

ChatRequest with(std::vector<HostedTool> tools) {
    ChatRequest request("hi");
    request.params.hosted_tools = std::move(tools);
    return request;
}

HostedTool tool(const std::string& kind, const std::string& options = "") {
    return options.empty() ? HostedTool(kind) : HostedTool(kind, RawJson(options));
}

Json tools_of(std::string_view protocol, std::vector<HostedTool> tools) {
    return body_of(protocol, with(std::move(tools))).at("tools");
}

TEST(HostedToolsTest, EachProtocolHasItsOwnEntries) {
    EXPECT_EQ(
        tools_of(
            anthropic,
            {tool("web_search", R"({"max_uses":3})"), tool("web_fetch"), tool("code_execution")}
        ),
        parse_json(R"([{"type":"web_search_20260318","name":"web_search","max_uses":3},
            {"type":"web_fetch_20260318","name":"web_fetch"},
            {"type":"code_execution_20260521","name":"code_execution"}])")
    );
    EXPECT_EQ(
        tools_of(
            responses,
            {tool("web_search", R"({"search_context_size":"low"})"),
             tool("file_search", R"({"vector_store_ids":["v"]})"),
             tool("code_execution"),
             tool("code_execution", R"({"container":"c1"})")}
        ),
        parse_json(R"([{"type":"web_search","search_context_size":"low"},
            {"type":"file_search","vector_store_ids":["v"]},
            {"type":"code_interpreter","container":{"type":"auto"}},
            {"type":"code_interpreter","container":"c1"}])")
    );
    EXPECT_EQ(
        tools_of(
            gemini,
            {tool("web_search"),
             tool("url_context"),
             tool("code_execution"),
             tool("file_search", R"({"fileSearchStoreNames":["s"]})")}
        ),
        parse_json(R"([{"googleSearch":{}},{"urlContext":{}},{"codeExecution":{}},
            {"fileSearch":{"fileSearchStoreNames":["s"]}}])")
    );
    const Json body = body_of(chat, with({tool("web_search", R"({"search_context_size":"low"})")}));
    EXPECT_EQ(body.at("web_search_options"), parse_json(R"({"search_context_size":"low"})"));
    EXPECT_FALSE(body.contains("tools"));
}

TEST(HostedToolsTest, AnyOtherKindIsTheProvidersOwn) {
    EXPECT_EQ(
        tools_of(anthropic, {tool("bash_20250124"), tool("web_search_20250305")}),
        parse_json(R"([{"type":"bash_20250124","name":"bash"},
            {"type":"web_search_20250305","name":"web_search"}])")
    );
    EXPECT_EQ(
        tools_of(responses, {tool("mcp", R"({"server_label":"s"})")}),
        parse_json(R"([{"type":"mcp","server_label":"s"}])")
    );
    EXPECT_EQ(tools_of(gemini, {tool("googleMaps")}), parse_json(R"([{"googleMaps":{}}])"));
    EXPECT_EQ(
        tools_of(chat, {tool("browser_search"), tool("web_search")}),
        parse_json(R"([{"type":"browser_search"}])")
    );
}

TEST(HostedToolsTest, WhatAProtocolLacksIsSaidWithARemedy) {
    for (const auto& [protocol, kind] :
         {std::pair{anthropic, "file_search"},
          std::pair{anthropic, "url_context"},
          std::pair{responses, "web_fetch"},
          std::pair{chat, "code_execution"}}) {
        const LLMError error = failure(protocol, with({tool(kind)}));
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_NE(error.message().find(kind), std::string::npos) << error.message();
        EXPECT_NE(error.message().find("; "), std::string::npos) << error.message();
    }
    for (const std::string_view protocol : all_protocols) {
        EXPECT_EQ(failure(protocol, with({tool("x", "[1]")})).errc(), Errc::invalid_argument);
        EXPECT_EQ(failure(protocol, with({tool("")})).errc(), Errc::invalid_argument);
    }
}

TEST(HostedToolsTest, TheyStandBesideToolsOfOnesOwn) {
    ChatRequest request = with({tool("web_search")});
    request.tools.emplace_back("f", "", RawJson());
    request.tool_choice = ToolChoice(ToolChoice::Mode::required);
    EXPECT_EQ(body_of(anthropic, request).at("tools").size(), 2U);
    EXPECT_EQ(body_of(responses, request).at("tools").size(), 2U);
    EXPECT_EQ(body_of(chat, request).at("tools").size(), 1U);
    const Json body = body_of(gemini, request);
    EXPECT_EQ(body.at("tools").size(), 2U);
    EXPECT_EQ(
        body.at("toolConfig"),
        parse_json(R"({"functionCallingConfig":{"mode":"ANY"},
            "includeServerSideToolInvocations":true})")
    ) << "else the API refuses both together";
    request.tools.clear();
    EXPECT_FALSE(body_of(anthropic, request).at("tool_choice").is_null());
    EXPECT_EQ(failure(gemini, request).errc(), Errc::invalid_argument);
}

TEST(HostedToolsTest, TheyAreCounted) {
    const ChatRequest request = with({tool("web_search")});
    for (const std::string_view protocol : {responses, anthropic, gemini}) {
        const auto http = find_codec(protocol)->encode_count_tokens(request, endpoint_of());
        EXPECT_NE(http->body.find("earch"), std::string::npos) << protocol;
    }
}

/// The assistant's part of the next request, after a reply with what a hosted tool did.
Json replayed(std::string_view protocol, const std::string& body, const std::string& list) {
    const ChatReply reply = reply_of(protocol, body);
    ChatRequest next("before");
    next.add(reply.message);
    next.add(Message::user("after"));
    return body_of(protocol, next).at(list);
}

TEST(HostedToolsTest, ResultsAndCitationsAreKeptAndSentBack) {
    const std::string items =
        R"([{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search"}},)"
        R"({"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":)"
        R"("output_text","text":"Sunny.","annotations":[{"type":"url_citation","start_index":0,)"
        R"("end_index":6,"url":"https://a.example","title":"A"}]}]}])";
    Json sent = replayed(
        responses,
        R"({"id":"r","status":"completed","model":"m","output":)" + items + "}",
        "input"
    );
    EXPECT_EQ(sent.at(1), parse_json(items).at(0));
    EXPECT_EQ(sent.at(2), parse_json(items).at(1));

    const std::string blocks =
        R"([{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"x"}},)"
        R"({"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":)"
        R"("web_search_result","url":"https://a.example","encrypted_content":"E="}]},)"
        R"({"type":"text","text":"Sunny.","citations":[{"type":"web_search_result_location",)"
        R"("cited_text":"s","url":"https://a.example","title":"A","encrypted_index":"I="}]}])";
    sent = replayed(
        anthropic,
        R"({"id":"msg_1","type":"message","role":"assistant","model":"m","stop_reason":"end_turn",)"
        R"("usage":{"input_tokens":1,"output_tokens":1},"content":)" +
            blocks + "}",
        "messages"
    );
    EXPECT_EQ(sent.at(1).at("content"), parse_json(blocks));

    const std::string parts =
        R"([{"toolCall":{"id":"t1","toolType":"GOOGLE_SEARCH","args":{"q":"x"}},"thoughtSignature":"Uw=="},)"
        R"({"toolResponse":{"id":"t1","response":{"r":1}}},{"text":"Sunny."}])";
    const std::string candidate =
        R"({"candidates":[{"content":{"role":"model","parts":)" + parts +
        R"(},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["x"]}}]})";
    sent = replayed(gemini, candidate, "contents");
    EXPECT_EQ(sent.at(1).at("parts"), parse_json(parts));
    EXPECT_NE(
        reply_of(gemini, candidate).message.to_json().find("webSearchQueries"),
        std::string::npos
    ) << "what it was grounded on is kept";

    const std::string answer =
        R"({"id":"c","model":"m","choices":[{"index":0,"finish_reason":"stop","message":{"role":)"
        R"("assistant","content":"Sunny.","annotations":[{"type":"url_citation","url_citation":)"
        R"({"start_index":0,"end_index":6,"url":"https://a.example","title":"A"}}]}}]})";
    const ChatReply reply = reply_of(chat, answer);
    const auto& text = std::get<TextBlock>(reply.message.content().at(0));
    ASSERT_TRUE(text.citations);
    EXPECT_NE(text.citations->text().find("https://a.example"), std::string::npos);
    EXPECT_EQ(replayed(chat, answer, "messages").at(1).at("content"), "Sunny.");
}

}  // namespace
}  // namespace llmproc
