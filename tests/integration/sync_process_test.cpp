#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::openai_chat_echo;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::program_for;
using testing::Reply;
using testing::ScriptedServer;
using testing::watchdog;

TEST(SyncProcessTest, FiftyRunsAreOneConnectionOneHandshakeOneThread) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    const std::thread::id loop = process.loop().thread_id();
    for (int i = 0; i < 50; ++i) {
        const std::string prompt = "number " + std::to_string(i);
        const RunResult result = process.run(prompt);
        EXPECT_EQ(result.text(), "You said: " + prompt);
        EXPECT_EQ(result.stop_reason(), StopReason::end_turn);
        EXPECT_TRUE(result.usage().reported);
        EXPECT_EQ(result.api_calls(), 1);
        EXPECT_EQ(process.loop().thread_id(), loop);
    }
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(server.stats().handshakes, 1U);
    EXPECT_EQ(server.stats().requests, 50U);
    const ProcessStats stats = process.stats();
    EXPECT_EQ(stats.runs, 50U);
    EXPECT_EQ(stats.connections_opened, 1U);
    EXPECT_EQ(stats.tls_handshakes, 1U);
    EXPECT_EQ(stats.connections_reused, 49U);
    EXPECT_EQ(stats.connections_replaced, 0U);
    EXPECT_EQ(process.messages().size(), 100U);
}

TEST(SyncProcessTest, SendsTheConversationAndTheSystemPrompt) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("first");
    process.run("second");
    const std::string body = server.requests().at(1).body;
    const std::size_t system = body.find("Be brief.");
    const std::size_t first = body.find("first", system);
    const std::size_t answer = body.find("You said: first", first);
    const std::size_t second = body.find("second", answer);
    EXPECT_NE(second, std::string::npos) << body;
    process.reset();
    EXPECT_TRUE(process.messages().empty());
    process.run("third");
    EXPECT_EQ(server.requests().at(2).body.find("first"), std::string::npos);
}

TEST(SyncProcessTest, AnIdleConnectionThatTheServerClosedIsReplaced) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("one");
    EXPECT_EQ(server.close_idle_connections(), 1U);
    EXPECT_EQ(process.run("two").text(), "You said: two");
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(server.stats().requests, 2U);
}

struct BadAnswer {
    const char* name;
    Reply reply;
    Errc code;
};

std::vector<BadAnswer> bad_answers() {
    using testing::openai_error_reply;
    return {
        {"400", openai_error_reply(400, "no"), Errc::invalid_request},
        {"401", openai_error_reply(401, "no"), Errc::authentication_failed},
        {"404", openai_error_reply(404, "no"), Errc::not_found},
        {"429",
         openai_error_reply(429, "slow", "requests", "rate_limit_exceeded"),
         Errc::rate_limited},
        {"500", openai_error_reply(500, "oops", "server_error"), Errc::server_error},
        {"not json", Reply::json("{\"id\":"), Errc::malformed_response},
        {"no choices", Reply::json("{}"), Errc::malformed_response},
        {"html",
         Reply().body("<html>").header("Content-Type", "text/html"),
         Errc::malformed_response},
        {"cut body", openai_chat_reply("cut").truncate_after(150), Errc::truncated_response},
        {"cut header", openai_chat_reply("cut").truncate_after(20), Errc::truncated_response},
        {"reset", openai_chat_reply("cut").reset_after(150), Errc::connection_lost},
        {"no http", Reply().raw("SSH-2.0-OpenSSH_9.2\r\n"), Errc::malformed_http},
    };
}

TEST(SyncProcessTest, EveryFailureIsTypedAndLeavesTheConversationAsItWas) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("before");
    History before = process.messages();
    for (const BadAnswer& bad : bad_answers()) {
        server.push(bad.reply);
        try {
            process.run("this fails");
            ADD_FAILURE() << bad.name << ": no error";
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), bad.code) << bad.name << ": " << error.what();
            EXPECT_EQ(error.diagnostics().provider, "openai_compatible") << bad.name;
            EXPECT_EQ(error.diagnostics().model, "test-model") << bad.name;
            EXPECT_EQ(error.diagnostics().attempts, 1) << bad.name;
        }
        EXPECT_EQ(process.messages(), before) << bad.name << ": not the same messages";
        EXPECT_EQ(process.run("after").text(), "You said: after") << bad.name;
        before = process.messages();
    }
}

TEST(SyncProcessTest, StreamsEventsInOrderAndCommitsAtTheEnd) {
    ScriptedServer server;
    server.push(openai_chat_stream({"Hel", "lo", " world"}));
    SyncLLMProcess process = program_for(server).start_sync();
    std::string text;
    int stops = 0;
    for (const StreamEvent& event : process.stream("hi")) {
        text += event.text();
        stops += event.type == StreamEvent::Type::stop ? 1 : 0;
    }
    EXPECT_EQ(text, "Hello world");
    EXPECT_EQ(stops, 1);
    ASSERT_EQ(process.messages().size(), 2U);
    EXPECT_EQ(process.messages().at(1)->text(), "Hello world");
}

TEST(SyncProcessTest, AStreamsResultIsWhatRunWouldHaveReturned) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}));
    SyncLLMProcess process = program_for(server).start_sync();
    SyncStream stream = process.stream("hi");
    const RunResult result = stream.result();
    EXPECT_EQ(result.text(), "ab");
    EXPECT_EQ(result.stop_reason(), StopReason::end_turn);
    EXPECT_TRUE(result.usage().reported);
    EXPECT_FALSE(stream.next());
}

TEST(SyncProcessTest, LeavingAStreamEarlyChangesNothing) {
    ScriptedServer server;
    SyncLLMProcess process = program_for(server).start_sync();
    server.push(openai_chat_stream({"a", "b", "c"}));
    for (const StreamEvent& event : process.stream("hi")) {
        if (event.text() == "a") {
            break;
        }
    }
    server.push(openai_chat_reply("fine"));
    EXPECT_EQ(process.run("next").text(), "fine");
    EXPECT_EQ(process.messages().size(), 2U);
    EXPECT_EQ(process.stats().failed_runs, 1U);
}

TEST(SyncProcessTest, LeavingAStreamThatHangsCancelsIt) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}).hold_after(400));
    SyncLLMProcess process = program_for(server).start_sync();
    { const SyncStream stream = process.stream("hi"); }
    EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
    server.push(openai_chat_reply("fine"));
    EXPECT_EQ(process.run("next").text(), "fine");
}

TEST(SyncProcessTest, ATruncatedStreamIsAnErrorWithThePartialText) {
    ScriptedServer server;
    SyncLLMProcess process = program_for(server).start_sync();
    const std::string piece =
        R"(data: {"id":"x","choices":[{"index":0,"delta":{"content":"par"}}]})"
        "\n\n";
    server.push(Reply().header("Content-Type", "text/event-stream").body(piece));
    std::string text;
    try {
        for (const StreamEvent& event : process.stream("hi")) {
            text += event.text();
        }
        FAIL() << "taken for success";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::truncated_stream) << error.what();
        EXPECT_EQ(error.diagnostics().partial_text, "par");
    }
    EXPECT_EQ(text, "par");
    EXPECT_TRUE(process.messages().empty());
}

TEST(SyncProcessTest, AServerThatDoesNotStreamStillGivesEvents) {
    ScriptedServer server;
    server.push(openai_chat_reply("whole"));
    SyncLLMProcess process = program_for(server).start_sync();
    SyncStream stream = process.stream("hi");
    EXPECT_EQ(stream.next()->text(), "whole");
    EXPECT_EQ(stream.result().text(), "whole");
}

TEST(SyncProcessTest, ARunOnTheThreadOfAnOpenStreamIsReentrant) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}));
    server.default_reply(openai_chat_reply("other"));
    SyncLLMProcess process = program_for(server).start_sync();
    SyncStream stream = process.stream("hi");
    EXPECT_THROW(process.run("me too"), ReentrantCall);
    EXPECT_THROW(process.stream("me too"), ReentrantCall);
    EXPECT_THROW(process.reset(), ReentrantCall);
    EXPECT_EQ(process.complete(ChatRequest("stateless")).text(), "other");
    auto elsewhere = std::async(std::launch::async, [&process] { return process.run("x").text(); });
    EXPECT_EQ(stream.result().text(), "ab");
    EXPECT_EQ(elsewhere.get(), "other");
    EXPECT_EQ(process.messages().size(), 4U);
}

TEST(SyncProcessTest, ARunBehindAStreamIsBoundByItsDeadline) {
    ScriptedServer server;
    server.push(openai_chat_stream({"a", "b"}));
    SyncLLMProcess process = program_for(server).start_sync();
    SyncStream stream = process.stream("hi");
    auto elsewhere = std::async(std::launch::async, [&process] {
        process.run("x", RunOptions().timeout(milliseconds(1)));
    });
    try {
        elsewhere.get();
        FAIL() << "no timeout";
    } catch (const Timeout& error) {
        EXPECT_EQ(error.stage(), Stage::queue);
    }
    EXPECT_EQ(stream.result().text(), "ab");
}

struct Stuck {
    const char* name;
    testing::ServerOptions options;
    Reply reply;
    Stage stage;
};

std::vector<Stuck> stuck_servers() {
    using testing::ServerOptions;
    return {
        {"handshake", ServerOptions().handshake_hang(), Reply(), Stage::handshake},
        {"first byte", ServerOptions(), Reply().hold(), Stage::first_byte},
        {"body", ServerOptions(), openai_chat_reply("long").hold_after(150), Stage::body},
    };
}

TEST(SyncProcessTest, TheDeadlineEndsACallAtEveryStage) {
    for (const Stuck& stuck : stuck_servers()) {
        ScriptedServer server(stuck.options);
        server.default_reply(stuck.reply);
        SyncLLMProcess process = program_for(server).start_sync();
        // On a slow machine a short limit may pass before that stage.
        Stage stage = Stage::none;
        for (milliseconds limit(300); stage != stuck.stage && limit < watchdog; limit *= 4) {
            try {
                process.run("hi", RunOptions().timeout(limit));
                ADD_FAILURE() << stuck.name << ": no timeout";
            } catch (const Timeout& error) {
                stage = error.stage();
            }
        }
        EXPECT_EQ(stage, stuck.stage) << stuck.name;
        EXPECT_TRUE(process.messages().empty());
    }
}

TEST(SyncProcessTest, AStopTokenEndsACallAtEveryStage) {
    for (const Stuck& stuck : stuck_servers()) {
        ScriptedServer server(stuck.options);
        server.push(stuck.reply);
        server.default_reply(openai_chat_reply("alive"));
        SyncLLMProcess process = program_for(server).start_sync();
        std::stop_source stop;
        auto run = std::async(std::launch::async, [&] {
            process.run("hi", RunOptions().stop_token(stop.get_token()));
        });
        if (stuck.stage != Stage::handshake) {
            EXPECT_TRUE(server.wait_for_requests(1, watchdog));
        }
        stop.request_stop();
        try {
            run.get();
            ADD_FAILURE() << stuck.name << ": not cancelled";
        } catch (const Cancelled& error) {
            EXPECT_EQ(error.reason(), CancelReason::user) << stuck.name;
        }
        EXPECT_TRUE(process.messages().empty());
        if (stuck.stage != Stage::handshake) {
            EXPECT_EQ(process.run("again").text(), "alive") << stuck.name;
            EXPECT_EQ(server.stats().accepts, 2U) << stuck.name << ": the connection was reused";
        }
    }
}

TEST(SyncProcessTest, AStopThatWasRequestedBeforeTheCallSendsNothing) {
    ScriptedServer server;
    SyncLLMProcess process = program_for(server).start_sync();
    std::stop_source stop;
    stop.request_stop();
    EXPECT_THROW(process.run("hi", RunOptions().stop_token(stop.get_token())), Cancelled);
    EXPECT_THROW(process.run("hi", RunOptions().timeout(milliseconds(0))), Timeout);
    EXPECT_THROW(process.count_tokens(RunOptions().stop_token(stop.get_token())), Cancelled);
    EXPECT_THROW(process.count_tokens(RunOptions().timeout(milliseconds(0))), Timeout);
    EXPECT_EQ(server.stats().requests, 0U);
}

TEST(SyncProcessTest, CloseEndsCallsInProgress) {
    ScriptedServer server;
    server.default_reply(Reply().hold());
    SyncLLMProcess process = program_for(server).start_sync();
    std::vector<std::future<void>> calls;
    for (int i = 0; i < 4; ++i) {
        calls.push_back(std::async(std::launch::async, [&process] { process.run("hi"); }));
    }
    calls.push_back(std::async(std::launch::async, [&process] {
        process.complete(ChatRequest("hi"));
    }));
    EXPECT_TRUE(server.wait_for_requests(2, watchdog));
    const ShutdownReport report = process.close();
    EXPECT_TRUE(report.drained);
    for (std::future<void>& call : calls) {
        EXPECT_THROW(call.get(), ProcessClosed);
    }
    EXPECT_THROW(process.run("later"), ProcessClosed);
    EXPECT_THROW(process.complete(ChatRequest("later")), ProcessClosed);
    EXPECT_THROW(process.stream("later"), ProcessClosed);
    EXPECT_THROW(process.count_tokens(), ProcessClosed);
    EXPECT_THROW(process.reset(), ProcessClosed);
    EXPECT_THROW(process.get_executor(), ProcessClosed);
    EXPECT_TRUE(process.messages().empty());
}

TEST(SyncProcessTest, CloseIsIdempotentAndMayRace) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("hi");
    std::vector<std::future<ShutdownReport>> closers;
    for (int i = 0; i < 4; ++i) {
        closers.push_back(std::async(std::launch::async, [&process] { return process.close(); }));
    }
    for (auto& closer : closers) {
        EXPECT_TRUE(closer.get().drained);
    }
    EXPECT_TRUE(process.close().drained);
    EXPECT_EQ(process.messages().size(), 2U);
}

TEST(SyncProcessTest, DestroyingWithoutCloseDuringAStreamAndAnIdleConnection) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    auto process = std::make_unique<SyncLLMProcess>(program_for(server).start_sync());
    process->run("hi");
    server.push(openai_chat_stream({"a", "b"}).hold_after(400));
    SyncStream stream = process->stream("more");
    process.reset();
    EXPECT_THROW(stream.result(), ProcessClosed);
    EXPECT_THROW(stream.next(), ProcessClosed);
}

TEST(SyncProcessTest, AMovedFromProcessThrowsInvalidHandle) {
    ScriptedServer server;
    SyncLLMProcess process = program_for(server).start_sync();
    const SyncLLMProcess moved = std::move(process);
    try {
        process.run("hi");  // NOLINT(bugprone-use-after-move): what this test is about
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_handle);
    }
}

asio::awaitable<void> call_back(
    std::shared_ptr<SyncLLMProcess> process,
    std::promise<bool>& refused
) {
    try {
        process->run("from the loop");
        refused.set_value(false);
    } catch (const WouldDeadlock&) {
        refused.set_value(true);
    }
    co_return;
}

TEST(SyncProcessTest, ABlockingCallOnALoopsThreadIsRefused) {
    ScriptedServer server;
    auto process = std::make_shared<SyncLLMProcess>(program_for(server).start_sync());
    std::promise<bool> refused;
    process->spawn(call_back(process, refused));
    EXPECT_TRUE(refused.get_future().get());
    EventLoop other;
    std::promise<bool> refused_too;
    SyncLLMProcess second = program_for(server).start_sync(SyncOptions().on(other));
    second.spawn(call_back(process, refused_too));
    EXPECT_TRUE(refused_too.get_future().get());
}

asio::awaitable<void> destroy_on_loop(
    std::unique_ptr<SyncLLMProcess> process,
    std::promise<void>& gone
) {
    process.reset();
    gone.set_value();
    co_return;
}

TEST(SyncProcessTest, TheLastHandleMayDieOnTheLoopsThread) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    auto process = std::make_unique<SyncLLMProcess>(program_for(server).start_sync());
    process->run("hi");
    std::promise<void> gone;
    SyncLLMProcess& handle = *process;
    handle.spawn(destroy_on_loop(std::move(process), gone));
    gone.get_future().get();
}

asio::awaitable<void> count(
    std::shared_ptr<std::atomic<int>> counter,
    std::promise<void>& reached
) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor);
    for (;;) {
        timer.expires_after(milliseconds(1));
        co_await timer.async_wait(asio::use_awaitable);
        if (++*counter == 20) {
            reached.set_value();
        }
    }
}

TEST(SyncProcessTest, BackgroundWorkGoesOnBetweenCallsAndEndsWithClose) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("hi");
    auto counter = std::make_shared<std::atomic<int>>(0);
    std::promise<void> reached;
    process.spawn(count(counter, reached));
    EXPECT_EQ(reached.get_future().wait_for(watchdog), std::future_status::ready)
        << "no call is active, and the counter stands still";
    EXPECT_EQ(process.run("again").text(), "You said: again");
    EXPECT_TRUE(process.close().drained);
    EXPECT_EQ(counter.use_count(), 1) << "the work's frame is still there";
}

TEST(SyncProcessTest, RunsOfManyThreadsAreServedInTurn) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    constexpr int threads = 16;
    constexpr int calls = 10;
    std::vector<std::thread> callers;
    std::atomic<int> matched{0};
    for (int t = 0; t < threads; ++t) {
        callers.emplace_back([&process, &matched, t] {
            for (int i = 0; i < calls; ++i) {
                const std::string prompt = std::to_string(t) + "/" + std::to_string(i);
                matched += process.run(prompt).text() == "You said: " + prompt ? 1 : 0;
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(matched.load(), threads * calls);
    EXPECT_EQ(server.stats().accepts, 1U) << "runs of one process overlap";
    const History history = process.messages();
    ASSERT_EQ(history.size(), 2U * threads * calls);
    for (std::size_t i = 0; i < history.size(); i += 2) {
        EXPECT_EQ(history[i]->role(), Role::user);
        EXPECT_EQ(history[i + 1]->text(), "You said: " + history[i]->text());
    }
}

TEST(SyncProcessTest, CompleteTakesNoTurnAndNoHistory) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    server.hold_until_open_requests(8);
    SyncLLMProcess process = program_for(server).start_sync();
    std::vector<std::future<std::string>> calls;
    for (int i = 0; i < 8; ++i) {
        calls.push_back(std::async(std::launch::async, [&process, i] {
            return process.complete(ChatRequest(std::to_string(i))).text();
        }));
    }
    for (int i = 0; i < 8; ++i) {
        EXPECT_EQ(calls[static_cast<std::size_t>(i)].get(), "You said: " + std::to_string(i));
    }
    EXPECT_EQ(server.stats().peak_open_requests, 8U);
    EXPECT_TRUE(process.messages().empty());
}

TEST(SyncProcessTest, CompleteFillsInTheProgramsParameters) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process =
        program_for(
            server,
            "[parameters]\ntemperature = 0.25\nmax_tokens = 7\n"
            "[parameters.extra_headers]\nX-Team = \"robots\"\nX-Site = \"here\"\n"
        )
            .start_sync();
    ChatRequest request("hi");
    request.params.max_tokens = 9;
    request.params.extra_headers.emplace_back("X-Site", "there");
    process.complete(request);
    const testing::RecordedRequest sent = server.requests().at(0);
    EXPECT_NE(sent.body.find("\"temperature\":0.25"), std::string::npos) << sent.body;
    EXPECT_NE(sent.body.find("\"max_tokens\":9"), std::string::npos) << sent.body;
    EXPECT_EQ(sent.body.find("Be brief."), std::string::npos)
        << "the program's prompt is not taken";
    EXPECT_EQ(sent.header("X-Team"), "robots");
    EXPECT_EQ(sent.header("X-Site"), "there");
}

TEST(SyncProcessTest, CountsTokensAndSaysWhereTheNumberIsFrom) {
    ScriptedServer server;
    server.push(openai_chat_reply("hello", testing::OpenAIUsage(120, 30)));
    SyncLLMProcess process = program_for(server).start_sync();
    const TokenCount before = process.count_tokens();
    EXPECT_EQ(before.source, TokenSource::estimate);
    EXPECT_FALSE(before.exact);
    EXPECT_GT(before.input_tokens, 0) << "the system prompt counts";
    process.run("hi");
    const TokenCount after = process.count_tokens();
    EXPECT_EQ(after.source, TokenSource::last_usage);
    EXPECT_EQ(after.input_tokens, 150);
    process.reset();
    EXPECT_EQ(process.count_tokens().input_tokens, before.input_tokens);
}

TEST(SyncProcessTest, ToolCallsComeBackAsDataAndTheirResultsGoOut) {
    ScriptedServer server;
    server.push(testing::openai_tool_call_reply(
        {testing::OpenAIToolCall("call_1", "get_weather", R"({"city":"Paris"})")}
    ));
    server.push(openai_chat_reply("18 degrees"));
    SyncLLMProcess process = program_for(server).start_sync();
    const RunResult asked = process.run("Weather in Paris?");
    EXPECT_EQ(asked.stop_reason(), StopReason::tool_use);
    ASSERT_EQ(asked.tool_calls().size(), 1U);
    const ToolCallBlock call = asked.tool_calls().front();
    EXPECT_EQ(call.name, "get_weather");
    EXPECT_EQ(call.arguments, R"({"city":"Paris"})");
    const RunResult answered = process.run(Message::tool_results({ToolResultBlock(call.id, "18")}));
    EXPECT_EQ(answered.text(), "18 degrees");
    EXPECT_NE(server.requests().at(1).body.find("\"tool_call_id\":\"call_1\""), std::string::npos);
}

TEST(SyncProcessTest, ProcessesShareALoopAndItsConnections) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    EventLoop loop;
    const LLMProgram program = program_for(server);
    {
        SyncLLMProcess first = program.start_sync(SyncOptions().on(loop));
        SyncLLMProcess second = program.start_sync(SyncOptions().on(loop));
        first.run("a");
        second.run("b");
        EXPECT_EQ(first.loop().thread_id(), second.loop().thread_id());
    }
    SyncLLMProcess third = program.start_sync(SyncOptions().on(loop));
    third.run("c");
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(connection_stats(loop.get_executor()).reused, 2U);
    loop.shutdown();
    try {
        third.run("d");
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::loop_closed) << error.what();
    }
}

}  // namespace
}  // namespace llmproc
