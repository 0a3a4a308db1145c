#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "integration/observer_support.hpp"
#include "support/recording_observer.hpp"
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::expect_sane_durations;
using testing::fresh;
using testing::openai_chat_stream;
using testing::RecordedEvent;
using testing::RecordingObserver;
using testing::Reply;
using testing::watchdog;

using ObserverLoopTest = testing::ObserverTest;

void rethrow(const std::exception_ptr& error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

asio::awaitable<void> ask(AsyncLLMProcess& process) {
    co_await process.run("hi");
}

/// Two calls begun one right after the other on a loop of their own.
void ask_both(asio::io_context& context, AsyncLLMProcess& first, AsyncLLMProcess& second) {
    asio::co_spawn(context, ask(first), rethrow);
    asio::co_spawn(context, ask(second), rethrow);
    context.run();
}

void expect_one_wait(const RecordingObserver& observer, Stage stage) {
    const auto waits = observer.events(CallStep::wait);
    ASSERT_EQ(waits.size(), 1U);
    EXPECT_EQ(waits[0].event.stage, stage);
    EXPECT_EQ(waits[0].event.error, std::nullopt);
    EXPECT_GT(waits[0].event.duration, nanoseconds(0));
    EXPECT_EQ(waits[0].operation, "chat");
    EXPECT_EQ(waits[0].model, "test-model");
    EXPECT_EQ(waits[0].server_address, "localhost");
    EXPECT_EQ(waits[0].event.call, observer.events().back().event.call);
}

TEST_F(ObserverLoopTest, RunsOfOneProcessWaitInItsQueue) {
    asio::io_context context;
    AsyncLLMProcess process = program().start(context.get_executor());
    ask_both(context, process, process);
    EXPECT_EQ(observer->steps(), fresh + " done wait reuse request first_byte done");
    expect_one_wait(*observer, Stage::queue);
    expect_sane_durations(events());
}

asio::awaitable<void> forget(AsyncLLMProcess& process) {
    co_await process.reset();
}

TEST_F(ObserverLoopTest, AResetIsNoCallEvenIfItWaits) {
    asio::io_context context;
    AsyncLLMProcess process = program().start(context.get_executor());
    asio::co_spawn(context, ask(process), rethrow);
    asio::co_spawn(context, forget(process), rethrow);
    context.run();
    EXPECT_EQ(observer->steps(), fresh + " done");
    EXPECT_TRUE(process.messages().empty());
}

TEST_F(ObserverLoopTest, CallsWaitForAConnection) {
    asio::io_context context;
    const LLMProgram narrow = program("max_connections_per_host = 1\n");
    AsyncLLMProcess first = narrow.start(context.get_executor());
    AsyncLLMProcess second = narrow.start(context.get_executor());
    ask_both(context, first, second);
    expect_one_wait(*observer, Stage::pool);
    EXPECT_EQ(observer->count(CallStep::reuse), 1U);
    expect_sane_durations(events());
}

TEST_F(ObserverLoopTest, CallsWaitForTheClientsOwnLimits) {
    asio::io_context context;
    const LLMProgram slow = program("[rate_limit]\nmax_in_flight = 1\n");
    AsyncLLMProcess first = slow.start(context.get_executor());
    AsyncLLMProcess second = slow.start(context.get_executor());
    ask_both(context, first, second);
    expect_one_wait(*observer, Stage::rate_limit);
    expect_sane_durations(events());
}

TEST_F(ObserverLoopTest, AWaitThatEndsTooLateFails) {
    server.push(Reply().hold());
    SyncLLMProcess process = program().start_sync();
    std::stop_source stop;
    std::thread first([&] {
        EXPECT_THROW(process.run("hi", RunOptions().stop_token(stop.get_token())), Cancelled);
    });
    ASSERT_TRUE(server.wait_for_requests(1, watchdog));
    EXPECT_THROW(process.run("behind", RunOptions().timeout(milliseconds(20))), Timeout);
    EXPECT_EQ(observer->steps(), "dns connect tls request wait done");
    const auto list = events();
    EXPECT_EQ(list.at(4).event.stage, Stage::queue);
    EXPECT_EQ(list.at(4).event.error, Errc::timeout);
    EXPECT_EQ(list.at(5).event.stage, Stage::queue);
    EXPECT_EQ(list.at(5).event.call, list.at(4).event.call);
    EXPECT_NE(list.at(5).event.call, list.at(3).event.call);
    stop.request_stop();
    first.join();
}

TEST_F(ObserverLoopTest, AStreamIsDoneWhenItWasRead) {
    server.push(openai_chat_stream({"Hel", "lo"}));
    SyncLLMProcess process = program().start_sync();
    SyncStream stream = process.stream("hi");
    ASSERT_TRUE(stream.next());
    EXPECT_EQ(observer->steps(), fresh);
    while (stream.next()) {
        EXPECT_EQ(observer->count(CallStep::done), 0U);
    }
    EXPECT_EQ(observer->steps(), fresh + " done");
}

TEST_F(ObserverLoopTest, AnAbandonedStreamIsCancelled) {
    server.push(openai_chat_stream({"one", "two", "three"}).hold_after(500));
    SyncLLMProcess process = program().start_sync();
    { const SyncStream stream = process.stream("hi"); }
    ASSERT_TRUE(observer->wait_for(CallStep::done, 1, watchdog));
    EXPECT_EQ(observer->steps(), fresh + " done");
    EXPECT_EQ(last().event.error, Errc::cancelled);
}

TEST_F(ObserverLoopTest, ACallThatDiesWithItsLoopStillEnds) {
    server.push(Reply().hold());
    std::optional<AsyncLLMProcess> process;
    {
        asio::io_context context;
        process.emplace(program().start(context.get_executor()));
        asio::co_spawn(context, ask(*process), rethrow);
        while (server.requests().empty()) {
            context.run_one_for(milliseconds(10));
        }
    }
    EXPECT_EQ(observer->steps(), fresh + " done");
    EXPECT_EQ(events().at(4).event.error, Errc::loop_closed);
    EXPECT_EQ(last().event.error, Errc::loop_closed);
}

TEST_F(ObserverLoopTest, OneCounterServesSeveralLoops) {
    constexpr std::size_t threads = 4;
    constexpr std::size_t calls = 25;
    const auto metrics = std::make_shared<CallMetrics>();
    const LLMProgram counted = program().with_observer(metrics);
    std::atomic<std::int64_t> tokens{0};
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < threads; ++i) {
        all.emplace_back([&counted, &tokens] {
            SyncLLMProcess process = counted.start_sync();
            for (std::size_t k = 0; k < calls; ++k) {
                tokens += process.run("hi").usage().total_tokens;
            }
        });
    }
    for (std::thread& thread : all) {
        thread.join();
    }
    const CallMetricsSnapshot counts = metrics->snapshot();
    const auto server_side = server.stats();
    EXPECT_EQ(counts.calls, threads * calls);
    EXPECT_EQ(counts.failed_calls, 0U);
    EXPECT_EQ(counts.attempts, threads * calls);
    EXPECT_EQ(counts.call_duration.count, threads * calls);
    EXPECT_EQ(counts.first_byte.count, threads * calls);
    EXPECT_EQ(counts.full_handshakes + counts.resumed_handshakes, server_side.handshakes);
    EXPECT_EQ(counts.resumed_handshakes, server_side.resumed_handshakes);
    EXPECT_EQ(counts.step(CallStep::connect).count, server_side.accepts);
    EXPECT_EQ(counts.reused, threads * (calls - 1));
    EXPECT_EQ(counts.cached_lookups, threads);
    EXPECT_EQ(counts.real_lookups, 0U);
    EXPECT_GT(tokens, 0);
    EXPECT_EQ(counts.usage.total_tokens, tokens);
    EXPECT_GT(counts.bytes_sent, 0U);
}

TEST_F(ObserverLoopTest, EveryCallOfSeveralThreadsIsToldApart) {
    constexpr std::size_t threads = 4;
    constexpr std::size_t calls = 10;
    const LLMProgram watched = program();
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < threads; ++i) {
        all.emplace_back([&watched] {
            SyncLLMProcess process = watched.start_sync();
            for (std::size_t k = 0; k < calls; ++k) {
                process.run("hi");
            }
        });
    }
    for (std::thread& thread : all) {
        thread.join();
    }
    std::map<std::uint64_t, std::string> told;
    for (const RecordedEvent& entry : events()) {
        told[entry.event.call].append(to_string(entry.event.step)).append(" ");
    }
    EXPECT_EQ(told.size(), threads * calls);
    std::size_t first = 0;
    for (const auto& [call, steps] : told) {
        first += steps == fresh + " done " ? 1U : 0U;
        EXPECT_TRUE(steps == fresh + " done " || steps == "reuse request first_byte done ")
            << steps;
    }
    EXPECT_EQ(first, threads);
    expect_sane_durations(events());
}

}  // namespace
}  // namespace llmproc
