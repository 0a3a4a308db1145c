// The recorded requests and small answers of Gemini.
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/codec_checks.hpp"
#include "providers/gemini_cassette.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

using providers::StreamDriver;
using testing_cassettes::gemini;
using testing_cassettes::gemini_cassette;
using testing_cassettes::gemini_endpoint;
using testing_cassettes::Meaning;
using testing_cassettes::meaning_of;
using testing_cassettes::test_name;

// --- requests ------------------------------------------------------------------------------------

class GeminiSdkRequestTest : public ::testing::TestWithParam<std::string> {
protected:
    Json recorded_ = parse_json(gemini_cassette("sdk-requests.json")).at(GetParam());

    void expect_same(const HttpRequest& http) {
        EXPECT_EQ(http.method, recorded_.at("method").get<std::string>());
        EXPECT_EQ(http.target, recorded_.at("url").get<std::string>());
        EXPECT_EQ(http.headers.get("x-goog-api-key"), "wire-key");
        EXPECT_FALSE(http.headers.contains("authorization"));
        EXPECT_EQ(http.headers.get("content-type"), "application/json");
        EXPECT_EQ(parse_json(http.body), recorded_.at("body"));
    }
};

TEST_P(GeminiSdkRequestTest, IsWhatTheOfficialSdkSends) {
    ChatRequest request("hi");
    const Endpoint endpoint = gemini_endpoint("gemini-3.8-flash");
    EncodeCache cache;
    if (GetParam() == "gemini count tokens") {
        expect_same(gemini().encode_count_tokens(request, endpoint).value());
        return;
    }
    if (GetParam() == "gemini generate") {
        request.system = "Be brief";
        request.tools.emplace_back("f", "", RawJson(R"({"type":"object"})"));
        request.tool_choice = ToolChoice::tool("f");
        request.params.temperature = 0.1;
        request.params.max_tokens = 9;
        request.params.stop = {"X"};
        request.params.seed = 7;
        request.params.reasoning_effort = "LOW";
        request.params.response_schema = RawJson(R"({"type":"object"})");
        request.params.extra_body = RawJson(R"({"serviceTier":"flex",
            "systemInstruction":{"role":"user"},"cachedContent":"cachedContents/abc",
            "safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}],
            "generationConfig":{"thinkingConfig":{"includeThoughts":true}}})");
    }
    expect_same(gemini().encode(request, endpoint, GetParam() == "gemini stream", cache));
}

INSTANTIATE_TEST_SUITE_P(
    Gemini,
    GeminiSdkRequestTest,
    ::testing::Values("gemini generate", "gemini stream", "gemini count tokens"),
    test_name
);

// --- small endpoints -----------------------------------------------------------------------------

TEST(GeminiListConformanceTest, ModelsEmbeddingsAndTokenCount) {
    HttpResponse response(200);
    response.body = gemini_cassette("gemini-models.json");
    const ModelPage page = gemini().decode_list_models(response);
    EXPECT_EQ(page.models, std::vector<std::string>{"gemini-3.8-flash"});
    EXPECT_EQ(page.next, "wire-page-2");
    response.body = gemini_cassette("gemini-embeddings.json");
    const std::vector<std::vector<float>> vectors{{0.25F, -0.5F, 1.0F}, {0.0F, 0.125F, -2.0F}};
    EXPECT_EQ(gemini().decode_embeddings(response).vectors, vectors);
    response.body = gemini_cassette("gemini-count-tokens.json");
    const TokenCount count = gemini().decode_count_tokens(response);
    EXPECT_EQ(count.input_tokens, 31);
    EXPECT_TRUE(count.exact);
    EXPECT_EQ(count.source, TokenSource::provider);
}

TEST(GeminiListConformanceTest, TheirRequests) {
    const Json recorded = parse_json(gemini_cassette("sdk-requests.json"));
    const Endpoint endpoint = gemini_endpoint("gemini-3.8-flash");
    const HttpRequest models = gemini().encode_list_models(endpoint, "").value();
    EXPECT_EQ(models.method, "GET");
    EXPECT_EQ(models.target, "/v1/models?pageSize=1000");
    EXPECT_EQ(models.headers.get("x-goog-api-key"), "wire-key");
    EXPECT_EQ(
        gemini().encode_list_models(endpoint, "a&b=").value().target,
        "/v1/models?pageSize=1000&pageToken=a%26b%3D"
    );
    EmbedRequest request({"a", "b"}, "gemini-embedding-001");
    request.dimensions = 3;
    const HttpRequest embed = gemini().encode_embeddings(request, endpoint).value();
    EXPECT_EQ(embed.target, recorded.at("gemini embed").at("url").get<std::string>());
    Json wanted = recorded.at("gemini embed").at("body");
    for (Json& item : wanted.at("requests")) {  // options that only the recorded call had
        item.erase("taskType");
        item.at("content").erase("role");
    }
    EXPECT_EQ(parse_json(embed.body), wanted);
}

TEST(GeminiStreamConformanceTest, AContinuationIsShownAsTheProvidersExtra) {
    const std::string body = gemini_cassette("gemini-stream-continuation-1.sse");
    StreamDriver driver(gemini().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body, events);
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events.back().type, StreamEvent::Type::other);
    EXPECT_EQ(events.back().data, R"({"continuationToken":"Y2hlY2twb2ludC0y"})");
}

TEST(GeminiStreamConformanceTest, TheContinuedStreamIsAnAnswerOfItsOwn) {
    const std::string body = gemini_cassette("gemini-stream-continuation-2.sse");
    const Meaning meaning = meaning_of(testing_cassettes::decode_pieces(gemini(), {body}));
    EXPECT_EQ(meaning.text, " Second half.");
    EXPECT_EQ(meaning.stop_reason, StopReason::end_turn);
}

}  // namespace
}  // namespace llmproc
