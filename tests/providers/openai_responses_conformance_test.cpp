// The recorded requests and small answers of OpenAI Responses.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"
#include "providers/protocol_case.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

const Codec& responses() {
    return *find_codec("openai_responses");
}

std::string cassette(const std::string& name) {
    return testing_cassettes::read_cassette("openai_responses", name);
}

Endpoint openai() {
    Endpoint endpoint = testing_cassettes::openai_responses_case().endpoint;
    endpoint.api_key = Secret("sk-wire");
    return endpoint;
}

TEST(ResponsesErrorConformanceTest, Trap5_TheFailedResponseAsAWholeAnswerIsTheSameError) {
    HttpResponse response(200);
    response.headers.add("x-request-id", "req_5");
    response.body = cassette("openai-responses-stream-failed.expected.json");
    try {
        static_cast<void>(responses().decode(response));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::server_error);
        EXPECT_EQ(error.diagnostics().request_id, "req_5");
    }
}

TEST(ResponsesRequestConformanceTest, GoesWhereTheOfficialSdkGoes) {
    const Json recorded = parse_json(cassette("sdk-requests.json"));
    EncodeCache cache;
    const ChatRequest request("hi");
    const HttpRequest run = responses().encode(request, openai(), false, cache);
    const HttpRequest count = responses().encode_count_tokens(request, openai()).value();
    const std::vector<std::pair<std::string, const HttpRequest*>> both{
        {"openai responses", &run},
        {"openai input tokens", &count}};
    for (const auto& [name, http] : both) {
        const Json& wanted = recorded.at(name);
        EXPECT_EQ(http->method, wanted.at("method").get<std::string>());
        EXPECT_EQ(http->target, wanted.at("url").get<std::string>());
        for (const char* header : {"accept", "authorization", "content-type"}) {
            EXPECT_EQ(
                http->headers.get(header),
                wanted.at("headers").at(header).get<std::string>()
            );
        }
        const Json body = parse_json(http->body);
        EXPECT_EQ(body.at("model"), wanted.at("body").at("model"));
        // A text as input is short for one message of the user.
        ASSERT_EQ(body.at("input").size(), 1U);
        EXPECT_EQ(body.at("input").at(0).at("role"), "user");
        EXPECT_EQ(body.at("input").at(0).at("content"), wanted.at("body").at("input"));
    }
    EXPECT_EQ(parse_json(count.body).size(), 2U);
}

TEST(ResponsesListConformanceTest, CountsModelsAndEmbeddings) {
    HttpResponse count(200);
    count.body = cassette("openai-responses-input-tokens.json");
    const TokenCount tokens = responses().decode_count_tokens(count);
    EXPECT_EQ(tokens.input_tokens, 77);
    EXPECT_TRUE(tokens.exact);
    EXPECT_EQ(tokens.source, TokenSource::provider);
    HttpResponse models(200);
    models.body = testing_cassettes::read_cassette("openai-models.json");
    EXPECT_EQ(responses().decode_list_models(models).models.size(), 2U);
    EXPECT_EQ(responses().encode_list_models(openai(), "")->target, "/v1/models");
    HttpResponse embeddings(200);
    embeddings.body = testing_cassettes::read_cassette("openai-embeddings.json");
    EXPECT_EQ(responses().decode_embeddings(embeddings).vectors.size(), 2U);
    EXPECT_EQ(responses().embeddings_per_request(), 2048U);
    const HttpRequest embed =
        responses().encode_embeddings(EmbedRequest({"a"}, "m"), openai()).value();
    EXPECT_EQ(embed.target, "/v1/embeddings");
}

}  // namespace
}  // namespace llmproc
