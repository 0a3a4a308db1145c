#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/bridge_support.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using testing::openai_chat_echo;
using testing::program_for;
using testing::program_text;
using testing::ScriptedServer;
using testing::turns;
using testing::watchdog;

// ---- 2.3: one loop for the whole program

/// Every call has its own conversation; connections are the loop's.
asio::awaitable<std::string> ask(LLMProgram program, std::string prompt, std::thread::id* loop) {
    AsyncLLMProcess process = co_await program.start();
    const RunResult result = co_await process.run(std::move(prompt));
    co_await process.aclose();
    *loop = std::this_thread::get_id();
    co_return result.text();
}

LLMProgram program_of(const ScriptedServer& server, const std::string& provider) {
    std::string text = program_text(server);
    const std::string usual = "openai_compatible";
    return LLMProgram::from_toml_string(text.replace(text.find(usual), usual.size(), provider));
}

TEST(BridgeProcessTest, A2_3_AThousandCallsOfSixteenThreadsOnOneLoop) {
    constexpr int threads = 16;
    constexpr int calls = 1008;
    std::vector<std::unique_ptr<ScriptedServer>> servers;
    std::vector<LLMProgram> programs;
    for (const char* const provider : {"openai_compatible", "vllm", "openrouter"}) {
        servers.push_back(std::make_unique<ScriptedServer>());
        servers.back()->handle(openai_chat_echo);
        programs.push_back(program_of(*servers.back(), provider));
    }
    std::atomic<int> next{0};
    std::atomic<int> right{0};
    std::mutex mutex;
    std::set<std::thread::id> loops;
    std::vector<std::thread> callers;
    for (int i = 0; i < threads; ++i) {
        callers.emplace_back([&] {
            for (int call = next++; call < calls; call = next++) {
                const std::string prompt = "call " + std::to_string(call);
                const LLMProgram& program = programs[static_cast<std::size_t>(call) % 3];
                std::thread::id loop;
                const std::string text = run_sync(ask(program, prompt, &loop));
                right += text == "You said: " + prompt ? 1 : 0;
                const std::lock_guard lock(mutex);
                loops.insert(loop);
            }
        });
    }
    for (std::thread& caller : callers) {
        caller.join();
    }
    EXPECT_EQ(right, calls);
    EXPECT_EQ(loops, std::set<std::thread::id>{EventLoop::global().thread_id()});
    for (const auto& server : servers) {
        EXPECT_EQ(server->stats().requests, calls / 3U);
        // Connections outlive the calls that opened them.
        EXPECT_LE(server->stats().accepts, static_cast<std::size_t>(threads));
    }
}

// ---- F11, F12: from where a process may be called

TEST(BridgeProcessTest, F11_FromAHandlerOfTheUsersContext) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    asio::io_context io;
    std::string text;
    asio::post(io, [&] { text = process.run("hi").text(); });
    io.run();
    EXPECT_EQ(text, "You said: hi");
}

TEST(BridgeProcessTest, F11_NotFromALoopsThreadUnlessAllowed) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess process = program_for(server).start_sync();
    const auto run = [](SyncLLMProcess* called,
                        RunOptions options) -> asio::awaitable<std::string> {
        co_await turns(1);
        co_return called->run("hi", std::move(options)).text();
    };
    EXPECT_THROW(run_sync(run(&process, RunOptions())), WouldDeadlock);
    const RunOptions allowed = RunOptions().allow_blocking_loop();
    EXPECT_EQ(run_sync(run(&process, allowed)), "You said: hi");
    EXPECT_THROW(run_sync(process.loop(), run(&process, allowed)), WouldDeadlock);
}

asio::awaitable<void> on_caller(std::function<void()> callback) {
    co_await run_on_caller(std::move(callback));
}

TEST(BridgeProcessTest, F12_NestedRunsFromACallback) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    server.push(testing::openai_chat_stream({"one ", "two"}));
    SyncLLMProcess first = program_for(server).start_sync();
    SyncLLMProcess second = program_for(server).start_sync();
    SyncStream open = first.stream("go");
    std::string text;
    run_sync(on_caller([&] {
        // The stream is this thread's, which would wait for itself.
        EXPECT_THROW(first.run("again"), ReentrantCall);
        text = second.run("hi").text();
    }));
    EXPECT_EQ(text, "You said: hi");
    EXPECT_EQ(open.result().text(), "one two");
    EXPECT_EQ(first.run("again").text(), "You said: again");
}

TEST(BridgeProcessTest, A2_12_ARunOnAnotherProcessFromTheCallback) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    SyncLLMProcess own = program_for(server).start_sync();
    SyncLLMProcess shared = program_for(server).start_sync(SyncOptions().on(EventLoop::global()));
    std::string texts;
    run_sync(on_caller([&] {
        texts += own.run("a").text();
        // Even on the loop that waits for this callback.
        texts += shared.run("b").text();
    }));
    EXPECT_EQ(texts, "You said: aYou said: b");
}

/// Remembers what accompanied each call.
class ContextObserver : public Observer {
public:
    void on_event(const CallEvent& event) noexcept override {
        const std::lock_guard lock(mutex_);
        const auto* const trace = event.context == nullptr
                                      ? nullptr
                                      : event.context->get<std::string>("trace");
        seen_.insert(trace == nullptr ? "none" : *trace);
    }
    std::set<std::string> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(seen_, {});
    }

private:
    std::mutex mutex_;
    std::set<std::string> seen_;
};

TEST(BridgeProcessTest, A2_12_EventsCarryTheContextOfTheirCall) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const auto observer = std::make_shared<ContextObserver>();
    const LLMProgram program = program_for(server).with_observer(observer);
    using Seen = std::set<std::string>;
    SyncLLMProcess process = program.start_sync();
    process.run("hi");
    EXPECT_EQ(observer->take(), Seen{"none"});
    process.run("hi", RunOptions().context("trace", std::string("1")));
    EXPECT_EQ(observer->take(), Seen{"1"});
    {
        const ContextScope scope(ContextMap().with("trace", std::string("2")));
        process.run("hi");
    }
    EXPECT_EQ(observer->take(), Seen{"2"});
    std::thread::id loop;
    run_sync(ask(program, "hi", &loop), RunOptions().context("trace", std::string("3")));
    EXPECT_EQ(observer->take(), Seen{"3"});
}

}  // namespace
}  // namespace llmproc
