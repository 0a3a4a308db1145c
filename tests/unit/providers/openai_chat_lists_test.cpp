#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

const Codec& codec() {
    return *find_codec("openai_chat");
}

Endpoint endpoint() {
    Endpoint to;
    to.base_url = "https://h/v1";
    to.model = "chats";
    return to;
}

ModelPage models(const std::string& body, const char* protocol = "openai_chat") {
    HttpResponse response(200);
    response.body = body;
    return find_codec(protocol)->decode_list_models(response);
}

Embeddings embeddings(const std::string& body) {
    HttpResponse response(200);
    response.body = body;
    return codec().decode_embeddings(response);
}

TEST(OpenAiChatListsTest, APageNamesTheOneBehindIt) {
    const std::string data = R"("data":[{"id":"a"},{"object":"model","id":"b"}])";
    EXPECT_EQ(models("{" + data + "}").next, "");
    EXPECT_EQ(models("{" + data + R"(,"has_more":false,"last_id":"b"})").next, "");
    EXPECT_EQ(models("{" + data + R"(,"has_more":true})").next, "b");
    EXPECT_EQ(models(R"({"has_more":true,"last_id":"x",)" + data + "}").next, "x");
    EXPECT_EQ(models(R"({"has_more":true,"last_id":null,)" + data + "}", "anthropic").next, "b");
    EXPECT_EQ(models(R"({"has_more":"yes",)" + data + "}").next, "");
    // Nothing to go on from: it would be the same page for ever.
    EXPECT_EQ(models(R"({"data":[],"has_more":true,"last_id":"x"})").next, "");
    EXPECT_EQ(codec().encode_list_models(endpoint(), "").value().target, "/v1/models");
    EXPECT_EQ(
        codec().encode_list_models(endpoint(), "a/b c").value().target,
        "/v1/models?after=a%2Fb%20c"
    );
}

TEST(OpenAiChatListsTest, EmbeddingsNameTheirModelAndLength) {
    EmbedRequest request({"a \"quoted\" text", ""}, "embeds");
    const auto body = [&] {
        return parse_json(codec().encode_embeddings(request, endpoint()).value().body);
    };
    EXPECT_EQ(
        body(),
        parse_json(
            R"({"model":"embeds","input":["a \"quoted\" text",""],"encoding_format":"float"})"
        )
    );
    request.dimensions = 256;
    EXPECT_EQ(body().at("dimensions"), 256);
    EXPECT_EQ(codec().embeddings_per_request(), 2048U);
}

TEST(OpenAiChatListsTest, EmbeddingsComeInTheOrderOfTheTexts) {
    const Embeddings result = embeddings(
        R"({"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":"AACAPw=="}],)"
        R"("usage":{"prompt_tokens":7,"total_tokens":7},"model":"m"})"
    );
    EXPECT_EQ(result.vectors, (std::vector<std::vector<float>>{{1.0F}, {2.0F}}));
    EXPECT_EQ(result.usage.total_tokens, 7);
    EXPECT_TRUE(result.usage.reported);
    EXPECT_EQ(result.model, "m");
    // Compatible servers say less, or nothing by null.
    EXPECT_TRUE(embeddings(R"({"data":null,"usage":null,"error":null})").vectors.empty());
    EXPECT_TRUE(models(R"({"data":null})").models.empty());
    const Embeddings bare = embeddings(R"({"data":[{"embedding":[1]},{"embedding":[2]}]})");
    EXPECT_EQ(bare.vectors, (std::vector<std::vector<float>>{{1.0F}, {2.0F}}));
    EXPECT_FALSE(bare.usage.reported);
    EXPECT_EQ(bare.model, "");
}

TEST(OpenAiChatListsTest, WhatIsNoListIsMalformed) {
    for (const char* const body :
         {"",
          "{}",
          "[]",
          R"({"data":[{}]})",
          R"({"data":[{"embedding":[1,"x"]}]})",
          R"({"data":[{"embedding":"AAA="}]})",
          R"({"data":[{"index":"0","embedding":[1]}]})"}) {
        try {
            static_cast<void>(embeddings(body));
            ADD_FAILURE() << body;
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::malformed_response) << body;
        }
    }
    try {
        static_cast<void>(models(R"({"error":{"message":"no","type":"server_error"}})"));
        ADD_FAILURE();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::server_error);
    }
}

}  // namespace
}  // namespace llmproc
