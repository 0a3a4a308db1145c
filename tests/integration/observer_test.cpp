#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "core/environment.hpp"
#include "integration/observer_support.hpp"
#include "support/local_server.hpp"
#include "support/parity_support.hpp"
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::expect_sane_durations;
using testing::fresh;
using testing::no_retry;
using testing::ObserverTest;
using testing::openai_chat_stream;
using testing::openai_error_reply;
using testing::OpenAIUsage;
using testing::prompt_retry;
using testing::RecordedEvent;
using testing::Reply;
using testing::Subject;
using testing::watchdog;

/// The events of both kinds of process.
class ObserverParityTest : public ObserverTest, public ::testing::WithParamInterface<const char*> {
protected:
    std::unique_ptr<Subject> start(const LLMProgram& from) {
        return std::string(GetParam()) == "sync" ? testing::sync_subject(from)
                                                 : testing::async_subject(from);
    }
    std::unique_ptr<Subject> subject(const std::string& retry = no_retry) {
        return start(program("", retry));
    }
    /// Makes a call fail with `code`.
    template <typename Call>
    void expect_failure(Errc code, Call call) {
        try {
            call();
            ADD_FAILURE() << "nothing was thrown";
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), code) << error.what();
        }
    }
};

TEST_P(ObserverParityTest, AFirstCallAndASecondOne) {
    const auto process = subject();
    process->run("hi", std::nullopt);
    EXPECT_EQ(observer->steps(), fresh + " done");
    process->run("again", std::nullopt);
    EXPECT_EQ(observer->steps(), fresh + " done reuse request first_byte done");
    expect_sane_durations(events());
    std::set<std::uint64_t> calls;
    for (const RecordedEvent& entry : events()) {
        calls.insert(entry.event.call);
        EXPECT_EQ(entry.event.attempt, 1);
        EXPECT_EQ(entry.event.error, std::nullopt);
        EXPECT_FALSE(entry.event.streaming);
        EXPECT_EQ(entry.operation, "chat");
        EXPECT_EQ(entry.provider, "openai_compatible");
        EXPECT_EQ(entry.model, "test-model");
        EXPECT_EQ(entry.server_address, "localhost");
        EXPECT_EQ(entry.event.server_port, server.port());
    }
    EXPECT_EQ(calls.size(), 2U);
    EXPECT_EQ(events().at(0).event.call, events().at(5).event.call);
    EXPECT_EQ(events().at(6).event.call, events().at(9).event.call);
}

TEST_P(ObserverParityTest, EveryStepHasItsDetails) {
    server.push(testing::openai_chat_reply("ok", OpenAIUsage(11, 3)).header("x-request-id", "r-1"));
    subject()->run("hi", std::nullopt);
    const auto list = events();
    ASSERT_EQ(observer->steps(), fresh + " done");
    EXPECT_TRUE(list[0].event.cached) << "localhost needs no query";
    EXPECT_EQ(list[0].event.stage, Stage::resolve);
    EXPECT_TRUE(list[1].peer_address == "127.0.0.1" || list[1].peer_address == "::1");
    EXPECT_EQ(list[2].tls_version, "TLSv1.3");
    EXPECT_FALSE(list[2].event.resumed);
    EXPECT_GT(list[3].event.bytes, server.requests().at(0).body.size());
    EXPECT_FALSE(list[3].event.replaced);
    EXPECT_EQ(list[4].event.status, 200);
    EXPECT_EQ(list[5].event.status, 200);
    EXPECT_EQ(list[5].request_id, "r-1");
    EXPECT_TRUE(list[5].usage.reported);
    EXPECT_EQ(list[5].usage.input_tokens, 11);
    EXPECT_EQ(list[5].usage.output_tokens, 3);
}

TEST_P(ObserverParityTest, ANewConnectionToAKnownServerResumesTls) {
    const auto process = subject();
    process->run("hi", std::nullopt);
    server.close_idle_connections();
    process->run("again", std::nullopt);
    EXPECT_EQ(observer->steps(), fresh + " done " + fresh + " done");
    const auto handshakes = observer->events(CallStep::tls);
    EXPECT_FALSE(handshakes.at(0).event.resumed);
    EXPECT_TRUE(handshakes.at(1).event.resumed);
}

TEST_P(ObserverParityTest, ADeadConnectionIsReplacedAndNothingFails) {
    const auto process = subject();
    process->run("hi", std::nullopt);
    server.push(Reply().close_without_answer());
    process->run("again", std::nullopt);
    EXPECT_EQ(observer->steps(), fresh + " done reuse request " + fresh + " done");
    const auto requests = observer->events(CallStep::request);
    EXPECT_FALSE(requests.at(1).event.replaced);
    EXPECT_TRUE(requests.at(2).event.replaced);
    for (const RecordedEvent& entry : events()) {
        EXPECT_EQ(entry.event.error, std::nullopt) << to_string(entry.event.step);
    }
}

TEST_P(ObserverParityTest, ARetryHasStatusAndDelay) {
    server.push(openai_error_reply(503, "later").header("retry-after-ms", "2"));
    server.push(openai_error_reply(429, "slow").header("retry-after-ms", "3"));
    subject(prompt_retry)->run("hi", std::nullopt);
    const std::string again = " reuse request first_byte";
    EXPECT_EQ(observer->steps(), fresh + " retry" + again + " retry" + again + " done");
    const auto retries = observer->events(CallStep::retry);
    ASSERT_EQ(retries.size(), 2U);
    EXPECT_EQ(retries[0].event.status, 503);
    EXPECT_EQ(retries[0].event.error, Errc::overloaded);
    EXPECT_EQ(retries[0].event.delay, milliseconds(2));
    EXPECT_EQ(retries[1].event.status, 429);
    EXPECT_EQ(retries[1].event.error, Errc::rate_limited);
    EXPECT_EQ(retries[1].event.delay, milliseconds(3));
    std::vector<int> attempts;
    for (const RecordedEvent& entry : events()) {
        attempts.push_back(entry.event.attempt);
    }
    EXPECT_EQ(attempts, (std::vector<int>{1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}));
    EXPECT_EQ(observer->events(CallStep::first_byte).at(1).event.status, 429);
    EXPECT_EQ(last().event.error, std::nullopt);
    expect_sane_durations(events());
}

TEST_P(ObserverParityTest, ARefusedConnectionFailsItsStepAndTheCall) {
    testing::LoopbackSocket taken;  // Bound and not listening.
    const LLMProgram nobody = LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"ollama\"\nbase_url = \"http://127.0.0.1:" +
        std::to_string(taken.bind()) + "\"\n[retry]\ninitial_delay = 0\nmax_attempts = 2\n"
    );
    const auto process = start(nobody.with_observer(observer));
    expect_failure(Errc::connect_failed, [&] { process->run("hi", std::nullopt); });
    EXPECT_EQ(observer->steps(), "dns connect retry dns connect done");
    for (const RecordedEvent& entry : observer->events(CallStep::connect)) {
        EXPECT_EQ(entry.event.error, Errc::connect_failed);
        EXPECT_EQ(entry.peer_address, "");
    }
    EXPECT_EQ(observer->events(CallStep::retry).at(0).event.stage, Stage::connect);
    EXPECT_EQ(last().event.error, Errc::connect_failed);
    EXPECT_EQ(last().event.stage, Stage::connect);
    EXPECT_EQ(last().event.attempt, 2);
    EXPECT_EQ(last().event.status, 0);
    EXPECT_FALSE(last().usage.reported);
}

TEST_P(ObserverParityTest, AnUntrustedCertificateFailsTheHandshake) {
    const LLMProgram stranger = LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\nbase_url = \"" +
        server.base_url() + "\"\napi_key_env = \"\"\n"
    );
    const auto process = start(stranger.with_observer(observer));
    expect_failure(Errc::certificate_invalid, [&] { process->run("hi", std::nullopt); });
    EXPECT_EQ(observer->steps(), "dns connect tls done");
    EXPECT_EQ(events().at(2).event.error, Errc::certificate_invalid);
    EXPECT_EQ(last().event.error, Errc::certificate_invalid);
}

TEST_P(ObserverParityTest, GarbageIsNotALostConnection) {
    server.push(Reply().raw("This is no HTTP at all.\r\n\r\n"));
    const auto process = subject();
    expect_failure(Errc::malformed_http, [&] { process->run("hi", std::nullopt); });
    EXPECT_EQ(observer->steps(), fresh + " done");
    EXPECT_EQ(events().at(4).event.error, Errc::malformed_http);
    EXPECT_EQ(last().event.error, Errc::malformed_http);
}

TEST_P(ObserverParityTest, ACancelledCallSaysSoEverywhere) {
    server.push(Reply().hold());
    const auto process = subject();
    std::stop_source stop;
    std::thread stopper([&] {
        EXPECT_TRUE(server.wait_for_requests(1, watchdog));
        stop.request_stop();
    });
    expect_failure(Errc::cancelled, [&] {
        process->run("hi", RunOptions().stop_token(stop.get_token()));
    });
    stopper.join();
    EXPECT_EQ(observer->steps(), fresh + " done");
    EXPECT_EQ(events().at(4).event.error, Errc::cancelled);
    EXPECT_EQ(last().event.error, Errc::cancelled);
    for (const RecordedEvent& entry : events()) {
        EXPECT_NE(entry.event.error, Errc::connection_lost) << to_string(entry.event.step);
    }
    expect_sane_durations(events());
}

TEST_P(ObserverParityTest, ATimeoutIsATimeoutInStepAndCall) {
    server.push(Reply().hold());
    const auto process = subject();
    const Timeouts limits = Timeouts().first_byte(milliseconds(20));
    expect_failure(Errc::timeout, [&] { process->run("hi", RunOptions().timeouts(limits)); });
    EXPECT_EQ(observer->steps(), fresh + " done");
    EXPECT_EQ(events().at(4).event.error, Errc::timeout);
    EXPECT_EQ(events().at(4).event.stage, Stage::first_byte);
    EXPECT_EQ(last().event.error, Errc::timeout);
    EXPECT_EQ(last().event.stage, Stage::first_byte);
}

TEST_P(ObserverParityTest, AStreamEndsWithItsUsage) {
    server.push(openai_chat_stream({"Hel", "lo"}, OpenAIUsage(7, 2)));
    const auto process = subject();
    std::string text;
    process->read_stream("hi", std::nullopt, text);
    EXPECT_EQ(observer->steps(), fresh + " done");
    for (const RecordedEvent& entry : events()) {
        EXPECT_TRUE(entry.event.streaming) << to_string(entry.event.step);
    }
    EXPECT_EQ(last().usage.input_tokens, 7);
    EXPECT_EQ(last().usage.output_tokens, 2);
    EXPECT_EQ(last().event.status, 200);
    expect_sane_durations(events());
}

TEST_P(ObserverParityTest, ABrokenStreamEndsWithItsError) {
    server.push(openai_chat_stream({"one", "two", "three"}).truncate_after(600));
    const auto process = subject();
    std::string text;
    EXPECT_THROW(process->read_stream("hi", std::nullopt, text), LLMError);
    EXPECT_EQ(observer->steps(), fresh + " done");
    EXPECT_TRUE(last().event.error);
    EXPECT_FALSE(last().usage.reported);
}

TEST_P(ObserverParityTest, ACompletionReportsItsOwnModel) {
    const auto process = subject();
    ChatRequest request("hi");
    request.model = "another-model";
    process->complete(request, std::nullopt);
    process->run("hi", std::nullopt);
    EXPECT_EQ(events().front().model, "another-model");
    EXPECT_EQ(last().model, "test-model");
}

TEST_P(ObserverParityTest, LocalWorkIsNoRequest) {
    const auto process = subject();
    process->count_tokens(std::nullopt);
    process->reset();
    ASSERT_EQ(observer->steps(), "done");
    EXPECT_EQ(last().operation, "count_tokens");
    EXPECT_EQ(last().event.attempt, 0);
    EXPECT_FALSE(last().usage.reported);
}

TEST_P(ObserverParityTest, NoEventHoldsContentKeyOrHeader) {
    const ScopedEnvironment environment(std::map<std::string, std::string>{
        {"OBSERVED_KEY", "key-confidential"}});
    std::string text = testing::program_text(server, "", prompt_retry);
    const std::string none = "api_key_env = \"\"";
    text.replace(text.find(none), none.size(), "api_key_env = \"OBSERVED_KEY\"");
    const auto process = start(LLMProgram::from_toml_string(text).with_observer(observer));
    server.push(openai_error_reply(500, "error-confidential").header("x-note", "h-confidential"));
    server.push(testing::openai_chat_reply("reply-confidential").header("x-note", "h-confidential")
    );
    server.push(openai_chat_stream({"reply-confidential"}));
    server.push(openai_error_reply(401, "key-confidential is wrong"));
    process->run("prompt-confidential", std::nullopt);
    std::string read;
    process->read_stream("prompt-confidential", std::nullopt, read);
    expect_failure(Errc::authentication_failed, [&] { process->run("x", std::nullopt); });
    EXPECT_EQ(server.requests().at(0).header("Authorization"), "Bearer key-confidential");
    EXPECT_EQ(observer->count(CallStep::done), 3U);
    for (const RecordedEvent& entry : events()) {
        const std::string all = entry.operation + entry.provider + entry.model +
                                entry.server_address + entry.tls_version + entry.peer_address +
                                entry.request_id;
        EXPECT_EQ(all.find("confidential"), std::string::npos) << all;
        EXPECT_EQ(all.find("brief"), std::string::npos) << all;
    }
}

TEST_P(ObserverParityTest, WithoutAnObserverNothingIsTold) {
    const LLMProgram watched = program();
    const auto quiet = start(watched.with_observer(nullptr));
    quiet->run("hi", std::nullopt);
    EXPECT_TRUE(events().empty());
    start(watched)->run("hi", std::nullopt);
    EXPECT_EQ(observer->count(CallStep::done), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    ObserverParityTest,
    ::testing::Values("sync", "async"),
    [](const auto& row) { return std::string(row.param); }
);

}  // namespace
}  // namespace llmproc
