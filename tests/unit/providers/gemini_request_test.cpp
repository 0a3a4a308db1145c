#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "unit/providers/gemini_support.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing_gemini::body_of;
using testing_gemini::codec;
using testing_gemini::encode;
using testing_gemini::endpoint_of;
using testing_gemini::failure_of;

TEST(GeminiRequestTest, Trap2_OnlyWhatWasSetIsSent) {
    EXPECT_EQ(
        encode(ChatRequest("hi")).body,
        R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}]})"
    );
}

TEST(GeminiRequestTest, Trap1_ThePathPrefixOfAProxyIsKept) {
    Endpoint endpoint = endpoint_of("gemini-3.8-flash");
    EncodeCache cache;
    endpoint.base_url = "http://localhost:8080/proxy/v1beta";
    EXPECT_EQ(
        codec().encode(ChatRequest("hi"), endpoint, false, cache).target,
        "/proxy/v1beta/models/gemini-3.8-flash:generateContent"
    );
    endpoint.base_url = "http://localhost:8080/p/v1/?tenant=a";
    EXPECT_EQ(
        codec().encode(ChatRequest("hi"), endpoint, true, cache).target,
        "/p/v1/models/gemini-3.8-flash:streamGenerateContent?tenant=a&alt=sse"
    );
}

TEST(GeminiRequestTest, Trap11_AStreamAsksForEventsAndTheVersionIsInTheBase) {
    const ProviderProfile* const profile = find_profile("google");
    ASSERT_NE(profile, nullptr);
    EXPECT_EQ(profile->name, "gemini");
    EXPECT_EQ(profile->api_key_env, "GEMINI_API_KEY");
    Endpoint endpoint = endpoint_of("gemini-3.8-flash");
    endpoint.base_url = profile->base_url;
    EncodeCache cache;
    EXPECT_EQ(
        codec().encode(ChatRequest("hi"), endpoint, true, cache).target,
        "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    );
}

TEST(GeminiRequestTest, Trap21_TheKeyIsInAHeaderOfItsOwnAndNowhereElse) {
    const HttpRequest http = encode(ChatRequest("hi"));
    EXPECT_EQ(http.headers.get("x-goog-api-key"), "k-secret");
    EXPECT_FALSE(http.headers.contains("authorization"));
    EXPECT_EQ(http.target.find("secret"), std::string::npos);
    EXPECT_EQ(http.body.find("secret"), std::string::npos);
    Endpoint endpoint = endpoint_of("m");
    endpoint.api_key = Secret();
    EncodeCache cache;
    const HttpRequest keyless = codec().encode(ChatRequest("hi"), endpoint, false, cache);
    EXPECT_FALSE(keyless.headers.contains("x-goog-api-key"));
}

TEST(GeminiRequestTest, AModelMayNameItsFolderButNotChangeThePath) {
    ChatRequest request("hi");
    for (const char* name : {"models/m", "tunedModels/m"}) {
        request.model = name;
        EXPECT_EQ(encode(request).target, "/v1beta/" + request.model + ":generateContent");
    }
    for (const char* name : {"../x", "a?b", "a&b", "a b", "a#b", "a%2f", "m\n"}) {
        request.model = name;
        EXPECT_EQ(failure_of(request), Errc::invalid_argument) << name;
    }
    EncodeCache cache;
    EXPECT_THROW(
        static_cast<void>(codec().encode(ChatRequest("hi"), endpoint_of(""), false, cache)),
        LLMError
    );
}

TEST(GeminiRequestTest, SystemMessagesAreOneInstruction) {
    ChatRequest request("hi");
    request.system = "a";
    request.add(Message::system("b"));
    const Json body = body_of(request);
    EXPECT_EQ(body.at("systemInstruction"), parse_json(R"({"parts":[{"text":"a"},{"text":"b"}]})"));
    EXPECT_EQ(body.at("contents").size(), 1U);
    request.add(Message(Role::system, std::vector<ContentBlock>{ImageBlock()}));
    EXPECT_EQ(failure_of(request), Errc::invalid_argument);
}

TEST(GeminiRequestTest, ARequestNeedsAContent) {
    EXPECT_EQ(failure_of(ChatRequest()), Errc::invalid_argument);
    ChatRequest request;
    request.system = "only a prompt";
    EXPECT_EQ(failure_of(request), Errc::invalid_argument);
    request.messages.push_back(nullptr);
    EXPECT_EQ(failure_of(request), Errc::invalid_argument);
}

TEST(GeminiRequestTest, AllSettingsHaveTheirNames) {
    ChatRequest request("hi");
    request.params.temperature = 0.5;
    request.params.top_p = 0.25;
    request.params.top_k = 40;
    request.params.max_tokens = 9;
    request.params.seed = 7;
    request.params.stop = {"a", "b"};
    request.params.reasoning_effort = "high";
    EXPECT_EQ(body_of(request).at("generationConfig"), parse_json(R"({"temperature":0.5,
        "topP":0.25,"topK":40,"maxOutputTokens":9,"seed":7,"stopSequences":["a","b"],
        "thinkingConfig":{"thinkingLevel":"HIGH"}})"));
    request.params = SamplingParams();
    request.params.reasoning_effort = "none";
    EXPECT_EQ(
        parse_json(encode(request, "gemini-2.5-flash").body).at("generationConfig"),
        parse_json(R"({"thinkingConfig":{"thinkingBudget":0}})")
    );
}

TEST(GeminiRequestTest, Trap29_SchemasAreSentAsTheyAre) {
    const std::string schema =
        R"({"$ref":"#/$defs/a","$defs":{"a":{"type":["object","null"],"x":1.50}}})";
    ChatRequest request("hi");
    request.params.response_schema = RawJson(schema);
    request.tools.emplace_back("f", "", RawJson(schema));
    const std::string body = encode(request).body;
    EXPECT_NE(
        body.find(R"("responseMimeType":"application/json","responseJsonSchema":)" + schema),
        std::string::npos
    );
    EXPECT_NE(body.find(R"("parametersJsonSchema":)" + schema), std::string::npos);
}

TEST(GeminiRequestTest, Trap29_TheSubsetIsSentWhereTheProfileWantsIt) {
    ChatRequest request("hi");
    request.params.response_schema = RawJson(
        R"({"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}})"
    );
    request.tools
        .emplace_back("f", "", RawJson(R"({"type":"object","additionalProperties":false})"));
    Endpoint endpoint = endpoint_of("m");
    endpoint.quirks.schema_subset = true;
    EncodeCache cache;
    const Json body = parse_json(codec().encode(request, endpoint, false, cache).body);
    EXPECT_EQ(
        body.at("generationConfig"),
        parse_json(R"({"responseMimeType":"application/json","responseSchema":{"type":"string"}})")
    );
    EXPECT_EQ(
        body.at("tools").at(0).at("functionDeclarations").at(0),
        parse_json(R"({"name":"f","parameters":{"type":"object"}})")
    );
}

TEST(GeminiRequestTest, ToolChoices) {
    const auto config = [](const ToolChoice& choice) {
        ChatRequest request("hi");
        request.tools.emplace_back("mcp.server:tool", "", RawJson());
        request.tool_choice = choice;
        return body_of(request).at("toolConfig").at("functionCallingConfig").dump();
    };
    EXPECT_EQ(config(ToolChoice()), R"({"mode":"AUTO"})");
    EXPECT_EQ(config(ToolChoice(ToolChoice::Mode::none)), R"({"mode":"NONE"})");
    EXPECT_EQ(config(ToolChoice(ToolChoice::Mode::required)), R"({"mode":"ANY"})");
    EXPECT_EQ(
        config(ToolChoice::tool("mcp.server:tool")),  // Gemini takes these names
        R"({"allowedFunctionNames":["mcp.server:tool"],"mode":"ANY"})"
    );
    ChatRequest request("hi");
    request.tool_choice = ToolChoice(ToolChoice::Mode::required);
    EXPECT_EQ(failure_of(request), Errc::invalid_argument);
    request.tools.emplace_back("f", "", RawJson());
    request.tool_choice = ToolChoice::tool("");
    EXPECT_EQ(failure_of(request), Errc::invalid_argument);
}

TEST(GeminiRequestTest, ParallelCallsCannotBeForbidden) {
    ChatRequest request("hi");
    request.parallel_tool_calls = true;
    EXPECT_EQ(failure_of(request), Errc());
    request.parallel_tool_calls = false;
    EXPECT_EQ(failure_of(request), Errc::not_supported);
}

TEST(GeminiRequestTest, ExtraBodyIsMergedAtEveryDepthAndAddsTools) {
    ChatRequest request("hi");
    request.params.temperature = 1;
    request.params.max_tokens = 5;
    request.tools.emplace_back("f", "", RawJson());
    request.params.extra_body = RawJson(R"({"generationConfig":{"temperature":0,"n":1e400},
        "tools":[{"googleSearch":{}}],"continuationToken":"Y2g="})");
    const std::string body = encode(request).body;
    EXPECT_NE(body.find("1e400"), std::string::npos);
    EXPECT_NE(body.find(R"("temperature":0,"maxOutputTokens":5)"), std::string::npos);
    EXPECT_NE(
        body.find(R"("tools":[{"functionDeclarations":[{"name":"f"}]},{"googleSearch":{}}])"),
        std::string::npos
    );
    EXPECT_NE(body.find(R"("continuationToken":"Y2g=")"), std::string::npos);
    request.params.extra_body = RawJson("[1]");
    EXPECT_EQ(failure_of(request), Errc::invalid_argument);
}

TEST(GeminiRequestTest, ExtraHeadersReplaceOurs) {
    ChatRequest request("hi");
    request.params.extra_headers = {{"x-goog-api-key", "other"}, {"x-server-timeout", "2"}};
    const HttpRequest http = encode(request);
    EXPECT_EQ(http.headers.get_all("x-goog-api-key").size(), 1U);
    EXPECT_EQ(http.headers.get("x-goog-api-key"), "other");
    EXPECT_EQ(http.headers.get("x-server-timeout"), "2");
}

TEST(GeminiRequestTest, CountTokensIncludesSystemPromptToolsAndHostedTools) {
    ChatRequest request("hi");
    request.system = "s";
    request.params.temperature = 1;
    request.tools.emplace_back("f", "", RawJson());
    request.params.extra_body = RawJson(R"({"tools":[{"googleSearch":{}}]})");
    const HttpRequest http =
        codec().encode_count_tokens(request, endpoint_of("gemini-3.8-flash")).value();
    EXPECT_EQ(http.target, "/v1beta/models/gemini-3.8-flash:countTokens");
    EXPECT_EQ(parse_json(http.body), parse_json(R"({"generateContentRequest":{
        "model":"models/gemini-3.8-flash","systemInstruction":{"parts":[{"text":"s"}]},
        "tools":[{"functionDeclarations":[{"name":"f"}]},{"googleSearch":{}}],
        "contents":[{"role":"user","parts":[{"text":"hi"}]}]}})"));
}

TEST(GeminiRequestTest, EmbeddingsNeedAModelOfTheirOwn) {
    const EmbedRequest nameless({"a"});
    EXPECT_THROW(
        static_cast<void>(codec().encode_embeddings(nameless, endpoint_of("chats"))),
        LLMError
    );
    EXPECT_EQ(codec().embeddings_per_request(), 100U);
}

}  // namespace
}  // namespace llmproc
