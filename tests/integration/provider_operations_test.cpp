// Embeddings through a whole process, with every protocol.
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "integration/provider_operations_support.hpp"
#include "providers/cassette.hpp"
#include "support/stage_of_timeout.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace llmproc::testing {
namespace {

using std::chrono::milliseconds;
using testing_cassettes::read_cassette;

TEST_F(ProviderOperationsTest, OpenAiEmbeds) {
    for (const char* const provider : {"openai_chat", "openai_responses"}) {
        server.push(Reply::json(read_cassette("openai-embeddings.json")));
        SyncLLMProcess process = program(provider).start_sync();
        EmbedRequest request({"a", "b"});
        request.dimensions = 3;
        const Embeddings result = process.embed(request);
        EXPECT_EQ(
            result.vectors,
            (std::vector<std::vector<float>>{{0.25F, -0.5F, 1.0F}, {0.0F, 0.125F, -2.0F}})
        );
        EXPECT_EQ(result.model, "text-embedding-3-small");
        EXPECT_EQ(result.usage.input_tokens, 5);
        const RecordedRequest sent = server.requests().back();
        EXPECT_EQ(sent.target, "/v1/embeddings");
        EXPECT_EQ(sent.header("authorization"), "Bearer sk-test");
        const Json body = parse_json(sent.body);
        EXPECT_EQ(body.at("model"), "embeds");
        EXPECT_EQ(body.at("input"), Json({"a", "b"}));
        EXPECT_EQ(body.at("dimensions"), 3);
        EXPECT_TRUE(process.messages().empty());
    }
}

TEST_F(ProviderOperationsTest, GeminiEmbeds) {
    server.push(Reply::json(read_cassette("gemini", "gemini-embeddings.json")));
    SyncLLMProcess process = program("gemini").start_sync();
    const Embeddings result = process.embed({"a", "b"});
    ASSERT_EQ(result.vectors.size(), 2U);
    EXPECT_EQ(result.vectors[1], (std::vector<float>{0.0F, 0.125F, -2.0F}));
    EXPECT_EQ(result.model, "embeds");
    EXPECT_FALSE(result.usage.reported);
    EXPECT_EQ(targets(), Names{"POST /v1/models/embeds:batchEmbedContents"});
}

TEST_F(ProviderOperationsTest, AnthropicHasNoEmbeddings) {
    for (const char* const model : {"embeds", ""}) {
        SyncLLMProcess process = program("anthropic", model).start_sync();
        const LLMError error = failure([&] { process.embed({"a"}); });
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_NE(error.message().find("'anthropic'"), std::string::npos) << error.message();
        EXPECT_NE(error.message().find("provider = \"openai\""), std::string::npos);
        EXPECT_EQ(error.diagnostics().provider, "anthropic");
    }
    EXPECT_TRUE(server.requests().empty());
}

TEST_F(ProviderOperationsTest, TheModelThatChatsIsNeverAsked) {
    embed_lengths();
    SyncLLMProcess process = program("openai_compatible", "").start_sync();
    const LLMError error = failure([&] { process.embed({"a"}); });
    EXPECT_EQ(error.errc(), Errc::invalid_argument);
    EXPECT_NE(error.message().find("model.embedding_model"), std::string::npos);
    EXPECT_NE(error.message().find("EmbedRequest::model"), std::string::npos);
    EXPECT_TRUE(server.requests().empty());
    EXPECT_EQ(process.embed(EmbedRequest({"a"}, "own")).model, "own-1");
    // What the call names comes before the program's.
    SyncLLMProcess other = program("openai_compatible").start_sync();
    EXPECT_EQ(other.embed(EmbedRequest({"a"}, "own")).model, "own-1");
    EXPECT_EQ(other.embed({"a"}).model, "embeds-1");
}

TEST_F(ProviderOperationsTest, RefusesWhatCannotBeEmbedded) {
    SyncLLMProcess process = program("openai_compatible").start_sync();
    EXPECT_EQ(failure([&] { process.embed(Names()); }).errc(), Errc::invalid_argument);
    EmbedRequest request({"a"});
    request.dimensions = 0;
    const LLMError error = failure([&] { process.embed(request); });
    EXPECT_EQ(error.errc(), Errc::invalid_argument);
    EXPECT_NE(error.message().find("EmbedRequest::dimensions is 0"), std::string::npos);
    EXPECT_TRUE(server.requests().empty());
}

TEST_F(ProviderOperationsTest, ManyTextsAreSeveralRequestsInOrder) {
    embed_lengths();
    SyncLLMProcess process = program("openai_compatible").start_sync();
    EmbedRequest request({"1", "22", "333", "4444", "55555"});
    request.batch = 2;
    const Embeddings result = process.embed(request);
    const std::vector<std::vector<float>> expected{{1, 1}, {2, 1}, {3, 2}, {4, 2}, {5, 3}};
    EXPECT_EQ(result.vectors, expected);
    EXPECT_EQ(result.usage.total_tokens, 5);
    EXPECT_EQ(server.requests().size(), 3U);
    EXPECT_EQ(parse_json(server.requests().back().body).at("input"), Json({"55555"}));
}

TEST_F(ProviderOperationsTest, TheProvidersLimitsAreKept) {
    embed_lengths();
    SyncLLMProcess chat = program("openai_compatible").start_sync();
    EmbedRequest request(Names(2049, "x"));
    request.batch = 5000;
    EXPECT_EQ(chat.embed(request).vectors.size(), 2049U);
    EXPECT_EQ(server.requests().size(), 2U);
    // By size: two of these are too much for one request, and so is one that goes alone.
    const std::string large(300UL * 1024, 'x');
    EXPECT_EQ(chat.embed({large, large, "x", large + large, "x"}).vectors.size(), 5U);
    EXPECT_EQ(server.requests().size(), 6U);

    Json vectors = Json::array();
    for (int i = 0; i < 100; ++i) {
        vectors.push_back({{"values", {i}}});
    }
    server.push(Reply::json(dump_json({{"embeddings", vectors}})));
    server.push(Reply::json(R"({"embeddings":[{"values":[100]}]})"));
    SyncLLMProcess gemini = program("gemini").start_sync();
    const Embeddings result = gemini.embed(Names(101, "x"));
    ASSERT_EQ(result.vectors.size(), 101U);
    EXPECT_EQ(result.vectors.back(), std::vector<float>{100});
}

TEST_F(ProviderOperationsTest, AnEndlessNumberOfRequestsIsRefused) {
    SyncLLMProcess process = program("openai_compatible").start_sync();
    EmbedRequest request(Names(1001, "x"));
    request.batch = 1;
    const LLMError error = failure([&] { process.embed(request); });
    EXPECT_EQ(error.errc(), Errc::invalid_argument);
    EXPECT_NE(error.message().find("1001 requests"), std::string::npos) << error.message();
    EXPECT_TRUE(server.requests().empty());
}

TEST_F(ProviderOperationsTest, EachTextMustHaveItsVector) {
    server.push(Reply::json(read_cassette("openai-embeddings.json")));
    SyncLLMProcess process = program("openai_compatible").start_sync();
    const LLMError error = failure([&] { process.embed({"a", "b", "c"}); });
    EXPECT_EQ(error.errc(), Errc::malformed_response);
    EXPECT_NE(error.message().find("2 embeddings for 3 texts"), std::string::npos);
}

TEST_F(ProviderOperationsTest, EachRequestIsRetriedAndOneFailureIsTheCalls) {
    embed_lengths();
    server.push(openai_error_reply(503, "busy"));
    SyncLLMProcess process = program("openai_compatible").start_sync();
    EXPECT_EQ(process.embed({"a"}).vectors.size(), 1U);
    EXPECT_EQ(server.requests().size(), 2U);
    EXPECT_EQ(process.stats().retries, 1U);

    EmbedRequest request({"a", "b"});
    request.batch = 1;
    server.push(Reply::json(R"({"data":[{"embedding":[1]}]})"));
    server.push(openai_error_reply(401, "who?").header("x-request-id", "req_9"));
    const LLMError error = failure([&] { process.embed(request); });
    EXPECT_EQ(error.errc(), Errc::authentication_failed);
    EXPECT_EQ(error.diagnostics().model, "embeds");
    EXPECT_EQ(error.diagnostics().request_id, "req_9");
    EXPECT_EQ(error.diagnostics().attempts, 2);
}

TEST_F(ProviderOperationsTest, LimitsAndStopsEndTheCall) {
    server.default_reply(Reply().hold());
    SyncLLMProcess process = program("openai_compatible").start_sync();
    const Stage stage = stage_of_the_timeout(Stage::first_byte, [&](milliseconds limit) {
        process.embed({"a"}, RunOptions().timeout(limit));
    });
    EXPECT_EQ(stage, Stage::first_byte);
    EXPECT_THROW(process.list_models(RunOptions().timeout(milliseconds(0))), Timeout);
    const std::size_t seen = server.stats().requests;
    std::stop_source stop;
    std::thread stopper([&] {
        EXPECT_TRUE(server.wait_for_requests(seen + 1, watchdog));
        stop.request_stop();
    });
    EXPECT_THROW(process.list_models(RunOptions().stop_token(stop.get_token())), Cancelled);
    stopper.join();
}

TEST_F(ProviderOperationsTest, TokensOfEmbeddingsCountForTheRateLimit) {
    server.push(Reply::json(
        R"({"data":[{"embedding":[1]}],"usage":{"prompt_tokens":1100,"total_tokens":1100}})"
    ));
    SyncLLMProcess process = program(
                                 "openai_compatible",
                                 "embeds",
                                 "[rate_limit]\ntokens_per_minute = 1000\n"
                                 "[parameters]\nmax_tokens = 999\n"
    )
                                 .start_sync();
    // An answer's limit of tokens is no cost of theirs: the first goes at once.
    const RunOptions impatient = RunOptions().timeouts(Timeouts().rate_limit(milliseconds(20)));
    EXPECT_EQ(process.embed({"a text of some length"}, impatient).vectors.size(), 1U);
    try {
        process.embed({"a"}, impatient);
        ADD_FAILURE() << "it did not wait";
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::rate_limit);
    }
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(ProviderOperationsTest, GoesOnBesideAnOpenStream) {
    embed_lengths();
    server.push(openai_chat_stream({"a", "b"}));
    SyncLLMProcess process = program("openai_compatible").start_sync();
    SyncStream stream = process.stream("hi");
    EXPECT_EQ(process.embed({"abc"}).vectors.at(0).at(0), 3);
    EXPECT_EQ(stream.result().text(), "ab");
}

TEST_F(ProviderOperationsTest, TheVectorsOfACallHaveOneLength) {
    server.push(Reply::json(R"({"data":[{"embedding":[1,2]},{"embedding":[1]}]})"));
    server.push(Reply::json(R"({"data":[{"embedding":[1,2]}]})"));
    server.push(Reply::json(R"({"data":[{"embedding":[1,2,3]}]})"));
    SyncLLMProcess process = program("openai_chat").start_sync();
    const LLMError one = failure([&] { process.embed({"a", "b"}); });
    EXPECT_EQ(one.errc(), Errc::malformed_response);
    EXPECT_NE(one.message().find("of 2 and of 1 dimensions"), std::string::npos) << one.message();
    EmbedRequest request({"a", "b"});
    request.batch = 1;
    const LLMError two = failure([&] { process.embed(request); });
    EXPECT_EQ(two.errc(), Errc::malformed_response);
    EXPECT_NE(two.message().find("of 2 and of 3 dimensions"), std::string::npos) << two.message();
}

TEST_F(ProviderOperationsTest, AVectorHasALimit) {
    std::string numbers = "0";
    for (int i = 0; i < 64 * 1024; ++i) {
        numbers += ",0";
    }
    server.push(Reply::json(R"({"data":[{"embedding":[)" + numbers + "]}]}"));
    SyncLLMProcess process = program("openai_chat").start_sync();
    const LLMError error = failure([&] { process.embed({"a"}); });
    EXPECT_EQ(error.errc(), Errc::body_too_large);
    EXPECT_NE(error.message().find("65537 dimensions"), std::string::npos) << error.message();
}

TEST_F(ProviderOperationsTest, TheObserverLearnsTheOperation) {
    embed_lengths();
    SyncLLMProcess process = program("openai_compatible").start_sync();
    process.embed({"a", "b"});
    auto done = observer->events(CallStep::done);
    ASSERT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].operation, "embeddings");
    EXPECT_EQ(done[0].model, "embeds");
    EXPECT_EQ(done[0].usage.total_tokens, 2);
    EXPECT_FALSE(done[0].event.error);

    server.push(openai_error_reply(404, "no list here"));
    EXPECT_THROW(process.list_models(), LLMError);
    done = observer->events(CallStep::done);
    ASSERT_EQ(done.size(), 2U);
    EXPECT_EQ(done[1].operation, "list_models");
    EXPECT_EQ(done[1].model, "chats");
    EXPECT_EQ(done[1].event.error, Errc::not_found);
    EXPECT_FALSE(done[1].usage.reported);
}

}  // namespace
}  // namespace llmproc::testing
