#include <llmproc/llmproc.hpp>
#include <llmproc/testing/anthropic.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/parity_support.hpp"
#include "support/recording_observer.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::anthropic_echo;
using testing::anthropic_error_reply;
using testing::anthropic_reply;
using testing::anthropic_stream;
using testing::MockUsage;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::openai_error_reply;
using testing::prompt_retry;
using testing::RecordedRequest;
using testing::Reply;
using testing::ScriptedServer;
using testing::ServerOptions;
using testing::Subject;
using testing::watchdog;

/// A program of OpenAI's protocol with an alternate of Anthropic's. Every test runs on both kinds
/// of process. Plain http: otherwise both authorities would have to be in one file.
class FallbackTest : public ::testing::TestWithParam<const char*> {
protected:
    FallbackTest() {
        setenv("LLMPROC_TEST_MAIN_KEY", "main-secret", 1);
        setenv("LLMPROC_TEST_OTHER_KEY", "other-secret", 1);
        main.handle([](const RecordedRequest&) { return openai_error_reply(503, "main is down"); });
        other.handle(anthropic_echo);
    }

    std::string text(const std::string& more = "", const std::string& retry = prompt_retry) const {
        return "[model]\nname = \"big\"\nprovider = \"openai_compatible\"\nbase_url = \"" +
               main.base_url() + "\"\napi_key_env = \"LLMPROC_TEST_MAIN_KEY\"\n" +
               "[[model.fallback]]\nname = \"other\"\nprovider = \"anthropic\"\nbase_url = \"" +
               other.url() + "\"\napi_key_env = \"LLMPROC_TEST_OTHER_KEY\"\n" + more +
               "[parameters]\nmax_tokens = 100\nextra_body = {own = 1}\n"
               "extra_headers = {x-own = \"1\"}\n[retry]\n" +
               retry;
    }

    std::unique_ptr<Subject> subject(
        const std::string& more = "",
        const std::string& retry = prompt_retry
    ) {
        return started(text(more, retry));
    }

    std::unique_ptr<Subject> started(const std::string& program_text) {
        const LLMProgram program =
            LLMProgram::from_toml_string(program_text, "test.toml").with_observer(observer);
        return std::string(GetParam()) == "sync" ? testing::sync_subject(program)
                                                 : testing::async_subject(program);
    }

    template <typename Call>
    std::optional<LLMError> thrown(Call call) {
        try {
            call();
        } catch (const LLMError& error) {
            what = error.what();
            return error;
        }
        ADD_FAILURE() << "nothing was thrown";
        return std::nullopt;
    }

    ScriptedServer main{ServerOptions().https(false)};
    ScriptedServer other{ServerOptions().https(false)};
    std::shared_ptr<testing::RecordingObserver> observer =
        std::make_shared<testing::RecordingObserver>();
    std::string what;
};

TEST_P(FallbackTest, AnotherModelAnswersAfterTheRetries) {
    const auto process = subject();
    const RunResult result = process->run("hi", std::nullopt);
    EXPECT_EQ(result.text(), "You said: hi");
    EXPECT_EQ(result.provider(), "anthropic");
    EXPECT_EQ(result.model(), "other");
    EXPECT_EQ(result.attempts(), 4);
    EXPECT_EQ(result.api_calls(), 1);
    ASSERT_EQ(result.fallbacks().size(), 1U);
    const FailedModel& failed = result.fallbacks()[0];
    EXPECT_EQ(failed.provider, "openai_compatible");
    EXPECT_EQ(failed.model, "big");
    EXPECT_EQ(failed.attempts, 3);
    EXPECT_NE(failed.error.find("main is down"), std::string::npos) << failed.error;
    EXPECT_EQ(main.requests().size(), 3U);
    EXPECT_EQ(other.requests().size(), 1U);
    const ProcessStats stats = process->stats();
    EXPECT_EQ(stats.fallbacks, 1U);
    EXPECT_EQ(stats.requests, 4U);
    EXPECT_EQ(stats.retries, 2U);
    EXPECT_EQ(stats.runs, 1U);
    EXPECT_EQ(stats.failed_runs, 0U);
}

TEST_P(FallbackTest, WithoutAFailureNobodyElseIsAsked) {
    main.push(openai_chat_reply("fine"));
    const auto process = subject();
    const RunResult result = process->run("hi", std::nullopt);
    EXPECT_EQ(result.provider(), "openai_compatible");
    EXPECT_EQ(result.model(), "big");
    EXPECT_TRUE(result.fallbacks().empty());
    EXPECT_TRUE(other.requests().empty());
    EXPECT_EQ(other.stats().accepts, 0U);
    EXPECT_EQ(process->stats().fallbacks, 0U);
}

TEST_P(FallbackTest, KeysAndExtrasGoToTheirOwnServerOnly) {
    subject()->run("hi", std::nullopt);
    for (const RecordedRequest& request : main.requests()) {
        EXPECT_EQ(request.header("authorization"), "Bearer main-secret");
        EXPECT_EQ(request.header("x-own"), "1");
        EXPECT_NE(request.body.find("\"own\""), std::string::npos);
        EXPECT_EQ(testing::describe(request).find("other-secret"), std::string::npos);
        EXPECT_FALSE(request.has_header("x-api-key"));
    }
    const RecordedRequest request = other.requests().at(0);
    EXPECT_EQ(request.header("x-api-key"), "other-secret");
    EXPECT_FALSE(request.has_header("authorization"));
    EXPECT_FALSE(request.has_header("x-own"));
    EXPECT_EQ(request.body.find("\"own\""), std::string::npos) << request.body;
    EXPECT_NE(request.body.find("\"max_tokens\":100"), std::string::npos) << request.body;
    for (const auto& [name, value] : request.headers) {
        EXPECT_EQ(value.find("main-secret"), std::string::npos) << name;
    }
}

TEST_P(FallbackTest, TheConversationGoesOnWithEitherModel) {
    main.push(openai_chat_reply("from main"));
    const auto process = subject();
    process->run("one", std::nullopt);
    EXPECT_EQ(process->run("two", std::nullopt).text(), "You said: two");
    const std::string asked = other.requests().at(0).body;
    EXPECT_NE(asked.find("from main"), std::string::npos) << asked;
    EXPECT_NE(asked.find("one"), std::string::npos) << asked;
    // The next call begins with the program's own model.
    main.push(openai_chat_reply("back"));
    EXPECT_EQ(process->run("three", std::nullopt).model(), "big");
    const std::string back = main.requests().back().body;
    EXPECT_NE(back.find("You said: two"), std::string::npos) << back;
    EXPECT_NE(back.find("from main"), std::string::npos) << back;
    // What was encoded before is still there, each in its own protocol.
    EXPECT_EQ(process->run("four", std::nullopt).model(), "other");
    const std::string whole = other.requests().back().body;
    EXPECT_EQ(whole.find("from main"), whole.rfind("from main")) << whole;
    EXPECT_NE(whole.find("back"), std::string::npos) << whole;
    EXPECT_EQ(process->messages().size(), 8U);
}

TEST_P(FallbackTest, UsageIsThatOfTheModelThatAnswered) {
    other.push(anthropic_reply("ok", MockUsage(30, 12, 10)));
    const RunResult result = subject()->run("hi", std::nullopt);
    EXPECT_EQ(result.usage().input_tokens, 30);
    EXPECT_EQ(result.usage().output_tokens, 12);
    EXPECT_EQ(result.usage().cached_input_tokens, 10);
}

TEST_P(FallbackTest, WhatSomebodyMustMendIsNotHidden) {
    for (const int status : {400, 401, 403, 404, 413}) {
        main.push(openai_error_reply(status, "no"));
    }
    main.push(openai_error_reply(429, "pay", "insufficient_quota", "insufficient_quota"));
    const auto process = subject();
    for (int i = 0; i < 6; ++i) {
        const auto error = thrown([&] { process->run("hi", std::nullopt); });
        ASSERT_TRUE(error);
        EXPECT_EQ(error->diagnostics().model, "big");
        EXPECT_EQ(what.find("other models"), std::string::npos) << what;
    }
    EXPECT_TRUE(other.requests().empty());
    EXPECT_EQ(process->stats().failed_runs, 6U);
}

TEST_P(FallbackTest, AServerThatIsNotThereIsReplaced) {
    main.stop();
    const RunResult result = subject("", "max_attempts = 1\n")->run("hi", std::nullopt);
    EXPECT_EQ(result.model(), "other");
    EXPECT_EQ(result.fallbacks().at(0).attempts, 1);
}

TEST_P(FallbackTest, ATimeLimitOfAnAttemptMovesOn) {
    main.handle([](const RecordedRequest&) { return Reply().hold(); });
    const auto process = subject();
    // The limit is for both models, so the second one gets as many tries as a slow machine needs.
    const RunOptions options = RunOptions().max_attempts(6).timeouts(
        Timeouts().first_byte(milliseconds(300)).total(watchdog)
    );
    const RunResult result = process->run("hi", options);
    EXPECT_EQ(result.model(), "other");
    EXPECT_EQ(result.fallbacks().at(0).attempts, 6);
    EXPECT_EQ(process->messages().size(), 2U);
}

TEST_P(FallbackTest, AllOfThemFail) {
    other.handle([](const RecordedRequest&) { return anthropic_error_reply(529, "full as well"); });
    const auto process = subject();
    const auto error = thrown([&] { process->run("hi", std::nullopt); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::overloaded);
    EXPECT_EQ(error->diagnostics().provider, "anthropic");
    EXPECT_EQ(error->diagnostics().model, "other");
    EXPECT_EQ(error->diagnostics().status, 529);
    EXPECT_EQ(error->diagnostics().attempts, 6);
    EXPECT_EQ(error->diagnostics().endpoint, other.url());
    EXPECT_NE(what.find("full as well"), std::string::npos) << what;
    EXPECT_NE(what.find("other models failed too: openai_compatible big: "), std::string::npos)
        << what;
    EXPECT_NE(what.find("main is down"), std::string::npos) << what;
    EXPECT_EQ(what.find("secret"), std::string::npos) << what;
    EXPECT_TRUE(process->messages().empty());
    EXPECT_EQ(process->stats().fallbacks, 1U);
}

TEST_P(FallbackTest, TheLastOnesTimeoutStaysOne) {
    other.handle([](const RecordedRequest&) { return Reply().hold(); });
    const auto process = subject();
    const RunOptions options = RunOptions().max_attempts(1).timeouts(
        Timeouts().attempt(milliseconds(200))
    );
    std::string text;
    try {
        process->run("hi", options);
        FAIL();
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.limit(), milliseconds(200));
        text = timeout.what();
    }
    EXPECT_NE(text.find("passed"), std::string::npos) << text;
    EXPECT_NE(text.find("other models failed too: openai_compatible big"), std::string::npos)
        << text;
}

TEST_P(FallbackTest, AProtocolThatCannotSayItIsPassedOver) {
    main.push(openai_chat_reply("ok"));
    const std::string more = "[model.fallback.parameters]\nseed = 7\nmax_tokens = 5\n"
                             "[[model.fallback]]\nname = \"third\"\nprovider = \"anthropic\"\n"
                             "base_url = \"" +
                             other.url() + "\"\napi_key_env = \"\"\n";
    const auto process = subject(more);
    process->run("one", std::nullopt);
    const RunResult result = process->run("two", std::nullopt);
    ASSERT_EQ(result.model(), "third");
    ASSERT_EQ(result.fallbacks().size(), 2U);
    EXPECT_EQ(result.fallbacks()[1].model, "other");
    EXPECT_EQ(result.fallbacks()[1].attempts, 0);
    EXPECT_NE(result.fallbacks()[1].error.find("seed"), std::string::npos)
        << result.fallbacks()[1].error;
    EXPECT_EQ(other.requests().size(), 1U);
}

TEST_P(FallbackTest, ThrownIsTheFailureOfAModelThatWasAsked) {
    const auto process = subject("[model.fallback.parameters]\nseed = 7\nmax_tokens = 5\n");
    const auto error = thrown([&] { process->run("hi", std::nullopt); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::overloaded);
    EXPECT_EQ(error->diagnostics().model, "big");
    EXPECT_NE(what.find("other models failed too: anthropic other: "), std::string::npos) << what;
}

TEST_P(FallbackTest, AStreamMovesOnBeforeItsFirstEvent) {
    main.push(openai_error_reply(503, "later"));
    main.push(Reply::sse({R"({"error":{"message":"busy","type":"server_error"}})"}));
    main.push(openai_chat_stream({"never"}).truncate_after(90));
    other.push(anthropic_stream({"Hel", "lo"}));
    const auto process = subject();
    std::string text;
    process->read_stream("hi", std::nullopt, text);
    EXPECT_NE(text.find("Hel"), std::string::npos) << text;
    EXPECT_EQ(text.find("never"), std::string::npos) << text;
    EXPECT_EQ(process->stats().fallbacks, 1U);
    EXPECT_EQ(process->messages().at(1)->text(), "Hello");
}

TEST_P(FallbackTest, AStreamStaysWithTheModelThatBeganIt) {
    main.push(openai_chat_stream({"one", "two", "three"}).truncate_after(600));
    const auto process = subject();
    std::string text;
    const auto error = thrown([&] { process->read_stream("hi", std::nullopt, text); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->diagnostics().model, "big");
    EXPECT_NE(error->diagnostics().partial_text.find("one"), std::string::npos);
    EXPECT_TRUE(other.requests().empty());
    EXPECT_TRUE(process->messages().empty());
}

TEST_P(FallbackTest, TheResultOfAStreamNamesTheModel) {
    const RunResult result = subject()->stream_result(Message::user("hi"), std::nullopt);
    EXPECT_EQ(result.text(), "You said: hi");
    EXPECT_EQ(result.model(), "other");
    EXPECT_EQ(result.fallbacks().size(), 1U);
}

TEST_P(FallbackTest, CompleteUsesItUnlessTheRequestNamesItsModel) {
    const auto process = subject();
    ChatRequest request("hi");
    request.params.extra_headers.emplace_back("x-call", "1");
    EXPECT_EQ(process->complete(request, std::nullopt).text(), "You said: hi");
    EXPECT_EQ(main.requests().at(0).header("x-call"), "1");
    EXPECT_FALSE(other.requests().at(0).has_header("x-call"));
    request.model = "special";
    const auto error = thrown([&] { process->complete(request, std::nullopt); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->diagnostics().model, "special");
    EXPECT_EQ(other.requests().size(), 1U);
}

TEST_P(FallbackTest, ATypedAnswerMayComeFromEither) {
    other.push(anthropic_reply("no JSON"));
    other.push(anthropic_reply(R"({"value":"typed"})"));
    const auto process = subject();
    EXPECT_EQ(process->run_as("a text?", std::nullopt), "typed");
    // The second question, with what is wrong with the answer, begins with the own model again.
    EXPECT_EQ(main.requests().size(), 6U);
    EXPECT_EQ(other.requests().size(), 2U);
    EXPECT_EQ(process->messages().size(), 2U);
    EXPECT_EQ(process->stats().fallbacks, 2U);
}

TEST_P(FallbackTest, CancellingEndsTheCallWhoeverIsAsked) {
    other.handle([](const RecordedRequest&) { return Reply().hold(); });
    const auto process = subject("[[model.fallback]]\nname = \"third\"\n");
    std::stop_source stop;
    std::thread stopper([&] {
        EXPECT_TRUE(other.wait_for_requests(1, watchdog));
        stop.request_stop();
    });
    const auto error = thrown([&] { process->run("hi", RunOptions().stop_token(stop.get_token())); }
    );
    stopper.join();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::cancelled);
    EXPECT_EQ(error->diagnostics().model, "other");
    EXPECT_EQ(main.requests().size(), 3U);
    EXPECT_TRUE(process->messages().empty());
    other.handle(anthropic_echo);
    EXPECT_EQ(process->run("next", std::nullopt).text(), "You said: next");
}

TEST_P(FallbackTest, TheDeadlineIsOneForAllModels) {
    other.handle([](const RecordedRequest&) { return Reply().hold(); });
    const auto process = subject("[[model.fallback]]\nname = \"third\"\n");
    const auto error = thrown([&] { process->run("hi", RunOptions().timeout(milliseconds(900))); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::timeout);
    EXPECT_LE(other.requests().size(), 1U);
    EXPECT_TRUE(process->messages().empty());
}

TEST_P(FallbackTest, TheObserverSeesWhoIsAsked) {
    subject()->run("hi", std::nullopt);
    const auto retries = observer->events(CallStep::retry);
    ASSERT_EQ(retries.size(), 3U);
    EXPECT_EQ(retries[2].model, "big");
    EXPECT_EQ(retries[2].event.attempt, 3);
    EXPECT_EQ(retries[2].event.status, 503);
    EXPECT_EQ(retries[2].event.delay, milliseconds(0));
    const auto done = observer->events(CallStep::done);
    ASSERT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].provider, "anthropic");
    EXPECT_EQ(done[0].model, "other");
    EXPECT_EQ(done[0].event.server_port, other.port());
    EXPECT_EQ(done[0].event.attempt, 4);
}

TEST_P(FallbackTest, TokensAreCountedByTheProgramsOwnModel) {
    const auto process = subject();
    process->run("hi", std::nullopt);
    process->count_tokens(std::nullopt);
    EXPECT_EQ(other.requests().size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    FallbackTest,
    ::testing::Values("sync", "async"),
    [](const auto& row) { return std::string(row.param); }
);

}  // namespace
}  // namespace llmproc
