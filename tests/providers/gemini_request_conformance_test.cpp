// The requests are the recorded ones, and every recorded error body becomes its code.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/gemini_cassette.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <ostream>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing_cassettes::gemini;
using testing_cassettes::gemini_cassette;
using testing_cassettes::gemini_endpoint;
using testing_cassettes::test_name;

// --- requests ------------------------------------------------------------------------------------

ChatRequest tool_round() {
    ChatRequest request;
    request.system = "Answer briefly.";
    request.params.max_tokens = 512;
    request.params.reasoning_effort = "low";
    request.params.extra_body = RawJson(
        R"({"generationConfig":{"thinkingConfig":{"includeThoughts":true}}})"
    );
    request.tool_choice = ToolChoice(ToolChoice::Mode::automatic);
    const ImageBlock image(MediaSource::base64("iVBORw0KGgo=", "image/png"));
    request.add(Message::user(std::vector<ContentBlock>{TextBlock("Weather here?"), image}));
    HttpResponse response(200);
    response.body = gemini_cassette("gemini-response-tools.json");
    request.add(gemini().decode(response).message);
    // In the wrong order, and in two messages: one content in the order of the calls.
    request.add(Message::tool_results({ToolResultBlock("fc-wire-b", "database unavailable", true)})
    );
    request.add(Message::tool_results({ToolResultBlock(
        "fc-wire-a",
        std::vector<ToolResultContent>{TextBlock(R"({"temp_c":24})"), image}
    )}));
    const Json golden = parse_json(gemini_cassette("gemini-request-toolround.json"));
    for (const Json& tool : golden.at("tools").at(0).at("functionDeclarations")) {
        request.tools.emplace_back(
            tool.at("name").get<std::string>(),
            tool.at("description").get<std::string>(),
            RawJson::from(tool.value("parametersJsonSchema", Json()))
        );
    }
    return request;
}

TEST(GeminiRequestConformanceTest, TheToolRoundIsTheRecordedOne) {
    EncodeCache cache;
    const ChatRequest request = tool_round();
    const Endpoint endpoint = gemini_endpoint("gemini-3.8-flash");
    for (int turn = 0; turn < 2; ++turn) {  // the second time from the cache
        const HttpRequest http = gemini().encode(request, endpoint, false, cache);
        EXPECT_EQ(
            parse_json(http.body),
            parse_json(gemini_cassette("gemini-request-toolround.json"))
        );
        EXPECT_EQ(cache.size(), 4U);
    }
}

class GeminiSdkRequestTest : public testing::TestWithParam<std::string> {
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
    testing::Values("gemini generate", "gemini stream", "gemini count tokens"),
    test_name
);

// --- small endpoints -----------------------------------------------------------------------------

TEST(GeminiListConformanceTest, ModelsEmbeddingsAndTokenCount) {
    HttpResponse response(200);
    response.body = gemini_cassette("gemini-models.json");
    EXPECT_EQ(gemini().decode_list_models(response), std::vector<std::string>{"gemini-3.8-flash"});
    response.body = gemini_cassette("gemini-embeddings.json");
    const std::vector<std::vector<float>> vectors{{0.25F, -0.5F, 1.0F}, {0.0F, 0.125F, -2.0F}};
    EXPECT_EQ(gemini().decode_embeddings(response), vectors);
    response.body = gemini_cassette("gemini-count-tokens.json");
    const TokenCount count = gemini().decode_count_tokens(response);
    EXPECT_EQ(count.input_tokens, 31);
    EXPECT_TRUE(count.exact);
    EXPECT_EQ(count.source, TokenSource::provider);
}

TEST(GeminiListConformanceTest, TheirRequests) {
    const Json recorded = parse_json(gemini_cassette("sdk-requests.json"));
    const Endpoint endpoint = gemini_endpoint("gemini-embedding-001");
    const HttpRequest models = gemini().encode_list_models(endpoint).value();
    EXPECT_EQ(models.method, "GET");
    EXPECT_EQ(models.target, "/v1/models?pageSize=1000");
    EXPECT_EQ(models.headers.get("x-goog-api-key"), "wire-key");
    const HttpRequest embed = gemini().encode_embeddings({"a", "b"}, endpoint).value();
    EXPECT_EQ(embed.target, recorded.at("gemini embed").at("url").get<std::string>());
    Json wanted = recorded.at("gemini embed").at("body");
    for (Json& item : wanted.at("requests")) {  // options that only the recorded call had
        item.erase("taskType");
        item.erase("outputDimensionality");
        item.at("content").erase("role");
    }
    EXPECT_EQ(parse_json(embed.body), wanted);
}

// --- errors --------------------------------------------------------------------------------------

struct ErrorCase {
    std::string file;
    Errc code;
    bool retryable;
    std::string words;  ///< Part of the provider's message.
};

void PrintTo(const ErrorCase& error, std::ostream* out) {
    *out << error.file;
}

class GeminiErrorConformanceTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(GeminiErrorConformanceTest, HasItsCodeConditionAndDiagnostics) {
    using testing_cassettes::read_cassette;
    const ErrorCase& wanted = GetParam();
    const Json index = parse_json(read_cassette("errors.index.json")).at(wanted.file);
    HttpResponse response(index.at("status").get<int>());
    for (const auto& [name, value] : index.at("headers").items()) {
        response.headers.add(name, value.get<std::string>());
    }
    response.body = read_cassette(wanted.file);
    const LLMError error = gemini().decode_error(response);
    EXPECT_EQ(error.errc(), wanted.code) << error.what();
    EXPECT_EQ(error.code() == make_error_condition(Condition::retryable), wanted.retryable);
    EXPECT_EQ(error.diagnostics().status, response.status);
    EXPECT_NE(error.diagnostics().provider_message.find(wanted.words), std::string::npos);
    EXPECT_NE(error.message().find(std::to_string(response.status)), std::string::npos);
    EXPECT_NE(error.message().find(wanted.words), std::string::npos);
}

std::string error_case_name(const testing::TestParamInfo<ErrorCase>& error) {
    return testing_cassettes::name_of(error.param.file);
}

INSTANTIATE_TEST_SUITE_P(
    Gemini,
    GeminiErrorConformanceTest,
    testing::Values(
        ErrorCase{"errors-gemini-400.json", Errc::invalid_request, false, "thought_signature"},
        ErrorCase{"errors-gemini-400-key.json", Errc::authentication_failed, false, "API key not"},
        ErrorCase{"errors-gemini-429.json", Errc::rate_limited, true, "exceeded your current"},
        ErrorCase{"errors-gemini-503.json", Errc::overloaded, true, "overloaded"},
        ErrorCase{"errors-html-502.html", Errc::server_error, true, "502 Bad Gateway"}
    ),
    error_case_name
);

TEST(GeminiErrorConformanceTest, TheWaitHintComesFromTheBody) {
    HttpResponse response(429);
    response.body = testing_cassettes::read_cassette("errors-gemini-429.json");
    EXPECT_EQ(
        gemini().decode_error(response).diagnostics().retry_after,
        std::chrono::milliseconds(3200)
    );
}

}  // namespace
}  // namespace llmproc
