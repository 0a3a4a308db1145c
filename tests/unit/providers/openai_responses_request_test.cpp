#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

const Codec& codec() {
    return *find_codec("openai_responses");
}

Endpoint endpoint() {
    Endpoint result;
    result.provider = "openai_responses";
    result.base_url = "https://api.openai.com/v1";
    result.model = "m";
    result.quirks = find_profile("openai_responses")->quirks;
    return result;
}

std::string body_of(const ChatRequest& request, bool stream = false) {
    EncodeCache cache;
    return codec().encode(request, endpoint(), stream, cache).body;
}

Json member(const ChatRequest& request, const char* name) {
    return parse_json(body_of(request)).at(name);
}

Json input(std::vector<Message> list) {
    ChatRequest request;
    for (Message& message : list) {
        request.add(std::move(message));
    }
    return member(request, "input");
}

Json assistant_input(std::vector<ContentBlock> blocks) {
    return input({Message(Role::assistant, std::move(blocks))});
}

UnknownBlock own(const std::string& raw) {
    return {"openai_responses", RawJson(raw)};
}

Errc failure(const ChatRequest& request) {
    try {
        static_cast<void>(body_of(request));
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc::internal;
}

Errc failure(Message message) {
    ChatRequest request;
    request.add(std::move(message));
    return failure(request);
}

// --- settings ------------------------------------------------------------------------------------

TEST(OpenAiResponsesRequestTest, Trap2_SendsOnlyWhatWasSetAndKeepsNothingAtTheServer) {
    EXPECT_EQ(
        body_of(ChatRequest("hi")),
        R"({"model":"m","store":false,"include":["reasoning.encrypted_content"],)"
        R"("input":[{"type":"message","role":"user","content":"hi"}]})"
    );
    EXPECT_TRUE(parse_json(body_of(ChatRequest("hi"), true)).at("stream").get<bool>());
    EXPECT_FALSE(parse_json(body_of(ChatRequest("hi"), true)).contains("stream_options"));
}

TEST(OpenAiResponsesRequestTest, Trap1_ThePathPrefixOfABaseUrlIsKept) {
    Endpoint to = endpoint();
    to.base_url = "http://localhost:8000/proxy/v1?api-version=7";
    EncodeCache cache;
    const ChatRequest request("x");
    EXPECT_EQ(
        codec().encode(request, to, false, cache).target,
        "/proxy/v1/responses?api-version=7"
    );
    EXPECT_EQ(
        codec().encode_count_tokens(request, to)->target,
        "/proxy/v1/responses/input_tokens?api-version=7"
    );
}

TEST(OpenAiResponsesRequestTest, WritesEverySetting) {
    ChatRequest request("x");
    request.model = "other";
    request.system = "s";
    request.params.temperature = 0.5;
    request.params.top_p = 1;
    request.params.max_tokens = 9;
    request.params.reasoning_effort = "low";
    request.parallel_tool_calls = false;  // not sent: there are no tools
    EXPECT_EQ(
        parse_json(body_of(request)),
        parse_json(R"({"model":"other","instructions":"s","reasoning":{"effort":"low"},
            "store":false,"include":["reasoning.encrypted_content"],"temperature":0.5,"top_p":1.0,
            "max_output_tokens":9,"input":[{"type":"message","role":"user","content":"x"}]})")
    );
}

TEST(OpenAiResponsesRequestTest, Trap3_ToolsChoiceAndSchemaAreFlat) {
    ChatRequest request("x");
    request.tools.emplace_back("f", "d", RawJson(R"({"type":"object"})"));
    request.tool_choice = ToolChoice::tool("f");
    request.params.response_schema = RawJson(R"({"type":"object"})");
    EXPECT_EQ(
        member(request, "tools"),
        parse_json(R"([{"type":"function","name":"f","description":"d",
            "parameters":{"type":"object"},"strict":false}])")
    );
    EXPECT_EQ(member(request, "tool_choice"), parse_json(R"({"type":"function","name":"f"})"));
    EXPECT_EQ(
        member(request, "text"),
        parse_json(R"({"format":{"type":"json_schema","name":"response",
            "schema":{"type":"object"},"strict":true}})")
    );
}

TEST(OpenAiResponsesRequestTest, Trap4_StrictIsAlwaysSentSinceLeftOutItMeansTrue) {
    ChatRequest request("x");
    request.tools.emplace_back("f", "", RawJson());
    EXPECT_EQ(
        member(request, "tools"),
        parse_json(R"([{"type":"function","name":"f","parameters":null,"strict":false}])")
    );
    request.tools[0].strict = true;
    EXPECT_TRUE(member(request, "tools").at(0).at("strict").get<bool>());
}

TEST(OpenAiResponsesRequestTest, Trap29_SchemasGoUnchanged) {
    const std::string schema = R"({"type":"object", "x-own":1e2,"properties":{"b":{},"a":{}}})";
    ChatRequest request("x");
    request.tools.emplace_back("f", "", RawJson(schema));
    request.params.response_schema = RawJson(schema);
    const std::string body = body_of(request);
    EXPECT_NE(body.find("\"parameters\":" + schema), std::string::npos);
    EXPECT_NE(body.find("\"schema\":" + schema), std::string::npos);
}

TEST(OpenAiResponsesRequestTest, WhatTheProtocolDoesNotHaveIsRefusedNotDropped) {
    ChatRequest stop("x");
    stop.params.stop = {"a"};
    EXPECT_EQ(failure(stop), Errc::not_supported);
    ChatRequest seed("x");
    seed.params.seed = 1;
    EXPECT_EQ(failure(seed), Errc::not_supported);
    ChatRequest top_k("x");
    top_k.params.top_k = 1;
    EXPECT_EQ(failure(top_k), Errc::not_supported);
    EXPECT_EQ(failure(ChatRequest()), Errc::invalid_argument);
    ChatRequest null;
    null.messages.push_back(nullptr);
    EXPECT_EQ(failure(null), Errc::invalid_argument);
}

TEST(OpenAiResponsesRequestTest, ChoicesNeedToolsOfOursOrOfTheProvider) {
    ChatRequest request("x");
    request.tool_choice = ToolChoice(ToolChoice::Mode::required);
    EXPECT_EQ(failure(request), Errc::invalid_argument);
    request.params.extra_body = RawJson(R"({"tools":[{"type":"web_search"}]})");
    EXPECT_EQ(member(request, "tool_choice"), "required");
    request.tools.emplace_back("f", "", RawJson());
    request.tool_choice = ToolChoice::tool("");
    EXPECT_EQ(failure(request), Errc::invalid_argument);
    request.tool_choice = ToolChoice(ToolChoice::Mode::none);
    request.parallel_tool_calls = false;
    EXPECT_EQ(member(request, "tool_choice"), "none");
    EXPECT_FALSE(member(request, "parallel_tool_calls").get<bool>());
}

TEST(OpenAiResponsesRequestTest, ExtraBodyWinsAndExtraHeadersAreSent) {
    ChatRequest request("x");
    request.params.extra_body = RawJson(R"({"store":true,"previous_response_id":"resp_1"})");
    request.params.extra_headers = {{"OpenAI-Project", "p"}};
    EXPECT_TRUE(member(request, "store").get<bool>());
    EXPECT_EQ(member(request, "previous_response_id"), "resp_1");
    EncodeCache cache;
    const HttpRequest http = codec().encode(request, endpoint(), false, cache);
    EXPECT_EQ(http.headers.get("openai-project"), "p");
    request.params.extra_body = RawJson("[]");
    EXPECT_EQ(failure(request), Errc::invalid_argument);
}

TEST(OpenAiResponsesRequestTest, CountingSendsWhatIsReadAndNothingElse) {
    ChatRequest request("x");
    request.system = "s";
    request.tools.emplace_back("f", "", RawJson());
    request.params.temperature = 1;
    request.params.max_tokens = 5;
    request.params.stop = {"no matter"};
    request.params.extra_body = RawJson(R"({"prompt_cache_key":"k","truncation":"auto"})");
    EXPECT_EQ(
        parse_json(codec().encode_count_tokens(request, endpoint())->body),
        parse_json(R"({"model":"m","instructions":"s","truncation":"auto",
            "tools":[{"type":"function","name":"f","parameters":null,"strict":false}],
            "input":[{"type":"message","role":"user","content":"x"}]})")
    );
}

// --- messages of the user ------------------------------------------------------------------------

TEST(OpenAiResponsesRequestTest, ImagesAndDocumentsOfEveryKind) {
    EXPECT_EQ(
        input({Message::user(std::vector<ContentBlock>{
                  ImageBlock(MediaSource::url("https://a/b.png")),
                  ImageBlock(MediaSource::file_id("file-1"), "high"),
                  DocumentBlock(MediaSource::url("https://a/b.pdf")),
                  DocumentBlock(MediaSource::file_id("file-2")),
                  DocumentBlock(MediaSource::base64("QQ==", "")),
                  own(R"({"type":"input_audio","data":"QQ=="})")})})
            .at(0)
            .at("content"),
        parse_json(R"([{"type":"input_image","image_url":"https://a/b.png"},
            {"type":"input_image","file_id":"file-1","detail":"high"},
            {"type":"input_file","file_url":"https://a/b.pdf"},
            {"type":"input_file","file_id":"file-2"},
            {"type":"input_file","filename":"document",
             "file_data":"data:application/pdf;base64,QQ=="},
            {"type":"input_audio","data":"QQ=="}])")
    );
}

TEST(OpenAiResponsesRequestTest, SystemMessagesHaveTheRoleThatTheServerWants) {
    const Message system = Message::system("s");
    EXPECT_EQ(input({system}).at(0).at("role"), "developer");
    Endpoint to = endpoint();
    to.quirks.developer_role = false;
    ChatRequest request;
    request.add(system);
    EncodeCache cache;
    const Json body = parse_json(codec().encode(request, to, false, cache).body);
    EXPECT_EQ(body.at("input").at(0).at("role"), "system");
}

TEST(OpenAiResponsesRequestTest, ResultsSayErrorsInTheirText) {
    using Parts = std::vector<ToolResultContent>;
    const ImageBlock image(MediaSource::url("https://a"));
    const Json items = input({Message::tool_results(
        {ToolResultBlock("a", "no such city", true),
         ToolResultBlock("b", "Error: already said", true),
         ToolResultBlock("c", Parts()),
         ToolResultBlock("d", Parts{image}, true),
         ToolResultBlock("e", Parts{TextBlock("broken"), image}, true)}
    )});
    EXPECT_EQ(items.at(0).at("output"), "error: no such city");
    EXPECT_EQ(items.at(1).at("output"), "Error: already said");
    EXPECT_EQ(items.at(2).at("output"), "");
    EXPECT_EQ(
        items.at(3).at("output"),
        parse_json(R"([{"type":"input_text","text":"error: the tool failed"},
            {"type":"input_image","image_url":"https://a"}])")
    );
    EXPECT_EQ(items.at(4).at("output"), parse_json(R"([{"type":"input_text","text":"error: broken"},
            {"type":"input_image","image_url":"https://a"}])"));
}

TEST(OpenAiResponsesRequestTest, ResultsInAUserMessageComeBeforeItsOtherBlocks) {
    const Json items = input({Message::user(std::vector<ContentBlock>{
        TextBlock("go on"),
        ToolResultBlock("a", "1"),
        own(R"({"type":"custom_tool_call_output","call_id":"c","output":"2"})")})});
    ASSERT_EQ(items.size(), 3U);
    EXPECT_EQ(items.at(0).at("type"), "function_call_output");
    EXPECT_EQ(items.at(1).at("type"), "custom_tool_call_output");
    EXPECT_EQ(items.at(2).at("content"), "go on");
}

TEST(OpenAiResponsesRequestTest, MisplacedBlocksAreRefused) {
    using Blocks = std::vector<ContentBlock>;
    const ToolCallBlock call("c", "f", "{}");
    const ToolResultBlock result("c", "r");
    const ImageBlock image(MediaSource::url("https://a"));
    EXPECT_EQ(failure(Message(Role::user, Blocks{call})), Errc::invalid_argument);
    EXPECT_EQ(failure(Message(Role::user, Blocks{ThinkingBlock("t")})), Errc::invalid_argument);
    EXPECT_EQ(failure(Message(Role::system, Blocks{result})), Errc::invalid_argument);
    EXPECT_EQ(failure(Message(Role::tool, Blocks{TextBlock("t")})), Errc::invalid_argument);
    EXPECT_EQ(failure(Message(Role::assistant, Blocks{result})), Errc::invalid_argument);
    EXPECT_EQ(failure(Message(Role::assistant, Blocks{image})), Errc::not_supported);
}

// --- messages of the assistant -------------------------------------------------------------------

TEST(OpenAiResponsesRequestTest, Trap4_ReasoningIsReplayedByteForByte) {
    const std::string raw =
        R"({"id":"rs_1", "type":"reasoning","summary":[ ],"encrypted_content":"g\u0041=="})";
    ThinkingBlock thinking("shown");
    thinking.opaque = RawJson(raw);
    ChatRequest request;
    request.add(Message(Role::assistant, std::vector<ContentBlock>{thinking, TextBlock("t")}));
    EXPECT_NE(body_of(request).find(raw), std::string::npos);
}

TEST(OpenAiResponsesRequestTest, OtherProtocolsBlocksAreLeftOut) {
    ThinkingBlock array("a");
    array.opaque = RawJson(R"([{"type":"reasoning.text"}])");
    ThinkingBlock object("b");
    object.opaque = RawJson(R"({"thoughtSignature":"x"})");
    TextBlock cited("t");
    cited.citations = RawJson(R"([{"type":"char_location"}])");
    const UnknownBlock foreign("anthropic", RawJson(R"({"type":"message"})"));
    EXPECT_EQ(
        assistant_input({array, object, ThinkingBlock("c", "signature"), foreign, cited}),
        parse_json(R"([{"type":"message","role":"assistant","content":"t"}])")
    );
    // Nothing is left of such a message, not even a comma.
    EXPECT_EQ(
        input({Message(Role::assistant, std::vector<ContentBlock>{array}),
               Message::user("a"),
               Message(Role::assistant, std::vector<ContentBlock>{RedactedThinkingBlock("r")}),
               Message::user("b"),
               Message(Role::user, std::vector<ContentBlock>{foreign})})
            .size(),
        2U
    );
}

TEST(OpenAiResponsesRequestTest, FramesAndTheirBlocksBecomeOneItem) {
    TextBlock cited("cited");
    cited.citations = RawJson(R"([{"type":"url_citation"}])");
    EXPECT_EQ(
        assistant_input(
            {own(R"({"type":"message","id":"msg_1","role":"assistant","phase":"commentary"})"),
             cited,
             own(R"({"content":[{"type":"output_audio","data":"QQ=="}]})"),
             TextBlock::refused("no"),
             own(R"({"type":"message","id":"msg_2","role":"assistant"})"),
             TextBlock("second"),
             own(R"({"type":"function_call","id":"fc_1","call_id":"a","namespace":"n"})"),
             ToolCallBlock("a", "f", "")}
        ),
        parse_json(R"([{"type":"message","id":"msg_1","role":"assistant","phase":"commentary",
              "content":[{"type":"output_text","text":"cited",
                          "annotations":[{"type":"url_citation"}]},
                {"type":"output_audio","data":"QQ=="},{"type":"refusal","refusal":"no"}]},
            {"type":"message","id":"msg_2","role":"assistant",
              "content":[{"type":"output_text","text":"second","annotations":[]}]},
            {"type":"function_call","id":"fc_1","call_id":"a","namespace":"n","name":"f",
              "arguments":"{}"}])")
    );
}

TEST(OpenAiResponsesRequestTest, AFrameWhoseCallIsGoneIsNotSent) {
    EXPECT_EQ(
        assistant_input(
            {own(R"({"type":"function_call","id":"fc_1","call_id":"gone"})"),
             ToolCallBlock("b", "f", "{}")}
        ),
        parse_json(R"([{"type":"function_call","call_id":"b","name":"f","arguments":"{}"}])")
    );
}

TEST(OpenAiResponsesRequestTest, UnknownItemsGoBackWithoutWhatOnlyAnswersHave) {
    const std::string search = R"({"type":"web_search_call","id":"ws_1", "status":"completed"})";
    ChatRequest request;
    request.add(Message(
        Role::assistant,
        std::vector<ContentBlock>{
            own(search),
            own(R"({"type":"compaction","created_by":"x","encrypted_content":"g"})")}
    ));
    EXPECT_NE(body_of(request).find(search), std::string::npos);
    EXPECT_EQ(
        member(request, "input").at(1),
        parse_json(R"({"type":"compaction","encrypted_content":"g"})")
    );
}

TEST(OpenAiResponsesRequestTest, Trap12_ArgumentsStayTheTextThatTheModelWrote) {
    const std::string text = "{\"n\": 12345678901234567890.10, \"z\":1, \"a\":2}";
    const Json items = assistant_input({ToolCallBlock("c", "f", text)});
    EXPECT_EQ(items.at(0).at("arguments"), text);
}

}  // namespace
}  // namespace llmproc
