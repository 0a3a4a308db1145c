#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "core/environment.hpp"
#include "support/recording_observer.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::openai_chat_echo;
using testing::openai_chat_reply;
using testing::openai_error_reply;
using testing::RecordingObserver;
using testing::Reply;
using testing::ScriptedServer;
using testing::watchdog;

/// Processes of a program with a [rate_limit] table.
class RateLimitTest : public ::testing::Test {
protected:
    RateLimitTest() { server.handle(openai_chat_echo); }

    LLMProgram program(const std::string& limits, const std::string& key_variable = "") {
        std::string text = testing::program_text(server) + "[rate_limit]\n" + limits;
        const std::string none = "api_key_env = \"\"";
        text.replace(text.find(none), none.size(), "api_key_env = \"" + key_variable + "\"");
        return LLMProgram::from_toml_string(text, "test.toml").with_observer(observer);
    }

    std::size_t waits() const {
        std::size_t count = 0;
        for (const auto& entry : observer->events(CallStep::wait)) {
            count += entry.event.stage == Stage::rate_limit ? 1U : 0U;
        }
        return count;
    }

    ScriptedServer server;
    std::shared_ptr<RecordingObserver> observer = std::make_shared<RecordingObserver>();
    EventLoop loop;
};

TEST_F(RateLimitTest, ProcessesOfOneLoopShareTheRequestsInFlight) {
    const LLMProgram limited = program("max_in_flight = 2\n");
    std::vector<std::thread> callers;
    for (int i = 0; i < 6; ++i) {
        callers.emplace_back([&] {
            SyncLLMProcess process = limited.start_sync(SyncOptions().on(loop));
            for (int call = 0; call < 5; ++call) {
                EXPECT_NO_THROW(process.run("hi"));
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(server.stats().requests, 30U);
    EXPECT_LE(server.stats().peak_open_requests, 2U);
}

/// With one request in flight allowed, two that must be open together show two groups.
void expect_two_groups(ScriptedServer& server, SyncLLMProcess& first, SyncLLMProcess& second) {
    server.hold_until_open_requests(2);
    std::thread other([&] { EXPECT_EQ(first.run("one").text(), "You said: one"); });
    EXPECT_EQ(second.run("two").text(), "You said: two");
    other.join();
    EXPECT_EQ(server.stats().peak_open_requests, 2U);
}

TEST_F(RateLimitTest, AnotherKeyIsAnotherGroup) {
    const ScopedEnvironment keys({{"FIRST_KEY", "sk-first"}, {"SECOND_KEY", "sk-second"}});
    const std::string limits = "max_in_flight = 1\n";
    SyncLLMProcess first = program(limits, "FIRST_KEY").start_sync(SyncOptions().on(loop));
    SyncLLMProcess second = program(limits, "SECOND_KEY").start_sync(SyncOptions().on(loop));
    expect_two_groups(server, first, second);
}

TEST_F(RateLimitTest, AnotherLoopIsAnotherGroup) {
    const LLMProgram limited = program("max_in_flight = 1\n");
    SyncLLMProcess first = limited.start_sync();
    SyncLLMProcess second = limited.start_sync();
    expect_two_groups(server, first, second);
}

TEST_F(RateLimitTest, TheWaitIsALimitedStage) {
    server.push(Reply().hold());
    const LLMProgram limited = program("max_in_flight = 1\n");
    SyncLLMProcess first = limited.start_sync(SyncOptions().on(loop));
    SyncLLMProcess second = limited.start_sync(SyncOptions().on(loop));
    std::stop_source stop;
    std::thread holding([&] {
        EXPECT_THROW(first.run("held", RunOptions().stop_token(stop.get_token())), Cancelled);
    });
    EXPECT_TRUE(server.wait_for_requests(1, watchdog));
    const RunOptions impatient = RunOptions().timeouts(Timeouts().rate_limit(milliseconds(20)));
    try {
        second.run("waits", impatient);
        ADD_FAILURE() << "it passed the limit";
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::rate_limit);
        EXPECT_EQ(timeout.diagnostics().attempts, 1);
    }
    EXPECT_EQ(waits(), 1U);
    stop.request_stop();
    holding.join();
    EXPECT_EQ(second.run("free again").text(), "You said: free again");
    EXPECT_TRUE(first.messages().empty());
}

/// The budget of a minute is spent by the first call; the second waits and is cancelled.
TEST_F(RateLimitTest, TokensAreCountedAsTheProviderReportsThem) {
    server.push(openai_chat_reply("long", testing::OpenAIUsage(900, 200)));
    SyncLLMProcess process = program("tokens_per_minute = 1000\n").start_sync();
    EXPECT_EQ(process.run("first").text(), "long");
    const RunOptions impatient = RunOptions().timeouts(Timeouts().rate_limit(milliseconds(20)));
    EXPECT_THROW(process.run("second", impatient), Timeout);
    EXPECT_EQ(server.stats().requests, 1U);
}

TEST_F(RateLimitTest, ATooManyRequestsHoldsTheWholeGroup) {
    server.push(openai_error_reply(429, "slow down").header("retry-after", "30"));
    const LLMProgram limited = program("max_in_flight = 10\n");
    SyncLLMProcess first = limited.start_sync(SyncOptions().on(loop));
    SyncLLMProcess second = limited.start_sync(SyncOptions().on(loop));
    EXPECT_THROW(first.run("hits the limit"), LLMError);
    const RunOptions impatient = RunOptions().timeouts(Timeouts().rate_limit(milliseconds(20)));
    EXPECT_THROW(second.run("would hit it too", impatient), Timeout);
    EXPECT_EQ(server.stats().requests, 1U);
}

TEST_F(RateLimitTest, TheProvidersHeadersLowerTheBudget) {
    server.push(openai_chat_reply("last one")
                    .header("x-ratelimit-limit-requests", "100")
                    .header("x-ratelimit-remaining-requests", "0")
                    .header("x-ratelimit-reset-requests", "30s"));
    SyncLLMProcess process = program("requests_per_minute = 100\n").start_sync();
    EXPECT_EQ(process.run("first").text(), "last one");
    const RunOptions impatient = RunOptions().timeouts(Timeouts().rate_limit(milliseconds(20)));
    EXPECT_THROW(process.run("second", impatient), Timeout);
    EXPECT_EQ(server.stats().requests, 1U);
}

TEST_F(RateLimitTest, WithoutTheTableNothingWaits) {
    server.push(openai_chat_reply("last one")
                    .header("x-ratelimit-remaining-requests", "0")
                    .header("x-ratelimit-reset-requests", "30s"));
    SyncLLMProcess process = testing::program_for(server).start_sync();
    EXPECT_EQ(process.run("first").text(), "last one");
    EXPECT_EQ(process.run("second").text(), "You said: second");
}

TEST_F(RateLimitTest, CloseEndsTheWait) {
    server.push(Reply().hold());
    const LLMProgram limited = program("max_in_flight = 1\n");
    SyncLLMProcess first = limited.start_sync(SyncOptions().on(loop));
    SyncLLMProcess second = limited.start_sync(SyncOptions().on(loop));
    std::thread holding([&] { EXPECT_THROW(first.run("held"), ProcessClosed); });
    EXPECT_TRUE(server.wait_for_requests(1, watchdog));
    std::thread waiting([&] { EXPECT_THROW(second.run("waits"), ProcessClosed); });
    second.close();
    waiting.join();
    first.close();
    holding.join();
}

}  // namespace
}  // namespace llmproc
