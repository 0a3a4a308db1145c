// The recorded requests and small answers of OpenAI Chat.
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

using testing_cassettes::codec;
using testing_cassettes::read_cassette;

Endpoint endpoint_of(const std::string& model) {
    Endpoint endpoint = testing_cassettes::openai_chat_case().endpoint;
    endpoint.model = model;
    endpoint.api_key = Secret("sk-wire");
    return endpoint;
}

TEST(OpenAiChatRequestConformanceTest, GoesWhereTheOfficialSdkGoes) {
    const Json recorded = parse_json(read_cassette("sdk-requests.json"));
    EncodeCache cache;
    const HttpRequest run =
        codec().encode(ChatRequest("hi"), endpoint_of("gpt-6-luna"), true, cache);
    const HttpRequest embed =
        codec()
            .encode_embeddings(EmbedRequest({"a"}, "text-embedding-3-small"), endpoint_of("chats"))
            .value();
    const std::vector<std::pair<std::string, const HttpRequest*>> both{
        {"openai chat stream", &run},
        {"openai embeddings default", &embed}};
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
    }
    EXPECT_EQ(parse_json(run.body), recorded.at("openai chat stream").at("body"));
    EXPECT_EQ(parse_json(embed.body).at("model"), "text-embedding-3-small");
    const HttpRequest models = codec().encode_list_models(endpoint_of(""), "").value();
    EXPECT_EQ(models.method, recorded.at("openai org project").at("method").get<std::string>());
    EXPECT_EQ(models.target, recorded.at("openai org project").at("url").get<std::string>());
}

TEST(OpenAiChatListConformanceTest, ModelsAndBothFormsOfEmbeddings) {
    HttpResponse models(200);
    models.body = read_cassette("openai-models.json");
    const ModelPage page = codec().decode_list_models(models);
    EXPECT_EQ(page.models, (std::vector<std::string>{"gpt-6-luna", "text-embedding-3-small"}));
    EXPECT_EQ(page.next, "");
    const std::vector<std::vector<float>> vectors{{0.25F, -0.5F, 1.0F}, {0.0F, 0.125F, -2.0F}};
    for (const char* file : {"openai-embeddings.json", "openai-embeddings-base64.json"}) {
        HttpResponse embeddings(200);
        embeddings.body = read_cassette(file);
        const Embeddings result = codec().decode_embeddings(embeddings);
        EXPECT_EQ(result.vectors, vectors) << file;
        EXPECT_EQ(result.model, "text-embedding-3-small");
        EXPECT_EQ(result.usage.input_tokens, 5);
        EXPECT_EQ(result.usage.total_tokens, 5);
    }
}

}  // namespace
}  // namespace llmproc
