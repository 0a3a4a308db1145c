// Embeddings and lists of models through a whole process, with every protocol.
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "providers/cassette.hpp"
#include "support/recording_observer.hpp"
#include "support/stage_of_timeout.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::RecordedRequest;
using testing::RecordingObserver;
using testing::Reply;
using testing::ScriptedServer;
using testing::stage_of_the_timeout;
using testing::watchdog;
using testing_cassettes::read_cassette;
using Names = std::vector<std::string>;

class ProviderOperationsTest : public ::testing::Test {
protected:
    /// `more` begins in the table [connection].
    LLMProgram program(
        const std::string& provider,
        const std::string& embedding_model = "embeds",
        const std::string& more = ""
    ) {
        std::string text = "[model]\nname = \"chats\"\nprovider = \"" + provider +
                           "\"\nbase_url = \"" + server.base_url() +
                           "\"\napi_key = \"sk-test\"\nallow_inline_key = true\n";
        if (!embedding_model.empty()) {
            text += "embedding_model = \"" + embedding_model + "\"\n";
        }
        text += "[retry]\ninitial_delay = 0\n[connection]\nca_file = \"" + server.ca_file() +
                "\"\n" + more;
        return LLMProgram::from_toml_string(text, "test.toml").with_observer(observer);
    }

    /// Answers each request with one vector a text: its length, and the number of the request.
    void embed_lengths() {
        server.handle([this](const RecordedRequest& request) {
            const Json body = parse_json(request.body);
            Json data = Json::array();
            const auto number = static_cast<double>(++embedded);
            for (const Json& text : body.at("input")) {
                const auto length = static_cast<double>(text.get<std::string>().size());
                data.push_back({{"index", data.size()}, {"embedding", {length, number}}});
            }
            const auto tokens = data.size();
            return Reply::json(dump_json(
                {{"data", data},
                 {"model", body.at("model").get<std::string>() + "-1"},
                 {"usage", {{"prompt_tokens", tokens}, {"total_tokens", tokens}}}}
            ));
        });
    }

    Names targets() {
        Names all;
        for (const RecordedRequest& request : server.requests()) {
            all.push_back(request.method + " " + request.target);
        }
        return all;
    }

    ScriptedServer server;
    std::shared_ptr<RecordingObserver> observer = std::make_shared<RecordingObserver>();
    int embedded = 0;
};

/// The error of a call that must fail.
LLMError failure(const std::function<void()>& call) {
    try {
        call();
    } catch (const LLMError& error) {
        return error;
    }
    ADD_FAILURE() << "it succeeded";
    return {Errc::internal, "none"};
}

// --- embeddings ----------------------------------------------------------------------------------

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
    server.push(testing::openai_error_reply(503, "busy"));
    SyncLLMProcess process = program("openai_compatible").start_sync();
    EXPECT_EQ(process.embed({"a"}).vectors.size(), 1U);
    EXPECT_EQ(server.requests().size(), 2U);
    EXPECT_EQ(process.stats().retries, 1U);

    EmbedRequest request({"a", "b"});
    request.batch = 1;
    server.push(Reply::json(R"({"data":[{"embedding":[1]}]})"));
    server.push(testing::openai_error_reply(401, "who?").header("x-request-id", "req_9"));
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
    server.push(testing::openai_chat_stream({"a", "b"}));
    SyncLLMProcess process = program("openai_compatible").start_sync();
    SyncStream stream = process.stream("hi");
    EXPECT_EQ(process.embed({"abc"}).vectors.at(0).at(0), 3);
    EXPECT_EQ(stream.result().text(), "ab");
}

// --- models --------------------------------------------------------------------------------------

TEST_F(ProviderOperationsTest, ListsModelsOfOpenAi) {
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

TEST_F(ProviderOperationsTest, FollowsAnthropicsPages) {
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

TEST_F(ProviderOperationsTest, FollowsGeminisPages) {
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

TEST_F(ProviderOperationsTest, AListWithoutEndEnds) {
    server.default_reply(Reply::json(R"({"data":[{"id":"a"}],"has_more":true,"last_id":"a"})"));
    SyncLLMProcess process = program("anthropic").start_sync();
    const LLMError error = failure([&] { process.list_models(); });
    EXPECT_EQ(error.errc(), Errc::malformed_response);
    EXPECT_NE(error.message().find("100 pages"), std::string::npos);
    EXPECT_EQ(server.requests().size(), 100U);
}

TEST_F(ProviderOperationsTest, ThePagesOfAListAreBoundedTogether) {
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

TEST_F(ProviderOperationsTest, TheUsersHeadersGoAlong) {
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

// --- what is told --------------------------------------------------------------------------------

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

    server.push(testing::openai_error_reply(404, "no list here"));
    EXPECT_THROW(process.list_models(), LLMError);
    done = observer->events(CallStep::done);
    ASSERT_EQ(done.size(), 2U);
    EXPECT_EQ(done[1].operation, "list_models");
    EXPECT_EQ(done[1].model, "chats");
    EXPECT_EQ(done[1].event.error, Errc::not_found);
    EXPECT_FALSE(done[1].usage.reported);
}

}  // namespace
}  // namespace llmproc
