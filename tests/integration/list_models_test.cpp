// Lists of models through a whole process, with every protocol.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "integration/provider_operations_support.hpp"
#include "providers/cassette.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {
namespace {

using testing_cassettes::read_cassette;

class ListModelsTest : public ProviderOperationsTest {};

TEST_F(ListModelsTest, ListsModelsOfOpenAi) {
    const std::vector<std::pair<const char*, const char*>> lists = {
        {"openai_chat", "openai-models.json"},
        {"openai_responses", "openai-models.json"},
    };
    for (const auto& [provider, cassette] : lists) {
        server.push(Reply::json(read_cassette(cassette)));
        SyncLLMProcess process = program(provider).start_sync();
        EXPECT_EQ(process.list_models(), (Names{"gpt-6-luna", "text-embedding-3-small"}));
        EXPECT_EQ(targets().back(), "GET /v1/models");
    }
}

TEST_F(ListModelsTest, FollowsAnthropicsPages) {
    server.push(Reply::json(
        R"({"data":[{"id":"a"},{"id":"b"}],"first_id":"a","last_id":"b","has_more":true})"
    ));
    server.push(Reply::json(R"({"data":[{"id":"c"}],"last_id":"c","has_more":false})"));
    SyncLLMProcess process = program("anthropic").start_sync();
    EXPECT_EQ(process.list_models(), (Names{"a", "b", "c"}));
    EXPECT_EQ(
        targets(),
        (Names{"GET /v1/models?limit=1000", "GET /v1/models?limit=1000&after_id=b"})
    );
    EXPECT_EQ(server.requests().back().header("x-api-key"), "sk-test");
}

TEST_F(ListModelsTest, FollowsGeminisPages) {
    server.push(Reply::json(read_cassette("gemini", "gemini-models.json")));
    server.push(Reply::json(R"({"models":[{"name":"models/gemini-embedding-001"}]})"));
    SyncLLMProcess process = program("gemini").start_sync();
    EXPECT_EQ(process.list_models(), (Names{"gemini-3.8-flash", "gemini-embedding-001"}));
    EXPECT_EQ(
        targets(),
        (Names{"GET /v1/models?pageSize=1000", "GET /v1/models?pageSize=1000&pageToken=wire-page-2"}
        )
    );
}

TEST_F(ListModelsTest, AListWithoutEndEnds) {
    server.default_reply(Reply::json(R"({"data":[{"id":"a"}],"has_more":true,"last_id":"a"})"));
    SyncLLMProcess process = program("anthropic").start_sync();
    const LLMError error = failure([&] { process.list_models(); });
    EXPECT_EQ(error.errc(), Errc::malformed_response);
    EXPECT_NE(error.message().find("100 pages"), std::string::npos);
    EXPECT_EQ(server.requests().size(), 100U);
}

TEST_F(ListModelsTest, ThePagesOfAListAreBoundedTogether) {
    const std::string model(100, 'a');
    server.default_reply(
        Reply::json(R"({"data":[{"id":")" + model + R"("}],"has_more":true,"last_id":"a"})")
    );
    SyncLLMProcess process = program("anthropic", "", "max_body_bytes = 1000\n").start_sync();
    const LLMError error = failure([&] { process.list_models(); });
    EXPECT_EQ(error.errc(), Errc::body_too_large);
    EXPECT_NE(error.message().find("connection.max_body_bytes (1000)"), std::string::npos);
    EXPECT_LT(server.requests().size(), 10U);
}

TEST_F(ListModelsTest, TheUsersHeadersGoAlong) {
    server.push(Reply::json(read_cassette("anthropic", "anthropic-models.json")));
    SyncLLMProcess process = program(
                                 "anthropic",
                                 "",
                                 "[parameters.extra_headers]\nx-team = \"blue\"\n"
                                 "authorization = \"Bearer token\"\n"
    )
                                 .start_sync();
    EXPECT_EQ(process.list_models(), Names{"claude-opus-5-5"});
    const RecordedRequest sent = server.requests().at(0);
    EXPECT_EQ(sent.header("x-team"), "blue");
    EXPECT_EQ(sent.header("authorization"), "Bearer token");
    EXPECT_FALSE(sent.has_header("x-api-key"));
}

}  // namespace
}  // namespace llmproc::testing
