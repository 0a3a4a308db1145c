#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/parity_support.hpp"
#include "support/recording_observer.hpp"
#include "support/stage_of_timeout.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::openai_chat_echo;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::openai_error_reply;
using testing::prompt_retry;
using testing::RecordingObserver;
using testing::Reply;
using testing::ScriptedServer;
using testing::stage_of_the_timeout;
using testing::Subject;
using testing::watchdog;

/// Every test runs on both kinds of process.
class RetryTest : public ::testing::TestWithParam<const char*> {
protected:
    RetryTest() { server.handle(openai_chat_echo); }

    std::unique_ptr<Subject> subject(
        const std::string& retry = prompt_retry,
        const std::string& connection = ""
    ) {
        const LLMProgram program =
            testing::program_for(server, connection, retry).with_observer(observer);
        return std::string(GetParam()) == "sync" ? testing::sync_subject(program)
                                                 : testing::async_subject(program);
    }

    /// What a run throws.
    template <typename Call>
    std::optional<LLMError> thrown(Call call) {
        try {
            call();
        } catch (const LLMError& error) {
            return error;
        }
        ADD_FAILURE() << "nothing was thrown";
        return std::nullopt;
    }

    ScriptedServer server;
    std::shared_ptr<RecordingObserver> observer = std::make_shared<RecordingObserver>();
};

TEST_P(RetryTest, AttemptsAreVisibleInTheResult) {
    server.push(openai_error_reply(503, "later"));
    server.push(openai_error_reply(529, "later"));
    const auto process = subject();
    const RunResult result = process->run("hi", std::nullopt);
    EXPECT_EQ(result.text(), "You said: hi");
    EXPECT_EQ(result.attempts(), 3);
    EXPECT_EQ(result.api_calls(), 1);
    EXPECT_EQ(process->stats().retries, 2U);
    EXPECT_EQ(process->messages().size(), 2U);
    EXPECT_EQ(server.requests().at(0).body, server.requests().at(2).body);
    const auto retries = observer->events(CallStep::retry);
    ASSERT_EQ(retries.size(), 2U);
    EXPECT_EQ(retries[0].event.status, 503);
    EXPECT_EQ(retries[0].event.error, Errc::overloaded);
    EXPECT_EQ(retries[0].event.attempt, 1);
    EXPECT_EQ(retries[1].event.attempt, 2);
}

TEST_P(RetryTest, AttemptsAreVisibleInTheError) {
    server.default_reply(Reply());
    for (int i = 0; i < 3; ++i) {
        server.push(openai_error_reply(500, "broken"));
    }
    const auto process = subject();
    const auto error = thrown([&] { process->run("hi", std::nullopt); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::server_error);
    EXPECT_EQ(error->diagnostics().attempts, 3);
    EXPECT_EQ(error->diagnostics().status, 500);
    EXPECT_TRUE(process->messages().empty());
    EXPECT_EQ(process->run("again", std::nullopt).attempts(), 1);
    EXPECT_EQ(process->messages().size(), 2U);
}

TEST_P(RetryTest, TheServersHintIsObeyed) {
    server.push(openai_error_reply(429, "slow").header("retry-after-ms", "3"));
    const auto process = subject("initial_delay = 3600\n");
    EXPECT_EQ(process->run("hi", std::nullopt).attempts(), 2);
    const auto retries = observer->events(CallStep::retry);
    ASSERT_EQ(retries.size(), 1U);
    EXPECT_EQ(retries[0].event.delay, milliseconds(3));
}

TEST_P(RetryTest, QuotaIsNotRetried) {
    server.push(openai_error_reply(429, "pay", "insufficient_quota", "insufficient_quota"));
    const auto process = subject();
    const auto error = thrown([&] { process->run("hi", std::nullopt); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::insufficient_quota);
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_P(RetryTest, RefusalsAreNotRetried) {
    for (const int status : {400, 401, 403, 404, 413, 422}) {
        server.push(openai_error_reply(status, "no"));
    }
    const auto process = subject();
    for (int i = 0; i < 6; ++i) {
        const auto error = thrown([&] { process->run("hi", std::nullopt); });
        ASSERT_TRUE(error);
        EXPECT_EQ(error->diagnostics().attempts, 1) << error->what();
    }
    EXPECT_EQ(server.requests().size(), 6U);
}

TEST_P(RetryTest, ACallMaySetItsOwnNumberOfAttempts) {
    server.push(openai_error_reply(500, "broken"));
    const auto process = subject();
    const auto error = thrown([&] { process->run("hi", RunOptions().max_attempts(1)); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->diagnostics().attempts, 1);
}

TEST_P(RetryTest, BrokenConnectionsAreRetried) {
    server.push(Reply().close_without_answer());
    server.push(openai_chat_reply("cut").truncate_after(120));
    const auto process = subject();
    EXPECT_EQ(process->run("hi", std::nullopt).attempts(), 3);
    EXPECT_EQ(server.stats().accepts, 3U);
}

TEST_P(RetryTest, ALostConnectionIsNotRetriedIfThatIsDeclined) {
    server.push(Reply().close_without_answer());
    const auto process = subject(prompt_retry, "resend_on_stale = false\n");
    const auto error = thrown([&] { process->run("hi", std::nullopt); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::connection_lost);
    EXPECT_EQ(error->diagnostics().attempts, 1);
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST_P(RetryTest, ALimitOfAStageEndsTheAttemptOnly) {
    server.push(Reply().hold());
    const auto process = subject();
    // An attempt after the first may exceed the limit too where the machine is slow, but not all.
    const RunOptions options = RunOptions().max_attempts(20).timeouts(
        Timeouts().first_byte(milliseconds(500)).total(watchdog)
    );
    const RunResult result = process->run("hi", options);
    EXPECT_GE(result.attempts(), 2);
    EXPECT_EQ(observer->events(CallStep::retry).at(0).event.error, Errc::timeout);
}

TEST_P(RetryTest, TheLastTimeoutNamesItsStage) {
    server.handle([](const auto&) { return Reply().hold(); });
    const auto process = subject();
    const RunOptions options = RunOptions().timeouts(Timeouts().first_byte(milliseconds(10)));
    try {
        process->run("hi", options);
        FAIL();
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::first_byte);
        EXPECT_EQ(timeout.limit(), milliseconds(10));
        EXPECT_EQ(timeout.diagnostics().attempts, 3);
    }
    EXPECT_TRUE(process->messages().empty());
}

TEST_P(RetryTest, TheTotalLimitIncludesTheWaits) {
    const auto process = subject();
    process->run("first", std::nullopt);
    server.handle([](const auto&) {
        return openai_error_reply(429, "slow").header("retry-after", "30");
    });
    const Stage stage = stage_of_the_timeout(Stage::retry, [&](milliseconds limit) {
        process->run("hi", RunOptions().timeout(limit));
    });
    EXPECT_EQ(stage, Stage::retry);
}

TEST_P(RetryTest, AStopTokenEndsTheWaitForTheNextAttempt) {
    server.push(openai_error_reply(429, "slow").header("retry-after", "59"));
    const auto process = subject();
    std::stop_source stop;
    std::thread stopper([&] {
        EXPECT_TRUE(observer->wait_for(CallStep::retry, 1, watchdog));
        stop.request_stop();
    });
    const auto error = thrown([&] { process->run("hi", RunOptions().stop_token(stop.get_token())); }
    );
    stopper.join();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::cancelled);
    EXPECT_EQ(error->diagnostics().attempts, 1);
    EXPECT_EQ(server.requests().size(), 1U);
    EXPECT_TRUE(process->messages().empty());
    EXPECT_EQ(process->run("next", std::nullopt).attempts(), 1);
}

TEST_P(RetryTest, AStreamIsRetriedUntilSomethingWasDelivered) {
    server.push(openai_error_reply(503, "later"));
    server.push(Reply::sse({R"({"error":{"message":"busy","type":"server_error"}})"}));
    server.push(openai_chat_stream({"Hel", "lo"}));
    const auto process = subject();
    std::string text;
    process->read_stream("hi", std::nullopt, text);
    EXPECT_NE(text.find("Hel"), std::string::npos) << text;
    EXPECT_EQ(text.find("Hel"), text.rfind("Hel")) << text;
    EXPECT_EQ(process->stats().retries, 2U);
    EXPECT_EQ(process->messages().size(), 2U);
}

TEST_P(RetryTest, Trap17_AStreamIsNotRetriedAfterThat) {
    server.push(openai_chat_stream({"one", "two", "three"}).truncate_after(600));
    const auto process = subject();
    std::string text;
    const auto error = thrown([&] { process->read_stream("hi", std::nullopt, text); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->diagnostics().attempts, 1);
    EXPECT_NE(error->diagnostics().partial_text.find("one"), std::string::npos) << error->what();
    EXPECT_EQ(server.requests().size(), 1U);
    EXPECT_TRUE(process->messages().empty());
}

TEST_P(RetryTest, PartialUsageIsInTheError) {
    const std::string chunk =
        R"({"choices":[{"index":0,"delta":{"content":"half"},"finish_reason":null}],)"
        R"("usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}})";
    server.push(Reply::sse({chunk}));
    const auto process = subject();
    std::string text;
    const auto error = thrown([&] { process->read_stream("hi", std::nullopt, text); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->errc(), Errc::truncated_stream);
    EXPECT_EQ(error->diagnostics().partial_text, "half");
    ASSERT_TRUE(error->diagnostics().partial_usage);
    EXPECT_EQ(error->diagnostics().partial_usage->input_tokens, 7);
}

/// One byte now and then keeps the idle limit away, but not that of the attempt.
TEST_P(RetryTest, ATrickleEndsAtTheLimitOfTheAttempt) {
    server.handle([](const auto&) {
        Reply reply = openai_chat_reply("slow");
        const std::string body = std::string(3000, ' ') + reply.spec().body;
        Reply trickle;
        trickle.header("Content-Type", "application/json");
        for (const char c : body) {
            trickle.piece(std::string(1, c), milliseconds(20));
        }
        return trickle;
    });
    server.push(openai_chat_reply("the connection is open"));
    const auto process = subject();
    process->run("first", std::nullopt);
    const Stage stage = stage_of_the_timeout(Stage::body, [&](milliseconds limit) {
        process->run("hi", RunOptions().max_attempts(1).timeouts(Timeouts().attempt(limit)));
    });
    EXPECT_EQ(stage, Stage::body);
}

INSTANTIATE_TEST_SUITE_P(Both, RetryTest, ::testing::Values("sync", "async"), [](const auto& row) {
    return std::string(row.param);
});

}  // namespace
}  // namespace llmproc
