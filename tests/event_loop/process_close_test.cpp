#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/process_support.hpp"
#include "support/drive.hpp"
#include "support/log_lines.hpp"
#include "support/resources.hpp"
#include "support/test_program.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::drive;
using testing::errc_from;
using testing::openai_chat_stream;
using testing::Reply;
using testing::Resources;
using testing::settled;
using testing::watchdog;

class ProcessCloseTest : public testing::ProcessFixture {
public:
    void hold_answers() {
        server.handle(nullptr);
        server.default_reply(Reply().hold());
    }
};

asio::awaitable<void> wait_for_ever(std::shared_ptr<std::atomic<int>> ended) {
    struct End {
        std::shared_ptr<std::atomic<int>> counter;
        explicit End(std::shared_ptr<std::atomic<int>> own) : counter(std::move(own)) {}
        End(const End&) = delete;
        End& operator=(const End&) = delete;
        ~End() { ++*counter; }
    };
    const End end(std::move(ended));
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer never(executor, std::chrono::hours(1));
    co_await never.async_wait(asio::use_awaitable);
}

TEST_F(ProcessCloseTest, A1_14_CloseEndsCallsThenWorkThenConnectionsAndReports) {
    SyncLLMProcess process = program().start_sync();
    process.run("an idle connection");
    auto ended = std::make_shared<std::atomic<int>>(0);
    process.spawn(wait_for_ever(ended));
    hold_answers();
    auto call = std::async(std::launch::async, [&] { return process.run("held"); });
    ASSERT_TRUE(server.wait_for_requests(2, watchdog));
    const ShutdownReport report = process.close();
    EXPECT_TRUE(report.drained);
    EXPECT_EQ(report.cancelled_calls, 2U) << "the run and the background work";
    EXPECT_EQ(report.abandoned, 0U);
    EXPECT_EQ(ended->load(), 1) << "work was still there when close returned";
    EXPECT_EQ(errc_from([&] { return call.get(); }), Errc::process_closed);
    EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    EXPECT_EQ(process.messages().size(), 2U);
}

bool same(const ShutdownReport& a, const ShutdownReport& b) {
    return a.drained == b.drained && a.cancelled_calls == b.cancelled_calls &&
           a.abandoned == b.abandoned && a.elapsed == b.elapsed;
}

TEST_F(ProcessCloseTest, F2_EveryCloserGetsTheSameReport) {
    SyncLLMProcess process = program().start_sync();
    auto ended = std::make_shared<std::atomic<int>>(0);
    process.spawn(wait_for_ever(ended));
    std::latch all_there(4);
    std::vector<std::future<ShutdownReport>> closers;
    closers.reserve(4);
    for (int i = 0; i < 4; ++i) {
        closers.push_back(std::async(std::launch::async, [&] {
            all_there.arrive_and_wait();
            const ShutdownReport report = process.close();
            EXPECT_EQ(ended->load(), 1) << "a closer did not wait";
            return report;
        }));
    }
    const ShutdownReport first = closers[0].get();
    EXPECT_TRUE(first.drained);
    EXPECT_EQ(first.cancelled_calls, 1U);
    for (std::size_t i = 1; i < closers.size(); ++i) {
        EXPECT_TRUE(same(closers[i].get(), first));
    }
    EXPECT_TRUE(same(process.close(), first));
}

asio::awaitable<void> close_twice(AsyncLLMProcess& process, std::shared_ptr<std::atomic<int>> n) {
    co_await process.aclose();
    EXPECT_EQ(n->load(), 1);
    co_await process.aclose();
}

TEST_F(ProcessCloseTest, F2_AcloseTwiceAndTwoAtOnce) {
    asio::io_context io;
    AsyncLLMProcess process = program().start(io.get_executor());
    auto ended = std::make_shared<std::atomic<int>>(0);
    process.spawn(wait_for_ever(ended));
    asio::co_spawn(io, close_twice(process, ended), testing::rethrow);
    drive(io, close_twice(process, ended));
    io.run_for(watchdog);
    EXPECT_TRUE(io.stopped());
}

TEST_F(ProcessCloseTest, F1_ACallAfterCloseFailsWithoutIO) {
    SyncLLMProcess process = program().start_sync();
    process.close();
    EXPECT_EQ(errc_from([&] { return process.run("x"); }), Errc::process_closed);
    EXPECT_EQ(errc_from([&] { return process.stream("x"); }), Errc::process_closed);
    EXPECT_EQ(errc_from([&] { return process.count_tokens(); }), Errc::process_closed);
    EXPECT_EQ(errc_from([&] { return process.complete(ChatRequest("x")); }), Errc::process_closed);
    EXPECT_EQ(errc_from([&] { return process.embed({"x"}); }), Errc::process_closed);
    EXPECT_EQ(errc_from([&] { return process.list_models(); }), Errc::process_closed);
    EXPECT_EQ(server.stats().accepts, 0U);
}

asio::awaitable<void> call_closed(AsyncLLMProcess& process, int& refused) {
    co_await process.aclose();
    refused += errc_from([&] { return process.run("x"); }) == Errc::process_closed ? 1 : 0;
    refused += errc_from([&] { return process.stream("x"); }) == Errc::process_closed ? 1 : 0;
    refused += errc_from([&] { return process.count_tokens(); }) == Errc::process_closed ? 1 : 0;
    ChatRequest request("x");
    refused += errc_from([&] { return process.complete(request); }) == Errc::process_closed ? 1 : 0;
    try {
        co_await process.reset();
    } catch (const ProcessClosed&) {
        ++refused;
    }
}

TEST_F(ProcessCloseTest, F1_AnAsyncCallAfterAcloseFailsWithoutIO) {
    asio::io_context io;
    AsyncLLMProcess process = program().start(io.get_executor());
    int refused = 0;
    drive(io, call_closed(process, refused));
    EXPECT_EQ(refused, 5);
    EXPECT_EQ(server.stats().accepts, 0U);
}

TEST_F(ProcessCloseTest, F3_EmptyHandlesThrowInvalidHandle) {
    asio::io_context io;
    SyncLLMProcess blocking = program().start_sync();
    SyncStream stream = blocking.stream("hi");
    AsyncLLMProcess awaited = program().start(io.get_executor());
    AsyncLLMProcess none;
    const SyncStream other_stream = std::move(stream);
    const SyncLLMProcess other = std::move(blocking);
    const AsyncLLMProcess another = std::move(awaited);
    // NOLINTBEGIN(bugprone-use-after-move,clang-analyzer-cplusplus.Move): what this test is about
    EXPECT_EQ(errc_from([&] { return blocking.run("x"); }), Errc::invalid_handle);
    EXPECT_EQ(errc_from([&] { return blocking.close(); }), Errc::invalid_handle);
    EXPECT_EQ(errc_from([&] { return blocking.messages(); }), Errc::invalid_handle);
    EXPECT_EQ(errc_from([&] { return stream.next(); }), Errc::invalid_handle);
    EXPECT_EQ(errc_from([&] { return stream.result(); }), Errc::invalid_handle);
    EXPECT_EQ(errc_from([&] { return awaited.run("x"); }), Errc::invalid_handle);
    EXPECT_EQ(errc_from([&] { return awaited.aclose(); }), Errc::invalid_handle);
    // NOLINTEND(bugprone-use-after-move,clang-analyzer-cplusplus.Move)
    EXPECT_EQ(errc_from([&] { return none.run("x"); }), Errc::invalid_handle);
    EXPECT_EQ(errc_from([&] { return none.stats(); }), Errc::invalid_handle);
    Stream empty;
    EXPECT_EQ(errc_from([&] { return empty.next(); }), Errc::invalid_handle);
}

/// Closes a process from the loop's thread, as a hook of the user could.
class ClosingObserver final : public Observer {
public:
    void on_event(const CallEvent& event) noexcept override {
        if (event.step == CallStep::request && process != nullptr) {
            report = process->close();
            ++closes;
        }
    }
    SyncLLMProcess* process = nullptr;
    ShutdownReport report;
    int closes = 0;
};

TEST_F(ProcessCloseTest, F5_CloseInAHookOnTheLoopsThreadIsDeferred) {
    const auto observer = std::make_shared<ClosingObserver>();
    SyncLLMProcess process = program().with_observer(observer).start_sync();
    observer->process = &process;
    hold_answers();
    EXPECT_EQ(errc_from([&] { return process.run("x"); }), Errc::process_closed);
    EXPECT_EQ(observer->closes, 1);
    EXPECT_FALSE(observer->report.drained) << "it waited on the loop's own thread";
    EXPECT_EQ(errc_from([&] { return process.run("y"); }), Errc::process_closed);
    process.close();
}

asio::awaitable<void> close_from_inside(SyncLLMProcess& process, std::promise<void>& done) {
    process.close();
    done.set_value();
    co_return;
}

TEST_F(ProcessCloseTest, F5_CloseInBackgroundWorkIsDeferred) {
    const Resources before = Resources::now();
    {
        SyncLLMProcess process = program().start_sync();
        std::promise<void> done;
        process.spawn(close_from_inside(process, done));
        done.get_future().get();
        EXPECT_EQ(errc_from([&] { return process.run("x"); }), Errc::process_closed);
    }
    // The thread is joined by the next loop.
    { const EventLoop next; }
    EXPECT_EQ(settled(before, watchdog).threads, before.threads);
}

TEST_F(ProcessCloseTest, F5_CloseWhileReadingAStreamEndsIt) {
    SyncLLMProcess process = program().start_sync();
    server.push(openai_chat_stream({"a", "b"}).hold_after(700));
    std::optional<Errc> ended;
    int events = 0;
    try {
        for (const StreamEvent& event : process.stream("hi")) {
            static_cast<void>(event);
            ++events;
            EXPECT_TRUE(process.close().drained);
        }
    } catch (const LLMError& error) {
        ended = error.errc();
    }
    EXPECT_GE(events, 1);
    EXPECT_EQ(ended, Errc::process_closed);
    EXPECT_TRUE(process.messages().empty());
}

TEST_F(ProcessCloseTest, F6_TheDestructorClosesAndSaysSo) {
    const testing::LogLines log;
    auto ended = std::make_shared<std::atomic<int>>(0);
    std::optional<SyncStream> stream;
    {
        SyncLLMProcess process = program().start_sync();
        process.spawn(wait_for_ever(ended));
        server.push(openai_chat_stream({"a", "b"}).hold_after(700));
        stream.emplace(process.stream("hi"));
    }
    EXPECT_EQ(ended->load(), 1);
    EXPECT_EQ(errc_from([&] { return stream->result(); }), Errc::process_closed);
    EXPECT_EQ(log.count(LogLevel::warning, "without close()"), 1U);
    {
        SyncLLMProcess process = program().start_sync();
        process.run("ended");
    }
    EXPECT_EQ(log.count(LogLevel::warning, "without close()"), 1U) << "nothing was cut off";
}

TEST_F(ProcessCloseTest, F7_TheLastHandleMayDieInACallbackOnTheLoop) {
    const Resources before = Resources::now();
    std::promise<void> looked_for_ended_loops;
    {
        auto process = std::make_shared<SyncLLMProcess>(program().start_sync());
        process->run("hi");
        const asio::any_io_executor executor = process->get_executor();
        std::promise<void> gone;
        std::promise<void> go;
        asio::post(
            executor,
            [last = process,
             &gone,
             ready = go.get_future().share(),
             looked = looked_for_ended_loops.get_future().share()]() mutable {
                ready.wait();
                EXPECT_EQ(last.use_count(), 1);
                last.reset();
                gone.set_value();
                looked.wait();
            }
        );
        process.reset();
        go.set_value();
        gone.get_future().get();
    }
    // Too early for the loop, which closes its connections all the same.
    { const EventLoop next; }
    looked_for_ended_loops.set_value();
    EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    EXPECT_EQ(settled(before, watchdog).threads, before.threads);
}

/// Ignores its cancellation.
asio::awaitable<void> ignore_cancellation(std::shared_ptr<std::atomic<int>> held) {
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer never(executor, std::chrono::hours(1));
    co_await never.async_wait(asio::use_awaitable);
    ++*held;
}

TEST_F(ProcessCloseTest, F8_WorkThatIgnoresItsCancellationIsAbandoned) {
    const Resources before = Resources::now();
    auto held = std::make_shared<std::atomic<int>>(0);
    {
        SyncLLMProcess process = program().start_sync();
        process.spawn(ignore_cancellation(held));
        const ShutdownReport report = process.close(milliseconds(20));
        EXPECT_FALSE(report.drained);
        EXPECT_EQ(report.cancelled_calls, 1U);
        EXPECT_EQ(report.abandoned, 1U);
    }
    EXPECT_EQ(held->load(), 0);
    EXPECT_EQ(settled(before, watchdog).threads, before.threads);
}

asio::awaitable<void> block(std::shared_future<void> until) {
    until.wait();
    co_return;
}

TEST_F(ProcessCloseTest, F8_AHandlerThatDoesNotReturnIsAbandonedWithItsLoop) {
    std::promise<void> release;
    std::promise<void> blocked;
    auto process = std::make_unique<SyncLLMProcess>(program().start_sync());
    asio::post(process->get_executor(), [&blocked] { blocked.set_value(); });
    process->spawn(block(release.get_future().share()));
    blocked.get_future().get();
    const ShutdownReport report = process->close(milliseconds(20));
    EXPECT_FALSE(report.drained);
    EXPECT_GE(report.abandoned, 1U);
    process.reset();
    release.set_value();
    // The abandoned thread ends by itself, with what it kept.
    for (const auto end = std::chrono::steady_clock::now() + watchdog;
         testing::threads_named("llm-loop-") > 0;) {
        ASSERT_LT(std::chrono::steady_clock::now(), end);
        std::this_thread::yield();
    }
}

[[noreturn]] void exit_with_a_stuck_loop() {
    auto* const server = new testing::ScriptedServer;  // NOLINT(cppcoreguidelines-owning-memory)
    SyncLLMProcess process = testing::program_for(*server).start_sync();
    // Leaked, as the end of a static one would release the thread.
    auto* const never = new std::promise<void>;  // NOLINT(cppcoreguidelines-owning-memory)
    std::promise<void> blocked;
    asio::post(process.get_executor(), [&blocked, never] {
        blocked.set_value();
        never->get_future().wait();
    });
    blocked.get_future().get();
    const bool drained = process.close(milliseconds(20)).drained;
    std::exit(drained ? EXIT_FAILURE : EXIT_SUCCESS);
}

TEST_F(ProcessCloseTest, F8_AStuckLoopDoesNotBlockTheExit) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(exit_with_a_stuck_loop(), ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

asio::awaitable<void> run_then(AsyncLLMProcess process, bool closes) {
    const RunResult result = co_await process.run("hi");
    EXPECT_EQ(result.text(), "You said: hi");
    if (closes) {
        co_await process.aclose();
    }
}

TEST_F(ProcessCloseTest, A1_16_TheCallersContextRunsOut) {
    for (const bool closes : {true, false}) {
        asio::io_context io;
        AsyncLLMProcess process = program().start(io.get_executor());
        asio::co_spawn(io, run_then(std::move(process), closes), testing::rethrow);
        io.run_for(watchdog);
        EXPECT_TRUE(io.stopped()) << "something keeps io.run() from returning";
        if (!closes) {
            EXPECT_EQ(connection_stats(io.get_executor()).idle, 1U)
                << "the idle connection is what must not keep it";
        }
    }
}

}  // namespace
}  // namespace llmproc
