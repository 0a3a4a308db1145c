// A2.1 and F29: the caller's io_context and the processes on it end in any order.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/system_support.hpp"
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::openai_chat_echo;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::program_for;
using testing::run_on;
using testing::ScriptedServer;
using testing::start_on_this;
using testing::watchdog;

/// Counts that its frame ends, however it ends.
class FrameCount {
public:
    explicit FrameCount(int& ended) noexcept : ended_(ended) {}
    FrameCount(const FrameCount&) = delete;
    FrameCount& operator=(const FrameCount&) = delete;
    ~FrameCount() { ++ended_; }

private:
    int& ended_;
};

/// What became of a call.
struct Outcome {
    std::string text;
    std::optional<Errc> error;
    int frames_ended = 0;
};

asio::awaitable<void> run_once(AsyncLLMProcess& process, Outcome& outcome) {
    const FrameCount count(outcome.frames_ended);
    try {
        const RunResult result = co_await process.run("hi");
        outcome.text = result.text();
    } catch (const LLMError& error) {
        outcome.error = error.errc();
    }
}

class ContextTest : public ::testing::Test {
protected:
    void SetUp() override { server_.handle(openai_chat_echo); }

    AsyncLLMProcess start() { return run_on(*io_, start_on_this(program_for(server_))); }
    /// Begins a run; `outcome` outlives the context.
    void begin(AsyncLLMProcess& process, Outcome& outcome) {
        asio::co_spawn(*io_, run_once(process, outcome), [](const std::exception_ptr& escaped) {
            EXPECT_FALSE(escaped);
        });
    }
    /// Runs the context until it has no work.
    void turn() {
        io_->restart();
        io_->run();
    }
    /// Begins a run that the server does not answer and goes on until it waits for the answer.
    void begin_held(AsyncLLMProcess& process, Outcome& outcome) {
        server_.hold_until_open_requests(1000);
        const std::size_t before = server_.stats().requests;
        begin(process, outcome);
        io_->restart();
        const auto limit = std::chrono::steady_clock::now() + watchdog;
        while (server_.stats().requests == before && std::chrono::steady_clock::now() < limit) {
            io_->run_one_for(std::chrono::milliseconds(10));
        }
        ASSERT_EQ(server_.stats().requests, before + 1);
    }
    /// What a run says after the context's death; it needs no context to say so.
    static void expect_loop_closed(AsyncLLMProcess& process) {
        try {
            static_cast<void>(process.run("later"));
            ADD_FAILURE() << "a run without a context was begun";
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::loop_closed) << error.what();
        }
    }

    ScriptedServer server_;
    std::optional<asio::io_context> io_{std::in_place};
};

TEST_F(ContextTest, A2_1_TheContextDiesBeforeTheProcess) {
    AsyncLLMProcess process = start();
    Outcome first;
    begin(process, first);
    turn();
    EXPECT_EQ(first.text, "You said: hi");
    io_.reset();
    expect_loop_closed(process);
    EXPECT_TRUE(server_.wait_for_connections_at_most(0, watchdog)) << "a connection outlived it";
}

TEST_F(ContextTest, F29_TheProcessDiesFirstWithIdleConnections) {
    {
        AsyncLLMProcess process = start();
        Outcome outcome;
        begin(process, outcome);
        turn();
        EXPECT_EQ(outcome.text, "You said: hi");
    }
    turn();
    io_.reset();
    EXPECT_TRUE(server_.wait_for_connections_at_most(0, watchdog));
}

TEST_F(ContextTest, F29_TheContextDiesFirstWithACallPending) {
    AsyncLLMProcess process = start();
    Outcome pending;
    begin_held(process, pending);
    io_.reset();
    EXPECT_EQ(pending.frames_ended, 1) << "unwound once";
    EXPECT_FALSE(pending.error);
    EXPECT_EQ(pending.text, "");
    expect_loop_closed(process);
    EXPECT_TRUE(server_.wait_for_connections_at_most(0, watchdog));
}

TEST_F(ContextTest, F29_TheProcessDiesFirstWithACallPending) {
    std::optional<AsyncLLMProcess> process(start());
    Outcome pending;
    begin_held(*process, pending);
    process.reset();
    turn();
    EXPECT_EQ(pending.error, Errc::process_closed);
    EXPECT_EQ(pending.frames_ended, 1);
    io_.reset();
}

TEST_F(ContextTest, F29_BothDieWithACallPendingThatNobodyRuns) {
    std::optional<AsyncLLMProcess> process(start());
    Outcome pending;
    begin_held(*process, pending);
    process.reset();
    EXPECT_EQ(pending.frames_ended, 0);
    io_.reset();
    EXPECT_EQ(pending.frames_ended, 1);
    EXPECT_FALSE(pending.error);
}

TEST_F(ContextTest, F29_TheContextDiesUnderAnOpenStream) {
    server_.push(openai_chat_stream({"one ", "two"}).hold_after(400));
    AsyncLLMProcess process = start();
    std::optional<Stream> stream;
    asio::co_spawn(*io_, process.stream("hi"), [&](const std::exception_ptr& error, Stream opened) {
        EXPECT_FALSE(error);
        stream.emplace(std::move(opened));
        io_->stop();
    });
    turn();
    ASSERT_TRUE(stream);
    io_.reset();
    expect_loop_closed(process);
    stream.reset();
}

TEST_F(ContextTest, F29_OnAStoppedContextARunStaysPendingUntilItGoesOn) {
    AsyncLLMProcess process = start();
    io_->stop();
    Outcome outcome;
    begin(process, outcome);
    io_->run();
    EXPECT_EQ(outcome.frames_ended, 0) << "a stopped context runs nothing";
    turn();
    EXPECT_EQ(outcome.text, "You said: hi");
}

TEST_F(ContextTest, F29_AStoppedContextIsDestroyedWithACallPending) {
    AsyncLLMProcess process = start();
    Outcome pending;
    begin_held(process, pending);
    io_->stop();
    io_.reset();
    EXPECT_EQ(pending.frames_ended, 1);
    expect_loop_closed(process);
}

}  // namespace
}  // namespace llmproc
