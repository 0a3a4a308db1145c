#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/anthropic.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/described_types.hpp"
#include "support/recording_observer.hpp"
#include "support/test_program.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

namespace llmproc {
namespace {

using namespace testing;
namespace asio = boost::asio;

class TypedRunTest : public ::testing::Test {
protected:
    SyncLLMProcess process(const std::string& more = "") {
        return program_for(server_, more).start_sync();
    }

    template <typename Call>
    LLMError failure(Call call) {
        try {
            call();
        } catch (const LLMError& error) {
            return error;
        }
        return LLMError(Errc::internal, "no error");
    }

    ScriptedServer server_;
};

TEST_F(TypedRunTest, AFailureLeavesTheConversationAsItWas) {
    server_.push(openai_chat_reply("Hello."));
    server_.push(openai_chat_reply("no", OpenAIUsage(10, 5)));
    server_.push(openai_chat_reply("{\"city\":1}", OpenAIUsage(20, 5)));
    server_.push(openai_chat_reply(weather_text));
    SyncLLMProcess process = this->process();
    process.run("Hi.");
    const History before = process.messages();
    const LLMError error = failure([&] { process.run_as<Weather>("Weather?"); });
    EXPECT_EQ(error.errc(), Errc::invalid_answer);
    EXPECT_NE(
        std::string(error.what()).find("$.city: expected a string, found 1"),
        std::string::npos
    ) << error.what();
    EXPECT_EQ(error.diagnostics().partial_text, "{\"city\":1}");
    EXPECT_EQ(error.diagnostics().partial_usage.value().input_tokens, 30);
    EXPECT_EQ(error.diagnostics().model, "test-model");
    EXPECT_EQ(process.messages(), before);
    EXPECT_EQ(process.stats().failed_runs, 1U);
    EXPECT_EQ(process.run_as<Weather>("Again?"), weather());
    EXPECT_EQ(server_.requests().size(), 4U);
}

TEST_F(TypedRunTest, AnAnswerIsKeptIfTheNextQuestionFails) {
    const auto observer = std::make_shared<RecordingObserver>();
    SyncLLMProcess process = program_for(server_).with_observer(observer).start_sync();
    server_.push(openai_chat_reply("Gladly.", OpenAIUsage(10, 5)));
    server_.push(openai_error_reply(503, "down"));
    const LLMError error = failure([&] { process.run_as<Weather>("Weather?"); });
    EXPECT_EQ(error.diagnostics().status, 503) << error.what();
    EXPECT_EQ(error.diagnostics().partial_text, "Gladly.");
    EXPECT_EQ(error.diagnostics().partial_usage.value_or(Usage()).total_tokens, 15);
    EXPECT_EQ(error.diagnostics().attempts, 2);
    int attempt = 0;
    for (const RecordedEvent& entry : observer->events()) {
        EXPECT_GE(entry.event.attempt, attempt) << "attempts count on";
        attempt = entry.event.attempt;
    }
    EXPECT_EQ(attempt, 2);
    EXPECT_TRUE(process.messages().empty());

    server_.push(openai_chat_reply("Gladly.", OpenAIUsage(10, 5)));
    server_.push(Reply().hold());
    try {
        process.run_as<Weather>("Again?", RunOptions().timeout(std::chrono::milliseconds(300)));
        FAIL();
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.diagnostics().partial_text, "Gladly.");
    }
}

TEST_F(TypedRunTest, TheFirstQuestionsFailureHasNoAnswer) {
    SyncLLMProcess process = this->process();
    server_.push(openai_error_reply(503, "down"));
    const LLMError error = failure([&] { process.run_as<Weather>("Weather?"); });
    EXPECT_EQ(error.diagnostics().partial_text, "");
    EXPECT_FALSE(error.diagnostics().partial_usage.has_value());
}

TEST_F(TypedRunTest, WhatWasAskedAgainIsNotTakenForTheConversation) {
    SyncLLMProcess process = this->process();
    server_.push(openai_chat_reply(weather_text, OpenAIUsage(50, 5)));
    process.run_as<Weather>("Weather?");
    EXPECT_EQ(process.count_tokens().source, TokenSource::last_usage);
    EXPECT_EQ(process.count_tokens().input_tokens, 55);
    server_.push(openai_chat_reply(std::string(4'000, 'x'), OpenAIUsage(50, 1'000)));
    server_.push(openai_chat_reply(weather_text, OpenAIUsage(5'000, 5)));
    process.run_as<Weather>("Again?");
    const TokenCount count = process.count_tokens();
    EXPECT_EQ(count.source, TokenSource::estimate);
    EXPECT_LT(count.input_tokens, 1'000) << "neither the bad answer nor what was said to it";
}

TEST_F(TypedRunTest, NoReaskIfNoneIsWanted) {
    server_.push(openai_chat_reply("no"));
    SyncLLMProcess process = this->process();
    const LLMError error = failure([&] {
        process.run_as<Weather>("Weather?", RunOptions().reasks(0));
    });
    EXPECT_EQ(error.errc(), Errc::invalid_answer);
    EXPECT_EQ(server_.requests().size(), 1U);
}

TEST_F(TypedRunTest, ToolCallsAreNoValue) {
    server_.push(openai_tool_call_reply({OpenAIToolCall("call_1", "f", "{}")}));
    SyncLLMProcess process = this->process();
    const LLMError error = failure([&] { process.run_as<Weather>("Weather?"); });
    EXPECT_EQ(error.errc(), Errc::invalid_answer);
    EXPECT_EQ(server_.requests().size(), 1U);
    EXPECT_TRUE(process.messages().empty());
}

TEST_F(TypedRunTest, AModelWithoutStructuredOutputIsToldInWords) {
    server_.push(anthropic_reply("Of course:\n```json\n{\"value\": \"rain\"}\n```"));
    server_.push(anthropic_reply("Gladly."));
    const auto program = LLMProgram::from_toml_string(
        "[model]\nname = \"claude-3-opus\"\nprovider = \"anthropic\"\nbase_url = \"" +
            server_.url() + "\"\napi_key_env = \"\"\n[prompt]\nsystem = \"Be exact.\"\n" +
            "[connection]\nca_file = \"" + server_.ca_file() + "\"\n",
        "test.toml"
    );
    SyncLLMProcess process = program.start_sync();
    EXPECT_EQ(process.run_as<Sky>("Sky?"), Sky::rain);
    process.run("Thank you.");
    const Json first = parse_json(server_.requests().at(0).body);
    EXPECT_FALSE(first.contains("output_config"));
    const std::string system = first.at("system").dump();
    EXPECT_NE(system.find("Be exact."), std::string::npos);
    EXPECT_NE(system.find("cloudy"), std::string::npos) << system;
    // Only that request has it.
    EXPECT_EQ(server_.requests().at(1).body.find("JSON Schema"), std::string::npos);
}

TEST_F(TypedRunTest, EachModelOfAFallbackIsAskedInItsOwnWay) {
    server_.push(openai_error_reply(503, "no capacity", "overloaded"));
    server_.push(anthropic_reply(R"({"value":"rain"})"));
    const auto program = LLMProgram::from_toml_string(
        program_text(server_) +
            "[[model.fallback]]\nname = \"claude-3-opus\"\nprovider = \"anthropic\"\n"
            "base_url = \"" +
            server_.url() + "\"\napi_key_env = \"\"\n",
        "test.toml"
    );
    SyncLLMProcess process = program.start_sync();
    const auto typed = process.run_typed<Sky>("Sky?");
    EXPECT_EQ(typed.value, Sky::rain);
    EXPECT_EQ(typed.result.provider(), "anthropic");
    EXPECT_EQ(typed.result.fallbacks().size(), 1U);
    EXPECT_TRUE(parse_json(server_.requests().at(0).body).contains("response_format"));
    const Json second = parse_json(server_.requests().at(1).body);
    EXPECT_FALSE(second.contains("output_config"));
    EXPECT_NE(second.at("system").dump().find("cloudy"), std::string::npos);
}

TEST_F(TypedRunTest, AMessageMayAskToo) {
    server_.push(openai_chat_reply("{\"value\":\"rain\"}"));
    SyncLLMProcess process = this->process();
    EXPECT_EQ(
        process.run_as<Sky>(Message::user("Sky?"), RunOptions().timeout(watchdog)),
        Sky::rain
    );
    EXPECT_EQ(process.messages().at(0)->text(), "Sky?");
}

TEST_F(TypedRunTest, AStreamThatIsOpenRefusesIt) {
    server_.push(openai_chat_stream({"a", "b"}));
    SyncLLMProcess process = this->process();
    SyncStream stream = process.stream("Tell me.");
    EXPECT_THROW(process.run_as<Weather>("Weather?"), ReentrantCall);
}

TEST_F(TypedRunTest, StopEndsTheSecondExchangeToo) {
    server_.push(openai_chat_reply("no"));
    server_.push(Reply().hold());
    server_.push(openai_chat_reply(weather_text));
    SyncLLMProcess process = this->process();
    std::stop_source stop;
    std::thread watcher([&] {
        EXPECT_TRUE(server_.wait_for_requests(2, watchdog));
        stop.request_stop();
    });
    const LLMError error = failure([&] {
        process.run_as<Weather>("Weather?", RunOptions().stop_token(stop.get_token()));
    });
    watcher.join();
    EXPECT_EQ(error.errc(), Errc::cancelled);
    EXPECT_TRUE(process.messages().empty());
    EXPECT_EQ(process.run_as<Weather>("Weather?"), weather());
}

/// Drives a coroutine on a context of its own.
template <typename Body>
void drive(const LLMProgram& program, Body body) {
    asio::io_context context;
    AsyncLLMProcess process = program.start(context.get_executor());
    asio::co_spawn(context, body(process), [](const std::exception_ptr& error) {
        if (error) {
            std::rethrow_exception(error);
        }
    });
    context.run();
}

TEST_F(TypedRunTest, CoroutinesHaveTheSame) {
    server_.push(openai_chat_reply(weather_text));
    server_.push(openai_chat_reply("no"));
    server_.push(openai_chat_reply(R"({"name":"a","children":[],"next":null})"));
    const auto body = [](AsyncLLMProcess& process) -> asio::awaitable<void> {
        const Weather read = co_await process.run_as<Weather>("Weather in Paris?");
        EXPECT_EQ(read, weather());
        // A type that can only be moved.
        const auto tree = co_await process.run_typed<Tree>("A tree?", RunOptions().reasks(1));
        EXPECT_EQ(tree.value.name, "a");
        EXPECT_EQ(tree.result.api_calls(), 2);
        EXPECT_EQ(tree.result.usage().input_tokens, 20);
        EXPECT_EQ(process.messages().size(), 4U);
    };
    drive(program_for(server_), body);
}

TEST_F(TypedRunTest, AnOpenStreamMakesACoroutineBusy) {
    server_.push(openai_chat_stream({"a", "b"}));
    const auto body = [](AsyncLLMProcess& process) -> asio::awaitable<void> {
        Stream stream = co_await process.stream("Tell me.");
        Errc code = Errc::internal;
        try {
            co_await process.run_as<Weather>("Weather?");
        } catch (const LLMError& error) {
            code = error.errc();
        }
        EXPECT_EQ(code, Errc::busy);
    };
    drive(program_for(server_), body);
}

TEST_F(TypedRunTest, ASlotCancelsIt) {
    server_.push(Reply().hold());
    asio::io_context context;
    AsyncLLMProcess process = program_for(server_).start(context.get_executor());
    asio::cancellation_signal signal;
    std::exception_ptr ended;
    asio::co_spawn(
        context,
        process.run_as<Weather>("Weather?"),
        asio::bind_cancellation_slot(
            signal.slot(),
            [&ended](const std::exception_ptr& error, const Weather&) { ended = error; }
        )
    );
    std::thread watcher([&] {
        EXPECT_TRUE(server_.wait_for_requests(1, watchdog));
        asio::post(context, [&] { signal.emit(asio::cancellation_type::terminal); });
    });
    context.run();
    watcher.join();
    ASSERT_TRUE(ended);
    EXPECT_THROW(std::rethrow_exception(ended), Cancelled);
    EXPECT_TRUE(process.messages().empty());
}

}  // namespace
}  // namespace llmproc
