// Costs and limits of whole processes, of both kinds.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/local_server.hpp"
#include "support/parity_support.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::openai_error_reply;
using testing::OpenAIUsage;
using testing::Reply;
using testing::ScriptedServer;
using testing::Subject;

/// A dollar for a thousand tokens read, ten for a thousand written.
const std::string own_prices =
    "as_of = 2026-11-21\n[[price]]\nprovider = \"openai_compatible\"\nmodel = \"test-model\"\n"
    "input = 1000\noutput = 10000\ncached_input = 100\n"
    "[[price]]\nprovider = \"openai_compatible\"\nmodel = \"cheap\"\ninput = 1\noutput = 1\n";

class SpendingProcessTest : public ::testing::TestWithParam<const char*> {
protected:
    SpendingProcessTest() {
        testing::write_file(folder.path() / "prices.toml", own_prices);
        server.handle(testing::openai_chat_echo);
    }

    LLMProgram program(
        const std::string& limits = "",
        bool priced = true,
        const std::string& retry = testing::no_retry
    ) {
        std::string text = testing::program_text(server, limits, retry);
        if (priced) {
            const std::string model = "[model]\n";
            text.insert(
                model.size(),
                "prices_file = \"" + (folder.path() / "prices.toml").string() + "\"\n"
            );
        }
        return LLMProgram::from_toml_string(text, "test.toml");
    }

    std::unique_ptr<Subject> start(const LLMProgram& from) {
        return std::string(GetParam()) == "sync" ? testing::sync_subject(from)
                                                 : testing::async_subject(from);
    }

    /// The refusal of a call, which must leave no trace.
    template <typename Call>
    std::string refusal(Subject& subject, Call call) {
        const std::size_t requests = server.requests().size();
        const std::string before = to_json(subject.messages());
        try {
            call();
            ADD_FAILURE() << "was let through";
            return "";
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::budget_exhausted) << error.what();
            EXPECT_EQ(error.diagnostics().model, "test-model");
            EXPECT_EQ(to_json(subject.messages()), before);
            EXPECT_EQ(server.requests().size(), requests);
            return error.message();
        }
    }

    const testing::Folder folder;
    ScriptedServer server;
};

TEST_P(SpendingProcessTest, ARunSaysWhatItCost) {
    const auto subject = start(program());
    server.push(openai_chat_reply("a", OpenAIUsage(1'000, 100, 400)));
    const RunResult run = subject->run("x", std::nullopt);
    ASSERT_TRUE(run.cost().has_value());
    EXPECT_DOUBLE_EQ(run.cost()->usd, 0.6 + 0.04 + 1.0);
    server.push(openai_chat_stream({"b"}, OpenAIUsage(2'000, 0)));
    const RunResult stream = subject->stream_result(Message::user("y"), std::nullopt);
    ASSERT_TRUE(stream.cost().has_value());
    EXPECT_DOUBLE_EQ(stream.cost()->usd, 2.0);
    server.push(openai_chat_reply("c", OpenAIUsage(500, 10)));
    subject->complete(ChatRequest("z"), std::nullopt);
    const ProcessStats stats = subject->stats();
    EXPECT_EQ(stats.usage.input_tokens, 3'500);
    EXPECT_EQ(stats.usage.output_tokens, 110);
    EXPECT_EQ(stats.usage.cached_input_tokens, 400);
    EXPECT_EQ(stats.unpriced, 0U);
    ASSERT_TRUE(stats.cost.has_value());
    EXPECT_DOUBLE_EQ(stats.cost->usd, 1.64 + 2.0 + 0.6);
}

TEST_P(SpendingProcessTest, AnUnknownPriceIsNoCostInsteadOfZero) {
    const auto subject = start(program("", false));
    EXPECT_EQ(subject->run("x", std::nullopt).cost(), std::nullopt);
    EXPECT_EQ(subject->stats().cost, std::nullopt);
    EXPECT_EQ(subject->stats().unpriced, 1U);
    EXPECT_GT(subject->stats().usage.total_tokens, 0);
}

TEST_P(SpendingProcessTest, AnotherModelOfOneRequestHasItsOwnPrice) {
    const auto subject = start(program());
    ChatRequest other("x");
    other.model = "another";
    subject->complete(other, std::nullopt);
    EXPECT_EQ(subject->stats().unpriced, 1U);
    EXPECT_EQ(subject->stats().cost, std::nullopt);
}

TEST_P(SpendingProcessTest, AFailedAttemptThatReportedUsageIsPartOfTheRun) {
    const auto subject = start(program("", true, testing::prompt_retry));
    server.push(openai_error_reply(500, "first", "server_error"));
    server.push(openai_chat_reply("fine", OpenAIUsage(1'000, 0)));
    const RunResult run = subject->run("x", std::nullopt);
    EXPECT_EQ(run.attempts(), 2);
    EXPECT_EQ(run.api_calls(), 1);
    EXPECT_EQ(run.usage().input_tokens, 1'000) << "an error without usage adds nothing";
    // Nothing of the answer was delivered before the error, so it is repeated.
    server.push(
        Reply::sse({R"({"id":"c","choices":[],"usage":{"prompt_tokens":700,"completion_tokens":7,)"
                    R"("total_tokens":707}})",
                    R"({"error":{"message":"late","type":"server_error"}})"})
            .close_after()
    );
    server.push(openai_chat_stream({"ok"}, OpenAIUsage(100, 0)));
    const RunResult stream = subject->stream_result(Message::user("y"), std::nullopt);
    EXPECT_EQ(stream.attempts(), 2);
    EXPECT_EQ(stream.api_calls(), 1);
    EXPECT_EQ(stream.reply().usage.input_tokens, 100);
    EXPECT_EQ(stream.usage().input_tokens, 800);
    EXPECT_DOUBLE_EQ(stream.cost().value_or(Cost()).usd, 0.8 + 0.07);
    EXPECT_EQ(subject->stats().usage.input_tokens, 1'800);
}

TEST_P(SpendingProcessTest, MaxRequestsOfAProcessStopsEveryKindOfCall) {
    const auto subject = start(program("[limits.process]\nmax_requests = 3\n"));
    subject->run("1", std::nullopt);
    subject->stream_result(Message::user("2"), std::nullopt);
    subject->complete(ChatRequest("3"), std::nullopt);
    const std::string text = "the limit limits.process.max_requests = 3 leaves nothing: 3 used";
    for (const std::string& message :
         {refusal(*subject, [&] { subject->run("4", std::nullopt); }),
          refusal(*subject, [&] { subject->stream_result(Message::user("4"), std::nullopt); }),
          refusal(*subject, [&] { subject->complete(ChatRequest("4"), std::nullopt); })}) {
        EXPECT_NE(message.find(text), std::string::npos) << message;
    }
    EXPECT_EQ(subject->stats().runs, 2U);
    EXPECT_EQ(subject->stats().failed_runs, 2U);
    EXPECT_FALSE(subject->count_tokens(std::nullopt).exact) << "counting is not spending";
}

TEST_P(SpendingProcessTest, AResetDoesNotFillTheBudget) {
    const auto subject = start(program("[limits.process]\nmax_requests = 1\n"));
    subject->run("1", std::nullopt);
    subject->reset();
    refusal(*subject, [&] { subject->run("2", std::nullopt); });
}

TEST_P(SpendingProcessTest, MaxTokensStopsTheCallAfterTheOneThatPassedIt) {
    const auto subject = start(program("[limits.process]\nmax_tokens = 1000\n"));
    server.push(openai_chat_reply("a", OpenAIUsage(900, 99)));
    subject->run("1", std::nullopt);
    server.push(openai_chat_stream({"b"}, OpenAIUsage(4'000, 1'000)));
    subject->stream_result(Message::user("2"), std::nullopt);
    const std::string message = refusal(*subject, [&] { subject->run("3", std::nullopt); });
    EXPECT_NE(message.find("max_tokens = 1000 leaves nothing: 5999 used"), std::string::npos)
        << message;
}

TEST_P(SpendingProcessTest, MaxCostStopsToo) {
    const auto subject = start(program("[limits.process]\nmax_cost_usd = 1.5\n"));
    server.push(openai_chat_reply("a", OpenAIUsage(1'000, 100)));
    subject->run("1", std::nullopt);
    const std::string message = refusal(*subject, [&] { subject->run("2", std::nullopt); });
    EXPECT_NE(message.find("max_cost_usd = 1.5 leaves nothing: 2 USD used"), std::string::npos)
        << message;
}

TEST_P(SpendingProcessTest, MaxToolCallsCountsWhatTheModelAskedFor) {
    const auto subject = start(program("[limits.process]\nmax_tool_calls = 2\n"));
    using testing::OpenAIToolCall;
    server.push(testing::openai_tool_call_reply(
        {OpenAIToolCall("1", "f", "{}"), OpenAIToolCall("2", "f", "{}")}
    ));
    subject->run("1", std::nullopt);
    EXPECT_EQ(subject->stats().tool_calls, 2U);
    const std::string message = refusal(*subject, [&] { subject->run("2", std::nullopt); });
    EXPECT_NE(message.find("max_tool_calls = 2"), std::string::npos) << message;
}

TEST_P(SpendingProcessTest, EachRunHasItsOwnBudget) {
    const auto subject = start(
        program("[limits.run]\nmax_requests = 1\nmax_tokens = 1\nmax_cost_usd = 0.001\n")
    );
    for (int i = 0; i < 3; ++i) {
        subject->run("again", std::nullopt);
    }
    EXPECT_EQ(subject->stats().runs, 3U);
}

TEST_P(SpendingProcessTest, RetriesOfOneExchangeAreOneRequest) {
    const auto subject = start(
        program("[limits.process]\nmax_requests = 1\n", true, testing::prompt_retry)
    );
    server.push(openai_error_reply(500, "oops", "server_error"));
    EXPECT_EQ(subject->run("1", std::nullopt).attempts(), 2);
    refusal(*subject, [&] { subject->run("2", std::nullopt); });
}

TEST(SpendingAbandonedTest, AStreamThatIsLeftHasUsedWhatWasReported) {
    ScriptedServer server;
    const LLMProgram program = LLMProgram::from_toml_string(
        "[model]\nname = \"claude-opus-5-5\"\nprovider = \"anthropic\"\napi_key_env = \"\"\n"
        "base_url = \"" +
            server.url() + "\"\n[connection]\nca_file = \"" + server.ca_file() + "\"\n",
        "test.toml"
    );
    server.push(Reply::sse({R"({"type":"message_start","message":{"id":"a","type":"message",)"
                            R"("role":"assistant","model":"m","content":[],"stop_reason":null,)"
                            R"("usage":{"input_tokens":1000000,"output_tokens":1}}})",
                            R"({"type":"content_block_start","index":0,)"
                            R"("content_block":{"type":"text","text":""}})",
                            R"({"type":"content_block_delta","index":0,)"
                            R"("delta":{"type":"text_delta","text":"hi"}})",
                            R"({"type":"ping","text":")" + std::string(8'000, 'x') + "\"}"})
                    .hold_after(4'000));
    SyncLLMProcess process = program.start_sync();
    {
        SyncStream stream = process.stream("x");
        const std::optional<StreamEvent> event = stream.next();
        ASSERT_TRUE(event.has_value());
        EXPECT_EQ(event->text(), "hi");
    }
    process.close();
    EXPECT_EQ(process.stats().usage.input_tokens, 1'000'000);
    EXPECT_NEAR(process.stats().cost.value_or(Cost()).usd, 4.0, 0.001);
    EXPECT_TRUE(process.messages().empty());
}

TEST_P(SpendingProcessTest, AnAlternateModelCostsItsOwnPrice) {
    const auto subject = start(program("[[model.fallback]]\nname = \"cheap\"\n"));
    server.push(openai_error_reply(503, "down"));
    server.push(openai_chat_reply("ok", OpenAIUsage(1'000'000, 0)));
    const RunResult run = subject->run("x", std::nullopt);
    EXPECT_EQ(run.model(), "cheap");
    EXPECT_EQ(run.api_calls(), 1);
    EXPECT_EQ(run.cost(), Cost{1});
    EXPECT_EQ(subject->stats().cost, Cost{1});
}

TEST_P(SpendingProcessTest, EachModelThatIsAskedIsARequest) {
    const auto subject = start(
        program("[[model.fallback]]\nname = \"cheap\"\n[limits.run]\nmax_requests = 1\n")
    );
    server.push(openai_error_reply(503, "down"));
    try {
        subject->run("x", std::nullopt);
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::budget_exhausted) << error.what();
        EXPECT_NE(error.message().find("limits.run.max_requests = 1"), std::string::npos);
        EXPECT_NE(error.message().find("down"), std::string::npos) << "what led to it";
    }
    EXPECT_EQ(server.requests().size(), 1U);
    EXPECT_TRUE(subject->messages().empty());
}

INSTANTIATE_TEST_SUITE_P(Kinds, SpendingProcessTest, ::testing::Values("sync", "async"));

TEST(SpendingTypedTest, ARunThatAsksAgainIsSummedAndMayBeStopped) {
    ScriptedServer server;
    const auto answer = [](const std::string& text) {
        return openai_chat_reply(text, OpenAIUsage(100, 10));
    };
    SyncLLMProcess free = testing::program_for(server).start_sync();
    server.push(answer("Gladly."));
    server.push(answer(R"({"value":[1]})"));
    const auto typed = free.run_typed<std::vector<int>>("Numbers?");
    EXPECT_EQ(typed.result.api_calls(), 2);
    EXPECT_EQ(typed.result.usage().total_tokens, 220);

    SyncLLMProcess limited =
        testing::program_for(server, "[limits.run]\nmax_requests = 1\n").start_sync();
    server.push(answer("Gladly."));
    try {
        static_cast<void>(limited.run_typed<std::vector<int>>("Numbers?"));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::budget_exhausted) << error.what();
        EXPECT_NE(error.message().find("nothing more was sent"), std::string::npos);
        EXPECT_EQ(error.diagnostics().partial_text, "Gladly.");
        EXPECT_EQ(error.diagnostics().partial_usage.value_or(Usage()).total_tokens, 110);
    }
    EXPECT_TRUE(limited.messages().empty());
    EXPECT_EQ(limited.stats().usage.total_tokens, 110);
}

/// 64 calls at once, of which `admitted` stay open until no more can come.
void call_at_once(ScriptedServer& server, SyncLLMProcess& process, int admitted) {
    server.hold_until_open_requests(static_cast<std::size_t>(admitted));
    std::atomic<int> answered{0};
    std::atomic<int> refused{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 64; ++i) {
        callers.emplace_back([&] {
            try {
                process.complete(ChatRequest("hi"));
                answered.fetch_add(1);
            } catch (const LLMError& error) {
                EXPECT_EQ(error.errc(), Errc::budget_exhausted) << error.what();
                refused.fetch_add(1);
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(answered.load(), admitted);
    EXPECT_EQ(refused.load(), 64 - admitted);
    EXPECT_EQ(server.requests().size(), static_cast<std::size_t>(admitted));
}

TEST(SpendingConcurrencyTest, CallsAtOnceSendNoMoreRequestsThanTheLimit) {
    ScriptedServer server;
    server.handle(testing::openai_chat_echo);
    SyncLLMProcess process =
        testing::program_for(server, "[limits.process]\nmax_requests = 10\n").start_sync();
    call_at_once(server, process, 10);
}

TEST(SpendingConcurrencyTest, CallsAtOnceReserveTheTokensTheyMayUse) {
    ScriptedServer server;
    // Each answer is as long as it may be, so that the tenth reaches the limit.
    server.default_reply(openai_chat_reply("hi", OpenAIUsage(20, 1'000)));
    SyncLLMProcess process = testing::program_for(
                                 server,
                                 "[parameters]\nmax_tokens = 1000\n"
                                 "[limits.process]\nmax_tokens = 10000\n"
    )
                                 .start_sync();
    call_at_once(server, process, 10);
    EXPECT_EQ(process.stats().usage.total_tokens, 10'200);
}

}  // namespace
}  // namespace llmproc
