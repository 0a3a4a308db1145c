#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/process_support.hpp"
#include "net/tls_context.hpp"
#include "support/drive.hpp"
#include "support/parity_support.hpp"
#include "support/resources.hpp"
#include "support/test_program.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::describe;
using testing::drive;
using testing::Reply;
using testing::Resources;
using testing::settled;
using testing::watchdog;

class ProcessTest : public testing::ProcessFixture {};

TEST_F(ProcessTest, A1_1_OneProgramManyProcessesIndependentHistories) {
    const LLMProgram shared = program();
    asio::io_context io;
    std::vector<SyncLLMProcess> blocking;
    std::vector<AsyncLLMProcess> awaited;
    for (int i = 0; i < 3; ++i) {
        blocking.push_back(shared.start_sync());
        awaited.push_back(shared.start(io.get_executor()));
    }
    for (int round = 0; round < 2; ++round) {
        for (std::size_t i = 0; i < 3; ++i) {
            const std::string name = std::to_string(i) + "." + std::to_string(round);
            EXPECT_EQ(blocking[i].run("sync " + name).text(), "You said: sync " + name);
            std::string text;
            drive(io, testing::run_once(awaited[i], "async " + name, text));
            EXPECT_EQ(text, "You said: async " + name + ";");
        }
    }
    for (std::size_t i = 0; i < 3; ++i) {
        const History own = blocking[i].messages();
        const History other = awaited[i].messages();
        ASSERT_EQ(own.size(), 4U);
        ASSERT_EQ(other.size(), 4U);
        EXPECT_EQ(own[2]->text(), "sync " + std::to_string(i) + ".1");
        EXPECT_EQ(other[2]->text(), "async " + std::to_string(i) + ".1");
    }
}

TEST_F(ProcessTest, A1_2_AStartAddsOneNamedThread) {
    warm_up();
    const Resources before = Resources::now();
    const std::size_t loops = testing::threads_named("llm-loop-");
    const SyncLLMProcess process = program().start_sync();
    EXPECT_EQ(Resources::now().threads, before.threads + 1);
    // The thread names itself, before it runs anything.
    std::promise<void> runs;
    process.loop().call_soon([&runs] { runs.set_value(); });
    runs.get_future().get();
    EXPECT_EQ(testing::threads_named("llm-loop-"), loops + 1);
    EXPECT_NE(process.loop().thread_id(), std::this_thread::get_id());
}

TEST_F(ProcessTest, A1_2_AFailingStartLeavesNoThreadAndNoDescriptor) {
    warm_up();
    const LLMProgram bad = LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\n"
        "base_url = \"https://localhost:1/v1\"\napi_key_env = \"\"\n"
        "[connection]\nca_file = \"/nonexistent/ca.pem\"\n",
        "bad.toml"
    );
    const Resources before = Resources::now();
    for (int i = 0; i < 10; ++i) {
        EXPECT_THROW(static_cast<void>(bad.start_sync()), ConfigError);
    }
    EXPECT_EQ(settled(before, watchdog), before);
}

/// Remembers on which threads it is called.
class ThreadObserver final : public Observer {
public:
    void on_event(const CallEvent&) noexcept override {
        const std::lock_guard lock(mutex_);
        threads_.insert(std::this_thread::get_id());
        ++events_;
    }
    std::set<std::thread::id> threads() const {
        const std::lock_guard lock(mutex_);
        return threads_;
    }
    int events() const {
        const std::lock_guard lock(mutex_);
        return events_;
    }

private:
    mutable std::mutex mutex_;
    std::set<std::thread::id> threads_;
    int events_ = 0;
};

TEST_F(ProcessTest, A1_3_OneThreadForAllCalls) {
    const auto observer = std::make_shared<ThreadObserver>();
    SyncLLMProcess process = program().with_observer(observer).start_sync();
    for (int i = 1; i <= 100; ++i) {
        process.run(std::to_string(i));
    }
    EXPECT_GE(observer->events(), 100);
    EXPECT_EQ(observer->threads(), std::set<std::thread::id>{process.loop().thread_id()});
}

asio::awaitable<void> keep_result(AsyncLLMProcess& process, std::optional<RunResult>& kept) {
    RunResult result = co_await process.run("Hello!");
    kept.emplace(std::move(result));
}

TEST_F(ProcessTest, A1_4_BlockingMethodsReturnWhatTheAsyncOnesDo) {
    SyncLLMProcess blocking = program().start_sync();
    const RunResult result = blocking.run("Hello!");
    asio::io_context io;
    AsyncLLMProcess awaited = program().start(io.get_executor());
    std::optional<RunResult> other;
    drive(io, keep_result(awaited, other));
    // The server counts its answers in their ids.
    EXPECT_EQ(result.text(), "You said: Hello!");
    EXPECT_EQ(result.text(), other->text());
    EXPECT_EQ(result.stop_reason(), other->stop_reason());
    EXPECT_EQ(result.api_calls(), other->api_calls());
    EXPECT_EQ(result.usage().input_tokens, other->usage().input_tokens);
    EXPECT_EQ(result.usage().output_tokens, other->usage().output_tokens);
    EXPECT_TRUE(result.usage().reported);
}

asio::awaitable<void> count_in_coroutine(AsyncLLMProcess& process, std::string& text) {
    const TokenCount count = co_await process.count_tokens();
    text = describe(count);
}

TEST_F(ProcessTest, A1_4_CountTokensReturnsWhatTheAsyncOneDoes) {
    SyncLLMProcess blocking = program().start_sync();
    asio::io_context io;
    AsyncLLMProcess awaited = program().start(io.get_executor());
    std::string text;
    drive(io, count_in_coroutine(awaited, text));
    EXPECT_EQ(describe(blocking.count_tokens()), text);
}

TEST_F(ProcessTest, A1_5_CallsTakeNoThreadDescriptorOrTlsContext) {
    SyncLLMProcess process = program().start_sync();
    process.run("the first call connects");
    process.count_tokens();
    const Resources before = Resources::now();
    const std::uint64_t contexts = net::TlsContext::created();
    const std::thread::id loop = process.loop().thread_id();
    for (int i = 0; i < 1'000; ++i) {
        ASSERT_GT(process.count_tokens().input_tokens, 0);
    }
    for (int i = 0; i < 100; ++i) {
        process.complete(ChatRequest("hi"));
    }
    EXPECT_EQ(Resources::now(), before);
    EXPECT_EQ(net::TlsContext::created(), contexts);
    EXPECT_EQ(process.loop().thread_id(), loop);
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(server.stats().handshakes, 1U);
}

TEST_F(ProcessTest, A1_6_FiftyCallsOneConnection) {
    SyncLLMProcess process = program().start_sync();
    for (int i = 0; i < 50; ++i) {
        process.run(std::to_string(i));
    }
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(server.stats().handshakes, 1U);
    EXPECT_EQ(server.close_idle_connections(), 1U);
    EXPECT_EQ(process.run("51").text(), "You said: 51");
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(server.stats().requests, 51U);
    EXPECT_EQ(process.stats().connections_opened, 2U);
}

asio::awaitable<void> count_to(int goal, std::promise<int>& reached) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor);
    for (int counter = 1; counter <= goal; ++counter) {
        timer.expires_after(milliseconds(1));
        co_await timer.async_wait(asio::use_awaitable);
    }
    reached.set_value(goal);
}

TEST_F(ProcessTest, A1_7_BackgroundWorkGoesOnWhileNoCallIsActive) {
    SyncLLMProcess process = program().start_sync();
    process.run("before");
    std::promise<int> reached;
    process.spawn(count_to(20, reached));
    std::future<int> counter = reached.get_future();
    const std::uint64_t calls = process.loop().stats().calls;
    ASSERT_EQ(counter.wait_for(watchdog), std::future_status::ready) << "it stands still";
    EXPECT_EQ(process.loop().stats().calls, calls) << "a call was made meanwhile";
    EXPECT_EQ(process.loop().stats().pending_calls, 0U);
    EXPECT_EQ(process.run("after").text(), "You said: after");
}

asio::awaitable<void> wait_for_ever(std::shared_ptr<int> held) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer never(executor, std::chrono::hours(1));
    co_await never.async_wait(asio::use_awaitable);
    *held = 1;
}

TEST_F(ProcessTest, A1_8_ScopeExitLeavesWhatCloseLeaves) {
    warm_up();
    const Resources before = Resources::now();
    for (const bool closes : {true, false}) {
        auto held = std::make_shared<int>(0);
        {
            SyncLLMProcess process = program().start_sync();
            process.run("hi");
            process.spawn(wait_for_ever(held));
            if (closes) {
                EXPECT_TRUE(process.close().drained);
            }
        }
        EXPECT_EQ(held.use_count(), 1) << "the work's frame is still there";
        EXPECT_EQ(*held, 0);
        EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
        EXPECT_EQ(settled(before, watchdog), before) << (closes ? "close" : "scope exit");
    }
}

asio::awaitable<void> whole_program(LLMProgram program, std::size_t& threads) {
    AsyncLLMProcess process = co_await program.start();
    const RunResult result = co_await process.run("Hi");
    EXPECT_EQ(result.text(), "You said: Hi");
    const TokenCount count = co_await process.count_tokens();
    EXPECT_GT(count.input_tokens, 0);
    threads = Resources::now().threads;
    co_await process.aclose();
}

TEST_F(ProcessTest, A1_9_AnAsyncProgramStartsNoThread) {
    // The server and the sanitizers have threads of their own. localhost asks no DNS helper.
    const Resources before = Resources::now();
    std::size_t during = 0;
    asio::io_context io;
    drive(io, whole_program(program(), during));
    EXPECT_EQ(during, before.threads);
    EXPECT_EQ(Resources::now().threads, before.threads);
    EXPECT_EQ(testing::threads_named("llm-loop-"), 0U);
}

asio::awaitable<void> one_run(LLMProgram program, int number, int& done) {
    AsyncLLMProcess process = co_await program.start();
    const std::string prompt = std::to_string(number);
    const RunResult result = co_await process.run(prompt);
    done += result.text() == "You said: " + prompt ? 1 : 0;
}

TEST_F(ProcessTest, A1_15_EightProcessesOnOneThreadOverlap) {
    // No answer before all requests are there: one after the other would never end.
    server.hold_until_open_requests(8);
    asio::io_context io;
    int done = 0;
    for (int i = 0; i < 8; ++i) {
        asio::co_spawn(io, one_run(program(), i, done), testing::rethrow);
    }
    io.run_for(watchdog);
    EXPECT_EQ(done, 8);
    EXPECT_EQ(server.stats().peak_open_requests, 8U);
}

TEST_F(ProcessTest, A2_2_AReplacedConnectionIsCounted) {
    SyncLLMProcess process = program().start_sync();
    process.run("one");
    process.run("two");
    EXPECT_EQ(process.stats().connections_replaced, 0U);
    EXPECT_EQ(process.stats().retries, 0U);
    // Dropped under the request: it looked alive when it was taken.
    server.push(Reply().close_without_answer());
    EXPECT_EQ(process.run("three").text(), "You said: three");
    EXPECT_EQ(process.stats().connections_replaced, 1U);
    EXPECT_EQ(process.stats().connections_opened, 2U);
    EXPECT_EQ(process.stats().retries, 0U) << "it is no retry";
    EXPECT_EQ(process.messages().size(), 6U);
}

}  // namespace
}  // namespace llmproc
