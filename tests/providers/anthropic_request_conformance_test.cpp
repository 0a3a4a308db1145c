// The requests of Anthropic Messages as recorded, and the errors and small answers.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"

#include <gtest/gtest.h>

#include <chrono>
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

ChatRequest tool_round() {
    const Json golden = parse_json(read_cassette("anthropic", "anthropic-request-toolround.json"));
    ChatRequest request;
    request.params.max_tokens = 2048;
    request.params.reasoning_effort = "medium";
    request.params.extra_body = RawJson(R"({"thinking":{"type":"adaptive","display":"summarized"}})"
    );
    request.parallel_tool_calls = true;
    request.tool_choice = ToolChoice(ToolChoice::Mode::automatic);
    const ImageBlock image(MediaSource::base64("iVBORw0KGgo=", "image/png"));
    request.add(Message(
        Role::system,
        std::vector<ContentBlock>{
            UnknownBlock("anthropic", RawJson::from(golden.at("system").at(0)))}
    ));
    request.add(Message::user(std::vector<ContentBlock>{image, TextBlock("Weather here?")}));
    request.add(Message(
        Role::assistant,
        std::vector<ContentBlock>{
            ThinkingBlock("Need the weather tool.", "EqQBwire-signature=="),
            RedactedThinkingBlock("EmwKwire-redacted=="),
            TextBlock("Let me check."),
            ToolCallBlock("toolu_wireA", "get_weather", R"({"city":"Lisbon","unit":"c"})"),
            ToolCallBlock("toolu_wireB", "list_cities", "")}
    ));
    request.add(Message::tool_results({ToolResultBlock(
        "toolu_wireA",
        std::vector<ToolResultContent>{TextBlock("24 \xc2\xb0\x43"), image}
    )}));
    request.add(Message::user("Carry on."));
    request.add(Message::tool_results({ToolResultBlock("toolu_wireB", "database unavailable", true)}
    ));
    for (const Json& tool : golden.at("tools")) {
        const bool empty = tool.at("input_schema").at("properties").empty();
        ToolSpec& spec = request.tools.emplace_back(
            tool.at("name").get<std::string>(),
            tool.at("description").get<std::string>(),
            empty ? RawJson() : RawJson::from(tool.at("input_schema"))
        );
        if (tool.contains("strict")) {
            spec.strict = tool.at("strict").get<bool>();
        }
    }
    return request;
}

// Results of two messages, with a text between: still one user message, the results first.
TEST(AnthropicRequestConformanceTest, Trap6_TheToolRoundIsTheRecordedOne) {
    EncodeCache cache;
    const ChatRequest request = tool_round();
    const Json golden = parse_json(read_cassette("anthropic", "anthropic-request-toolround.json"));
    for (int turn = 0; turn < 2; ++turn) {  // the second time from the cache
        const HttpRequest http = codec().encode(request, endpoint_of("anthropic"), true, cache);
        EXPECT_EQ(parse_json(http.body), golden);
        EXPECT_EQ(cache.size(), 6U);
    }
}

TEST(AnthropicRequestConformanceTest, CountingTakesTheSameConversationWithoutSettings) {
    Json golden = parse_json(read_cassette("anthropic", "anthropic-request-toolround.json"));
    golden.erase("max_tokens");
    golden.erase("stream");
    ChatRequest request = tool_round();
    request.params.temperature = 1;
    request.params.stop = {"x"};
    request.params.extra_body = RawJson(
        R"({"thinking":{"type":"adaptive","display":"summarized"},"metadata":{"user_id":"u"}})"
    );
    const auto http = codec().encode_count_tokens(request, endpoint_of("anthropic"));
    EXPECT_EQ(parse_json(http.value().body), golden);
}

// --- errors --------------------------------------------------------------------------------------

struct ErrorCase {
    std::string file;
    Errc code;
    Condition condition;
    std::string word;  ///< The provider's type, or its code where there is one.
};

void PrintTo(const ErrorCase& error, std::ostream* out) {
    *out << error.file;
}

class AnthropicErrorConformanceTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(AnthropicErrorConformanceTest, HasItsCodeConditionAndDiagnostics) {
    const ErrorCase& wanted = GetParam();
    const Json index = parse_json(read_cassette("errors.index.json")).at(wanted.file);
    HttpResponse response(index.at("status").get<int>());
    for (const auto& [name, value] : index.at("headers").items()) {
        response.headers.add(name, value.get<std::string>());
    }
    response.body = read_cassette(wanted.file);
    const Json body = parse_json(response.body);
    const LLMError error = codec().decode_error(response);
    const Diagnostics& known = error.diagnostics();
    EXPECT_EQ(error.errc(), wanted.code) << error.what();
    EXPECT_TRUE(error.code() == make_error_condition(wanted.condition));
    const bool retried = index.at("note") == "retried";
    EXPECT_EQ(error.code() == make_error_condition(Condition::retryable), retried);
    EXPECT_EQ(known.status, response.status);
    EXPECT_EQ(known.provider_message, body.at("error").at("message").get<std::string>());
    EXPECT_EQ(known.provider_type, body.at("error").at("type").get<std::string>());
    EXPECT_EQ(known.provider_code.empty() ? known.provider_type : known.provider_code, wanted.word);
    EXPECT_EQ(known.request_id, body.at("request_id").get<std::string>());
    EXPECT_NE(error.message().find(wanted.word), std::string::npos);
    if (response.headers.contains("retry-after")) {
        EXPECT_EQ(known.retry_after, std::chrono::seconds(1));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Anthropic,
    AnthropicErrorConformanceTest,
    testing::Values(
        ErrorCase{
            "errors-anthropic-400.json",
            Errc::invalid_request,
            Condition::invalid_request,
            "invalid_request_error"},
        ErrorCase{
            "errors-anthropic-400-code.json",
            Errc::invalid_request,
            Condition::invalid_request,
            "tool_name_conflict"},
        ErrorCase{
            "errors-anthropic-401.json",
            Errc::authentication_failed,
            Condition::authentication,
            "authentication_error"},
        ErrorCase{
            "errors-anthropic-413.json",
            Errc::request_too_large,
            Condition::invalid_request,
            "request_too_large"},
        ErrorCase{
            "errors-anthropic-429.json",
            Errc::rate_limited,
            Condition::rate_limited,
            "rate_limit_error"},
        ErrorCase{
            "errors-anthropic-529.json",
            Errc::overloaded,
            Condition::retryable,
            "overloaded_error"}
    ),
    [](const testing::TestParamInfo<ErrorCase>& error) {
        return testing_cassettes::name_of(error.param.file);
    }
);

// --- small endpoints -----------------------------------------------------------------------------

TEST(AnthropicListConformanceTest, TokenCountAndModels) {
    HttpResponse count(200);
    count.body = read_cassette("anthropic", "anthropic-count-tokens.json");
    const TokenCount tokens = codec().decode_count_tokens(count);
    EXPECT_EQ(tokens.input_tokens, 403);
    EXPECT_TRUE(tokens.exact);
    EXPECT_EQ(tokens.source, TokenSource::provider);

    const auto http = codec().encode_list_models(endpoint_of("anthropic"));
    EXPECT_EQ(http.value().method, "GET");
    EXPECT_EQ(http.value().target, "/v1/models?limit=1000");
    EXPECT_EQ(http.value().headers.get("x-api-key"), "sk-ant-wire");
    EXPECT_EQ(http.value().headers.get("anthropic-version"), "2026-10-21");
    HttpResponse models(200);
    models.body = read_cassette("anthropic", "anthropic-models.json");
    EXPECT_EQ(codec().decode_list_models(models), std::vector<std::string>{"claude-opus-5-5"});
}

}  // namespace
}  // namespace llmproc
