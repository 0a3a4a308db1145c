#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/process_support.hpp"
#include "support/drive.hpp"
#include "support/sanitizers.hpp"
#include "support/test_program.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::expect_whole_exchanges;
using testing::wait_for_pending;
using testing::watchdog;

class ProcessThreadsTest : public testing::ProcessFixture {};

constexpr int caller_threads = 64;
constexpr int calls_per_thread = testing::sanitized ? 20 : 50;

/// One thread's calls; how many got their own answer.
int call_often(SyncLLMProcess& process, int number) {
    int matched = 0;
    for (int i = 0; i < calls_per_thread; ++i) {
        const std::string prompt = std::to_string(number) + "/" + std::to_string(i);
        matched += process.run(prompt).text() == "You said: " + prompt ? 1 : 0;
        if (i % 4 == 3) {
            // Keeps the requests short.
            process.reset();
        }
    }
    return matched;
}

TEST_F(ProcessThreadsTest, F16_SixtyFourThreadsOnOneProcess) {
    SyncLLMProcess process = program().start_sync();
    std::atomic<int> matched{0};
    std::vector<std::thread> threads;
    threads.reserve(caller_threads);
    for (int t = 0; t < caller_threads; ++t) {
        threads.emplace_back([&process, &matched, t] { matched += call_often(process, t); });
    }
    for (int i = 0; i < 20; ++i) {
        expect_whole_exchanges(process.messages());
        std::this_thread::yield();
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(matched.load(), caller_threads * calls_per_thread);
    EXPECT_EQ(process.stats().runs, static_cast<std::uint64_t>(caller_threads) * calls_per_thread);
    EXPECT_EQ(process.stats().failed_runs, 0U);
    EXPECT_EQ(server.stats().peak_open_requests, 1U) << "runs of one process overlap";
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(process.loop().stats().pending_calls, 0U);
    expect_whole_exchanges(process.messages());
}

TEST_F(ProcessThreadsTest, F16_CallsAreServedInOrderOfArrival) {
    SyncLLMProcess process = program().start_sync();
    server.hold_until_open_requests(2);
    std::vector<std::future<std::string>> calls;
    for (std::uint64_t i = 0; i < 16; ++i) {
        calls.push_back(std::async(std::launch::async, [&process, i] {
            return process.run(std::to_string(i)).text();
        }));
        // The next one arrives when this one is in the line.
        wait_for_pending(process, i + 1);
    }
    server.hold_until_open_requests(0);
    for (std::uint64_t i = 0; i < 16; ++i) {
        EXPECT_EQ(calls[i].get(), "You said: " + std::to_string(i));
    }
    const History history = process.messages();
    ASSERT_EQ(history.size(), 32U);
    for (std::size_t i = 0; i < 16; ++i) {
        EXPECT_EQ(history[2 * i]->text(), std::to_string(i));
    }
}

TEST_F(ProcessThreadsTest, F18_CountTokensDuringARun) {
    SyncLLMProcess process = program().start_sync();
    process.run("before");
    const std::int64_t before = process.count_tokens().input_tokens;
    server.hold_until_open_requests(2);
    auto run = std::async(std::launch::async, [&] { return process.run("held").text(); });
    ASSERT_TRUE(server.wait_for_requests(2, watchdog));
    // It does not wait for the run, and does not see what the run has not committed.
    EXPECT_EQ(process.count_tokens().input_tokens, before);
    EXPECT_EQ(process.loop().stats().pending_calls, 1U) << "the run has ended before";
    server.hold_until_open_requests(0);
    EXPECT_EQ(run.get(), "You said: held");
}

/// One process and all it can do, on a strand.
class StrandUser {
public:
    StrandUser(const LLMProgram& program, asio::io_context& io, std::atomic<int>& good, int number)
        : strand_(asio::make_strand(io)),
          process_(program.start(strand_)),
          good_(good),
          number_(number) {}

    void start(std::shared_ptr<StrandUser> self) {
        asio::co_spawn(strand_, work(std::move(self)), testing::rethrow);
    }

private:
    static asio::awaitable<void> work(std::shared_ptr<StrandUser> self) {
        for (int i = 0; i < 5; ++i) {
            co_await self->round(std::to_string(self->number_) + "/" + std::to_string(i));
        }
        co_await self->process_.aclose();
    }

    asio::awaitable<void> round(std::string prompt) {
        const std::string answer = "You said: " + prompt;
        const RunResult result = co_await process_.run(prompt);
        note(result.text() == answer);
        Stream stream = co_await process_.stream(prompt);
        const RunResult streamed = co_await stream.result();
        note(streamed.text() == answer);
        ChatRequest request(prompt);
        const ChatReply reply = co_await process_.complete(std::move(request));
        note(reply.text() == answer);
        const TokenCount count = co_await process_.count_tokens();
        note(count.input_tokens > 0);
        // Cancelled at once, from the strand: sent or not, it leaves nothing behind.
        const std::size_t before = process_.messages().size();
        asio::cancellation_signal signal;
        auto cancelled = process_.async_run(
            prompt,
            RunOptions(),
            asio::bind_cancellation_slot(signal.slot(), asio::use_awaitable)
        );
        asio::post(strand_, [&signal] { signal.emit(asio::cancellation_type::terminal); });
        try {
            co_await std::move(cancelled);
            note(process_.messages().size() == before + 2);
        } catch (const Cancelled&) {
            note(process_.messages().size() == before);
        }
    }
    void note(bool right) { good_ += right ? 1 : 0; }

    asio::strand<asio::io_context::executor_type> strand_;
    AsyncLLMProcess process_;
    std::atomic<int>& good_;
    const int number_;
};

TEST_F(ProcessThreadsTest, F41_OneContextRunByEightThreads) {
    constexpr int users = 32;
    std::atomic<int> good{0};
    asio::io_context io;
    const LLMProgram shared = program();
    for (int i = 0; i < users; ++i) {
        auto user = std::make_shared<StrandUser>(shared, io, good, i);
        user->start(user);
    }
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&io] { io.run_for(watchdog); });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_TRUE(io.stopped());
    EXPECT_EQ(good.load(), users * 5 * 5);
}

}  // namespace
}  // namespace llmproc
