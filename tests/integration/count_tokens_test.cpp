// Counting by each provider's own endpoint, on both kinds of process.
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/provider.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "process/chat_attempts.hpp"
#include "providers/cassette.hpp"
#include "support/parity_support.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::Reply;
using testing::ScriptedServer;
using testing::Subject;
using testing::watchdog;
using testing_cassettes::read_cassette;

struct Protocol {
    const char* provider;
    const char* path;  ///< Of the base URL.
    const char* model;
    const char* folder;
    const char* answer;
    const char* counted;
    std::int64_t tokens;
    const char* target;
};

const Protocol protocols[] = {
    {"anthropic",
     "",
     "claude-opus-5-5",
     "anthropic",
     "anthropic-response.json",
     "anthropic-count-tokens.json",
     403,
     "/v1/messages/count_tokens"},
    {"gemini",
     "/v1beta",
     "gemini-3.8-flash",
     "gemini",
     "gemini-response.json",
     "gemini-count-tokens.json",
     31,
     "/v1beta/models/gemini-3.8-flash:countTokens"},
    {"openai_responses",
     "/v1",
     "gpt-6-astra",
     "openai_responses",
     "openai-responses-response.json",
     "openai-responses-input-tokens.json",
     77,
     "/v1/responses/input_tokens"},
};

std::ostream& operator<<(std::ostream& out, const Protocol& protocol) {
    return out << protocol.provider;
}

class CountTokensTest : public ::testing::TestWithParam<std::tuple<Protocol, const char*>> {
protected:
    const Protocol& protocol() const { return std::get<0>(GetParam()); }

    /// A process whose first turn is done.
    void SetUp() override {
        const LLMProgram program = LLMProgram::from_toml_string(
            std::string("[model]\nname = \"") + protocol().model + "\"\nprovider = \"" +
                protocol().provider + "\"\napi_key_env = \"\"\nbase_url = \"" + server.url() +
                protocol().path + "\"\n[prompt]\nsystem = \"The system prompt.\"\n[retry]\n" +
                testing::prompt_retry +
                "[tools]\nhosted = [\"code_execution\"]\n[connection]\nca_file = \"" +
                server.ca_file() + "\"\n",
            "test.toml"
        );
        subject = std::string(std::get<1>(GetParam())) == "sync" ? testing::sync_subject(program)
                                                                 : testing::async_subject(program);
        server.push(Reply::json(read_cassette(protocol().folder, protocol().answer)));
        subject->run("The first question.", std::nullopt);
    }

    Reply counted() const {
        return Reply::json(read_cassette(protocol().folder, protocol().counted));
    }

    std::optional<LLMError> failure(const std::optional<RunOptions>& options = std::nullopt) {
        const std::string before = to_json(subject->messages());
        try {
            subject->count_tokens(options);
        } catch (const LLMError& error) {
            EXPECT_EQ(to_json(subject->messages()), before);
            return error;
        }
        return std::nullopt;
    }

    ScriptedServer server;
    std::unique_ptr<Subject> subject;
};

TEST_P(CountTokensTest, TheProviderCountsSystemPromptAndHistory) {
    const Usage used = subject->stats().usage;
    server.push(counted());
    const TokenCount count = subject->count_tokens(std::nullopt);
    EXPECT_EQ(subject->stats().usage, used) << "counting uses nothing";
    EXPECT_EQ(count.input_tokens, protocol().tokens);
    EXPECT_TRUE(count.exact);
    EXPECT_EQ(count.source, TokenSource::provider);
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(requests[1].target, protocol().target);
    for (const char* const part : {"The system prompt.", "The first question.", "Lisbon"}) {
        EXPECT_NE(requests[1].body.find(part), std::string::npos) << part;
    }
    EXPECT_FALSE(parse_json(requests[1].body).contains("max_tokens"));
}

TEST_P(CountTokensTest, TheProviderCountsTheTools) {
    server.push(counted());
    subject->count_tokens(std::nullopt);
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    const Json run = parse_json(requests[0].body);
    const Json count = parse_json(requests[1].body);
    const bool wrapped = count.contains("generateContentRequest");
    EXPECT_EQ(run.at("tools").size(), 1U);
    EXPECT_EQ((wrapped ? count.at("generateContentRequest") : count).at("tools"), run.at("tools"));
}

TEST_P(CountTokensTest, AConversationWithoutMessagesIsEstimated) {
    subject->reset();
    const TokenCount count = subject->count_tokens(std::nullopt);
    EXPECT_FALSE(count.exact);
    EXPECT_EQ(count.source, TokenSource::estimate);
    EXPECT_GT(count.input_tokens, 0) << "the system prompt";
    EXPECT_EQ(server.requests().size(), 1U) << "nobody is asked";
}

TEST_P(CountTokensTest, AServerThatCannotCountIsAskedOnce) {
    server.push(Reply::json(R"({"error":"no such path"})").with_status(404));
    const TokenCount count = subject->count_tokens(std::nullopt);
    EXPECT_FALSE(count.exact);
    EXPECT_EQ(count.source, TokenSource::last_usage);
    EXPECT_GT(count.input_tokens, 0);
    EXPECT_EQ(subject->count_tokens(std::nullopt).input_tokens, count.input_tokens);
    EXPECT_EQ(server.requests().size(), 2U) << "one for the run, one for the count";
}

TEST_P(CountTokensTest, AServerThatDoesNotImplementItIsNotAskedAgain) {
    server.push(Reply().with_status(501));
    EXPECT_FALSE(subject->count_tokens(std::nullopt).exact);
    EXPECT_FALSE(subject->count_tokens(std::nullopt).exact);
    EXPECT_EQ(server.requests().size(), 2U) << "a status 5xx, and yet no retry";
}

TEST_P(CountTokensTest, AnyOtherErrorIsThrownAndNotRemembered) {
    server.push(Reply::json(R"({"error":{"message":"no"}})").with_status(401));
    const std::optional<LLMError> error = failure();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->errc(), Errc::authentication_failed);
    EXPECT_EQ(error->diagnostics().status, 401);
    server.push(counted());
    EXPECT_TRUE(subject->count_tokens(std::nullopt).exact);
}

TEST_P(CountTokensTest, AFailureInPassingIsRepeated) {
    server.push(Reply::json(R"({"error":{"message":"later"}})").with_status(500));
    server.push(counted());
    EXPECT_TRUE(subject->count_tokens(std::nullopt).exact);
    EXPECT_EQ(server.requests().size(), 3U);
}

TEST_P(CountTokensTest, AnAnswerWithoutACountIsMalformed) {
    server.push(Reply::json("{}"));
    const std::optional<LLMError> error = failure();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->errc(), Errc::malformed_response);
}

TEST_P(CountTokensTest, ALimitEndsTheWait) {
    server.push(Reply().hold());
    const std::optional<LLMError> error = failure(RunOptions().timeout(milliseconds(200)));
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->errc(), Errc::timeout);
}

TEST_P(CountTokensTest, AStopEndsTheWait) {
    std::stop_source stop;
    server.push(Reply().hold());
    std::thread watcher([&] {
        EXPECT_TRUE(server.wait_for_requests(2, watchdog));
        stop.request_stop();
    });
    const std::optional<LLMError> error = failure(RunOptions().stop_token(stop.get_token()));
    watcher.join();
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->errc(), Errc::cancelled);
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<Protocol, const char*>>& info) {
    return std::string(std::get<0>(info.param).provider) + "_" + std::get<1>(info.param);
}

INSTANTIATE_TEST_SUITE_P(
    Protocols,
    CountTokensTest,
    ::testing::Combine(::testing::ValuesIn(protocols), ::testing::Values("sync", "async")),
    name_of
);

TEST(CountTokensStatusTest, OnlyACompatibleServerMayLackTheEndpoint) {
    Endpoint own;
    own.provider = "anthropic";
    own.base_url = "https://api.anthropic.com";
    Endpoint compatible = own;
    compatible.base_url = "https://gateway.example/anthropic";
    for (const int status : {404, 405, 501}) {
        EXPECT_FALSE(has_no_counting(own, status)) << status;
        EXPECT_TRUE(has_no_counting(compatible, status)) << status;
    }
    for (const int status : {400, 401, 403, 429, 500, 503}) {
        EXPECT_FALSE(has_no_counting(compatible, status)) << status;
    }
    EXPECT_FALSE(has_no_counting(compatible, std::nullopt));
    const auto lacks = [](const char* provider, const char* base_url) {
        Endpoint endpoint;
        endpoint.provider = provider;
        endpoint.base_url = base_url;
        return has_no_counting(endpoint, 404);
    };
    EXPECT_FALSE(lacks("openai", "https://eu.api.openai.com/v1"));
    EXPECT_TRUE(lacks("openai", "https://api.openai.com.example/v1"));
    for (const char* const provider : {"gemini_vertex", "anthropic_vertex"}) {
        for (const char* const host :
             {"aiplatform.googleapis.com",
              "europe-west1-aiplatform.googleapis.com",
              "aiplatform.eu.rep.googleapis.com"}) {
            const std::string base = std::string("https://") + host + "/v1/projects/p/locations/r";
            EXPECT_FALSE(lacks(provider, base.c_str())) << provider << host;
        }
        EXPECT_TRUE(lacks(provider, "https://gateway.example/v1/projects/p/locations/r"));
    }
    EXPECT_TRUE(lacks("openai_compatible", "https://gateway.example/v1"));
}

TEST(CountTokensSchemaTest, AModelWithoutStructuredOutputCountsTheWordsItGets) {
    ScriptedServer server;
    SyncLLMProcess process =
        LLMProgram::from_toml_string(
            "[model]\nname = \"claude-3-opus\"\nprovider = \"anthropic\"\napi_key_env = \"\"\n"
            "base_url = \"" +
                server.url() + "\"\n[parameters]\nadapt_schemas = true\n" +
                "response_schema = { type = \"object\", properties = { sky = { type = \"string\" } } }\n"
                "[connection]\nca_file = \"" +
                server.ca_file() + "\"\n",
            "test.toml"
        )
            .start_sync();
    server.push(Reply::json(read_cassette("anthropic", "anthropic-response.json")));
    process.run("Sky?");
    server.push(Reply::json(read_cassette("anthropic", "anthropic-count-tokens.json")));
    EXPECT_TRUE(process.count_tokens().exact);
    const Json asked = parse_json(server.requests().at(0).body);
    const Json counted = parse_json(server.requests().at(1).body);
    EXPECT_FALSE(counted.contains("output_config"));
    EXPECT_EQ(counted.at("system"), asked.at("system"));
    EXPECT_NE(counted.at("system").dump().find("JSON Schema"), std::string::npos);
}

TEST(CountTokensEstimateTest, AProtocolWithoutCountingEstimates) {
    ScriptedServer server;
    server.handle(testing::openai_chat_echo);
    SyncLLMProcess process = testing::program_for(server).start_sync();
    EXPECT_EQ(process.count_tokens().source, TokenSource::estimate);
    process.run("hi");
    EXPECT_EQ(process.count_tokens().source, TokenSource::last_usage);
    EXPECT_EQ(server.requests().size(), 1U);
}

}  // namespace
}  // namespace llmproc
