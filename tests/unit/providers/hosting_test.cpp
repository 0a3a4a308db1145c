// The same protocols with the addresses and credentials of Azure and Google Cloud.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <string>

namespace llmproc {
namespace {

Endpoint azure(const std::string& base, const std::string& version = "") {
    Endpoint endpoint;
    endpoint.base_url = base;
    endpoint.model = "gpt-6-sol";
    endpoint.deployment = "team-a";
    endpoint.api_key = Secret("k");
    endpoint.api_version = version;
    endpoint.hosting = Hosting::azure;
    return endpoint;
}

Endpoint vertex() {
    Endpoint endpoint;
    endpoint.base_url = "https://h/v1/projects/p/locations/global";
    endpoint.model = "a-model@20261101";
    endpoint.api_key = Secret("t");
    endpoint.hosting = Hosting::vertex;
    return endpoint;
}

HttpRequest encode(
    const std::string& codec,
    const Endpoint& endpoint,
    const ChatRequest& request = ChatRequest("hi"),
    bool stream = false
) {
    EncodeCache cache;
    return find_codec(codec)->encode(request, endpoint, stream, cache);
}

Errc failure(const std::string& codec, const Endpoint& endpoint, const ChatRequest& request) {
    try {
        static_cast<void>(encode(codec, endpoint, request));
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc::internal;
}

TEST(AzureTest, TheFormOfTheAddressFollowsBaseAndVersion) {
    struct Row {
        const char* base;
        const char* version;
        const char* target;
    };
    const std::string older = "?api-version=2025-04-01-preview";
    const Row rows[]{
        {"https://r", "", "/openai/v1/chat/completions"},
        {"https://r/", "", "/openai/v1/chat/completions"},
        {"https://r/openai", "", "/openai/v1/chat/completions"},
        {"https://r/openai/v1", "", "/openai/v1/chat/completions"},
        {"https://r/openai/v1/", "preview", "/openai/v1/chat/completions?api-version=preview"},
        {"https://r",
         "2024-10-21",
         "/openai/deployments/team-a/chat/completions?api-version=2024-10-21"},
        {"https://r/openai",
         "2024-10-21",
         "/openai/deployments/team-a/chat/completions?api-version=2024-10-21"},
        {"https://gateway/a/b",
         "2024-10-21",
         "/a/b/deployments/team-a/chat/completions?api-version=2024-10-21"},
        {"https://r/openai/deployments/other",
         "2024-10-21",
         "/openai/deployments/other/chat/completions?api-version=2024-10-21"},
        {"https://gateway/a/b?tenant=7", "", "/a/b/chat/completions?tenant=7"},
    };
    for (const Row& row : rows) {
        const HttpRequest http = encode("openai_chat", azure(row.base, row.version));
        EXPECT_EQ(http.target, row.target);
        EXPECT_EQ(http.headers.get("api-key"), "k");
        EXPECT_FALSE(http.headers.contains("authorization"));
        EXPECT_EQ(parse_json(http.body).at("model"), "team-a");
    }
}

TEST(AzureTest, OnlyCallsOfAModelHaveTheDeploymentInTheirPath) {
    const Endpoint endpoint = azure("https://r", "2024-10-21");
    EXPECT_EQ(
        encode("openai_responses", endpoint).target,
        "/openai/responses?api-version=2024-10-21"
    );
    const Codec& chat = *find_codec("openai_chat");
    EXPECT_EQ(
        chat.encode_list_models(endpoint, "")->target,
        "/openai/models?api-version=2024-10-21"
    );
    const HttpRequest vectors =
        chat.encode_embeddings(EmbedRequest({"a"}, "team-a"), endpoint).value();
    EXPECT_EQ(vectors.target, "/openai/deployments/team-a/embeddings?api-version=2024-10-21");
    EXPECT_EQ(parse_json(vectors.body).at("model"), "team-a");
    EXPECT_EQ(
        find_codec("openai_responses")
            ->encode_count_tokens(ChatRequest("a"), azure("https://r"))
            ->target,
        "/openai/v1/responses/input_tokens"
    );
}

TEST(AzureTest, ARequestForAnotherModelNamesThatDeployment) {
    ChatRequest request("hi");
    request.model = "other";
    const HttpRequest http = encode("openai_chat", azure("https://r", "2024-10-21"), request);
    EXPECT_EQ(http.target, "/openai/deployments/other/chat/completions?api-version=2024-10-21");
    EXPECT_EQ(parse_json(http.body).at("model"), "other");
    for (const char* name : {"../x", "a?b", "a&b", "a b", "a#b"}) {
        request.model = name;
        EXPECT_EQ(
            failure("openai_chat", azure("https://r", "2024-10-21"), request),
            Errc::invalid_argument
        ) << name;
    }
    EXPECT_EQ(
        failure("openai_chat", azure("https://r", "1&x=y"), ChatRequest("hi")),
        Errc::invalid_argument
    );
}

TEST(VertexTest, ClaudeHasItsModelInThePathAndItsVersionInTheBody) {
    const HttpRequest http = encode("anthropic", vertex());
    const std::string folder = "/v1/projects/p/locations/global/publishers/anthropic/models/";
    EXPECT_EQ(http.target, folder + "a-model@20261101:rawPredict");
    EXPECT_EQ(http.headers.get("authorization"), "Bearer t");
    EXPECT_FALSE(http.headers.contains("x-api-key"));
    EXPECT_FALSE(http.headers.contains("anthropic-version"));
    EXPECT_EQ(
        http.body,
        R"({"anthropic_version":"vertex-2023-10-16","max_tokens":16384,)"
        R"("messages":[{"role":"user","content":"hi"}]})"
    );
    const HttpRequest streamed = encode("anthropic", vertex(), ChatRequest("hi"), true);
    EXPECT_EQ(streamed.target, folder + "a-model@20261101:streamRawPredict");
    EXPECT_EQ(parse_json(streamed.body).at("stream"), true);

    const HttpRequest count =
        find_codec("anthropic")->encode_count_tokens(ChatRequest("hi"), vertex()).value();
    EXPECT_EQ(count.target, folder + "count-tokens:rawPredict");
    EXPECT_EQ(parse_json(count.body).at("model"), "a-model@20261101");
    EXPECT_EQ(parse_json(count.body).at("anthropic_version"), "vertex-2023-10-16");
    EXPECT_FALSE(find_codec("anthropic")->encode_list_models(vertex(), "").has_value());
}

TEST(VertexTest, TheVersionDecidesAboutSamplingThereToo) {
    ChatRequest request("hi");
    request.params.temperature = 0.5;
    Endpoint endpoint = vertex();
    EXPECT_EQ(parse_json(encode("anthropic", endpoint, request).body).at("temperature"), 0.5);
    endpoint.api_version = "2023-06-01";
    const Json body = parse_json(encode("anthropic", endpoint, request).body);
    EXPECT_EQ(body.at("anthropic_version"), "2023-06-01");
    EXPECT_EQ(body.at("temperature"), 0.5);
    endpoint.api_version = "2026-10-21";
    EXPECT_EQ(failure("anthropic", endpoint, request), Errc::not_supported);
    request.params.temperature.reset();
    request.model = "../other";
    EXPECT_EQ(failure("anthropic", endpoint, request), Errc::invalid_argument);
}

TEST(VertexTest, GeminisModelsAreBelowTheirPublisher) {
    const std::string place = "/v1/projects/p/locations/global/";
    const auto target = [](const std::string& model) {
        ChatRequest request("hi");
        request.model = model;
        return encode("gemini", vertex(), request, true).target;
    };
    const std::string call = ":streamGenerateContent?alt=sse";
    EXPECT_EQ(target("m"), place + "publishers/google/models/m" + call);
    EXPECT_EQ(target("models/m"), place + "publishers/google/models/m" + call);
    EXPECT_EQ(target("publishers/meta/models/m"), place + "publishers/meta/models/m" + call);
    EXPECT_EQ(target("endpoints/77"), place + "endpoints/77" + call);
    ChatRequest bad("hi");
    bad.model = "publishers/../m";
    EXPECT_EQ(failure("gemini", vertex(), bad), Errc::invalid_argument);

    const HttpRequest http = encode("gemini", vertex());
    EXPECT_EQ(http.headers.get("authorization"), "Bearer t");
    EXPECT_FALSE(http.headers.contains("x-goog-api-key"));
    const Codec& gemini = *find_codec("gemini");
    EXPECT_FALSE(gemini.encode_list_models(vertex(), "").has_value());
    EXPECT_FALSE(gemini.encode_embeddings(EmbedRequest({"a"}, "m"), vertex()).has_value());
}

TEST(VertexTest, GeminiCountsSystemPromptAndToolsWithoutAWrapper) {
    ChatRequest request("hi");
    request.system = "s";
    const HttpRequest http = find_codec("gemini")->encode_count_tokens(request, vertex()).value();
    EXPECT_TRUE(http.target.ends_with("/publishers/google/models/a-model@20261101:countTokens"));
    EXPECT_EQ(parse_json(http.body), parse_json(R"({"systemInstruction":{"parts":[{"text":"s"}]},
        "contents":[{"role":"user","parts":[{"text":"hi"}]}]})"));
}

TEST(GeminiVersionTest, StandsInThePathUnlessTheBaseHasOne) {
    const auto target = [](const std::string& base, const std::string& version) {
        Endpoint endpoint;
        endpoint.base_url = base;
        endpoint.model = "m";
        endpoint.api_version = version;
        return encode("gemini", endpoint).target;
    };
    EXPECT_EQ(target("https://h", ""), "/v1beta/models/m:generateContent");
    EXPECT_EQ(target("https://h/", "v1"), "/v1/models/m:generateContent");
    EXPECT_EQ(target("https://h/proxy", "v1"), "/proxy/v1/models/m:generateContent");
    EXPECT_EQ(target("https://h/v1", "v1beta"), "/v1/models/m:generateContent");
    EXPECT_EQ(target("https://h/p/v1alpha?a=b", ""), "/p/v1alpha/models/m:generateContent?a=b");
    EXPECT_EQ(target("https://h/video", ""), "/video/v1beta/models/m:generateContent");
}

TEST(AnthropicVersionTest, TheEndpointsIsSentAndTheRequestsHeaderWins) {
    Endpoint endpoint;
    endpoint.base_url = "https://h";
    endpoint.model = "m";
    endpoint.api_version = "2023-06-01";
    ChatRequest request("hi");
    request.params.temperature = 1;
    const HttpRequest older = encode("anthropic", endpoint, request);
    EXPECT_EQ(older.headers.get("anthropic-version"), "2023-06-01");
    EXPECT_EQ(parse_json(older.body).at("temperature"), 1);
    request.params.extra_headers = {{"anthropic-version", "2026-10-21"}};
    EXPECT_EQ(failure("anthropic", endpoint, request), Errc::not_supported);
    request.params.temperature.reset();
    const HttpRequest newer = encode("anthropic", endpoint, request);
    EXPECT_EQ(newer.headers.get_all("anthropic-version").size(), 1U);
    EXPECT_EQ(newer.headers.get("anthropic-version"), "2026-10-21");
}

}  // namespace
}  // namespace llmproc
