// Many calls under random disturbance. LLMPROC_SOAK=10 makes every test ten times as long.

#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/resources.hpp"
#include "support/test_program.hpp"

#include <boost/asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

using testing::openai_chat_echo;
using testing::program_for;
using testing::Reply;
using testing::Resources;
using testing::ScriptedServer;
using testing::ServerOptions;
using testing::watchdog;

int times(int usual) {
    const char* const factor = std::getenv("LLMPROC_SOAK");
    return usual * (factor != nullptr ? std::max(1, std::atoi(factor)) : 1);
}

/// Ends what runs beside a test.
class Beside {
public:
    template <typename Work>
    explicit Beside(Work work)
        : thread_([this, work] {
              std::mt19937 random(7);
              while (!done_) {
                  work(random);
              }
          }) {}
    Beside(const Beside&) = delete;
    Beside& operator=(const Beside&) = delete;
    ~Beside() {
        done_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> done_{false};
    std::thread thread_;
};

/// A short delay of a random length.
void linger(std::mt19937& random, unsigned most_microseconds) {
    std::uniform_int_distribution<unsigned> length(0, most_microseconds);
    std::this_thread::sleep_for(std::chrono::microseconds(length(random)));
}

/// A server that closes idle connections at any moment must never be noticed.
TEST(SoakTest, ClosedIdleConnectionsNeverSurface) {
    constexpr int threads = 4;
    const int calls_per_thread = times(500);
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const LLMProgram program = program_for(server, "", testing::prompt_retry);
    const EventLoop loop;
    std::atomic<int> answered{0};
    std::atomic<std::uint64_t> replaced{0};
    std::atomic<std::uint64_t> retries{0};
    std::size_t closed = 0;
    {
        const Beside closing([&](std::mt19937& random) {
            closed += server.close_idle_connections();
            linger(random, 1'000);
        });
        std::vector<std::thread> callers;
        for (int i = 0; i < threads; ++i) {
            callers.emplace_back([&] {
                SyncLLMProcess process = program.start_sync(SyncOptions().on(loop));
                for (int call = 0; call < calls_per_thread; ++call) {
                    try {
                        process.complete(ChatRequest("hi"));
                        ++answered;
                    } catch (const LLMError& error) {
                        ADD_FAILURE() << error.what();
                    }
                }
                const ProcessStats stats = process.stats();
                replaced += stats.connections_replaced;
                retries += stats.retries;
            });
        }
        for (std::thread& caller : callers) {
            caller.join();
        }
    }
    EXPECT_EQ(answered, threads * calls_per_thread);
    std::cout << answered << " calls, " << closed << " idle connections closed by the server, "
              << replaced << " replaced, " << retries << " retries\n";
}

/// Cancels from another thread at random moments: each call ends, as success or as cancelled, and
/// the conversation has exactly the runs that succeeded.
TEST(SoakTest, CancelsAtRandomMoments) {
    constexpr int threads = 4;
    const int calls_per_thread = times(250);
    ScriptedServer server;
    std::atomic<unsigned> turn{0};
    server.handle([&](const auto& request) {
        // Some answers take longer than most callers wait.
        Reply reply = openai_chat_echo(request);
        return reply.delay(std::chrono::milliseconds(++turn % 3));
    });
    const LLMProgram program = program_for(server);
    const EventLoop loop;
    program.start_sync(SyncOptions().on(loop)).run("warm up");
    const Resources before = Resources::now();
    std::atomic<int> cancelled{0};
    std::atomic<int> succeeded{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < threads; ++i) {
        callers.emplace_back([&, i] {
            std::mt19937 random(static_cast<unsigned>(i));
            SyncLLMProcess process = program.start_sync(SyncOptions().on(loop));
            std::size_t runs = 0;
            for (int call = 0; call < calls_per_thread; ++call) {
                std::stop_source stop;
                std::thread canceller([&stop, seed = random()] {
                    std::mt19937 own(seed);
                    linger(own, 3'000);
                    stop.request_stop();
                });
                try {
                    const RunOptions options = RunOptions().stop_token(stop.get_token());
                    if (call % 2 == 0) {
                        process.run("hi", options);
                    } else {
                        process.stream("hi", options).result();
                    }
                    ++runs;
                } catch (const LLMError& error) {
                    EXPECT_EQ(error.errc(), Errc::cancelled) << error.what();
                    ++cancelled;
                }
                canceller.join();
                if (runs > 8) {
                    process.reset();
                    succeeded += static_cast<int>(runs);
                    runs = 0;
                }
                EXPECT_EQ(process.messages().size(), 2 * runs);
            }
            succeeded += static_cast<int>(runs);
            process.run("it still works");
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(cancelled + succeeded, threads * calls_per_thread);
    EXPECT_GT(cancelled, 0);
    const ConnectionStats pool = connection_stats(loop.get_executor());
    EXPECT_EQ(pool.in_use, 0U);
    EXPECT_EQ(pool.waiting, 0U);
    const Resources after = testing::settled(before, watchdog);
    EXPECT_EQ(after.threads, before.threads);
    std::cout << cancelled << " cancelled, " << succeeded << " succeeded\n";
}

}  // namespace
}  // namespace llmproc
