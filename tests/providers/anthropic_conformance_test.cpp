// The recorded requests and small answers of Anthropic Messages.
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"
#include "providers/protocol_case.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing_cassettes::read_cassette;

const Codec& codec() {
    return *find_codec("anthropic");
}

Endpoint endpoint_of(const std::string& profile) {
    const ProviderProfile* row = find_profile(profile);
    Endpoint endpoint;
    endpoint.provider = row->name;
    endpoint.base_url = row->base_url;
    endpoint.model = "claude-opus-5-5";
    endpoint.api_key = Secret("sk-ant-wire");
    endpoint.quirks = row->quirks;
    return endpoint;
}

Json recorded(const std::string& name) {
    return parse_json(read_cassette("anthropic", "sdk-requests.json")).at(name);
}

/// Line, body and the headers that mean something to the server; the key goes in its own header.
void expect_recorded(const HttpRequest& http, const Json& wanted) {
    EXPECT_EQ(http.method, wanted.at("method").get<std::string>());
    EXPECT_EQ(http.target, wanted.at("url").get<std::string>());
    EXPECT_EQ(parse_json(http.body), wanted.at("body"));
    for (const char* name : {"accept", "content-type", "anthropic-version"}) {
        EXPECT_EQ(http.headers.get(name), wanted.at("headers").at(name).get<std::string>()) << name;
    }
}

// --- requests ------------------------------------------------------------------------------------

TEST(AnthropicRequestConformanceTest, PlainRequestsAreTheRecordedOnes) {
    ChatRequest request("hi");
    request.params.max_tokens = 64;
    const Endpoint endpoint = endpoint_of("claude");
    EncodeCache cache;
    const HttpRequest plain = codec().encode(request, endpoint, false, cache);
    expect_recorded(plain, recorded("anthropic messages"));
    EXPECT_EQ(plain.headers.get("x-api-key"), "sk-ant-wire");
    EXPECT_FALSE(plain.headers.contains("authorization"));
    expect_recorded(
        codec().encode(request, endpoint, true, cache),
        recorded("anthropic messages stream")
    );
    expect_recorded(
        codec().encode_count_tokens(request, endpoint).value(),
        recorded("anthropic count tokens")
    );
    Endpoint proxy = endpoint;
    proxy.base_url = "https://gateway.example/proxy";
    expect_recorded(
        codec().encode(request, proxy, false, cache),
        recorded("anthropic base URL with a path")
    );
}

TEST(AnthropicRequestConformanceTest, ABearerTokenOrBetasReplaceOrJoinTheHeaders) {
    ChatRequest request("hi");
    request.params.max_tokens = 64;
    const std::string betas = "interleaved-thinking-2025-05-14,context-1m-2025-08-07";
    request.params.extra_headers = {{"Authorization", "Bearer tok"}, {"anthropic-beta", betas}};
    EncodeCache cache;
    const HttpRequest http = codec().encode(request, endpoint_of("anthropic"), false, cache);
    expect_recorded(http, recorded("anthropic authToken"));
    EXPECT_EQ(http.headers.get("authorization"), "Bearer tok");
    EXPECT_FALSE(http.headers.contains("x-api-key"));
    EXPECT_EQ(
        http.headers.get("anthropic-beta"),
        recorded("anthropic beta").at("headers").at("anthropic-beta").get<std::string>()
    );
}

TEST(AnthropicRequestConformanceTest, CountingTakesTheSameConversationWithoutSettings) {
    Json golden = parse_json(read_cassette("anthropic", "anthropic-request-toolround.json"));
    golden.erase("max_tokens");
    golden.erase("stream");
    ChatRequest request = testing_cassettes::anthropic_case().tool_round();
    request.params.temperature = 1;
    request.params.stop = {"x"};
    request.params.extra_body = RawJson(
        R"({"thinking":{"type":"adaptive","display":"summarized"},"metadata":{"user_id":"u"}})"
    );
    const auto http = codec().encode_count_tokens(request, endpoint_of("anthropic"));
    EXPECT_EQ(parse_json(http.value().body), golden);
}

// --- small endpoints -----------------------------------------------------------------------------

TEST(AnthropicListConformanceTest, TokenCountAndModels) {
    HttpResponse count(200);
    count.body = read_cassette("anthropic", "anthropic-count-tokens.json");
    const TokenCount tokens = codec().decode_count_tokens(count);
    EXPECT_EQ(tokens.input_tokens, 403);
    EXPECT_TRUE(tokens.exact);
    EXPECT_EQ(tokens.source, TokenSource::provider);

    const auto http = codec().encode_list_models(endpoint_of("anthropic"), "");
    EXPECT_EQ(http.value().method, "GET");
    EXPECT_EQ(http.value().target, "/v1/models?limit=1000");
    EXPECT_EQ(http.value().headers.get("x-api-key"), "sk-ant-wire");
    EXPECT_EQ(http.value().headers.get("anthropic-version"), "2026-10-21");
    HttpResponse models(200);
    models.body = read_cassette("anthropic", "anthropic-models.json");
    const ModelPage page = codec().decode_list_models(models);
    EXPECT_EQ(page.models, std::vector<std::string>{"claude-opus-5-5"});
    EXPECT_EQ(page.next, "");
    EXPECT_EQ(
        codec().encode_list_models(endpoint_of("anthropic"), "claude-opus-5-5").value().target,
        "/v1/models?limit=1000&after_id=claude-opus-5-5"
    );
}

}  // namespace
}  // namespace llmproc
