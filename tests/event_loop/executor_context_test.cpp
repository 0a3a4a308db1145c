// A2.11 and A3.19: what accompanies a call, and what the log says of it.
#include <llmproc/context_map.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/executor.hpp>
#include <llmproc/log.hpp>
#include <llmproc/observer.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/sync_process.hpp>
#include <llmproc/task.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "core/log_line.hpp"
#include "support/gate.hpp"
#include "support/test_program.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using asio::awaitable;

std::string fields_here() {
    return current_context().log_fields();
}

RunOptions with_trace() {
    return RunOptions().context("trace", "7").context("user", 5);
}

/// What each place that belongs to a call sees of its context.
struct Seen {
    std::string coroutine;
    std::string thread;
    std::string job;
    std::string pool_job;
    std::string caller;
    std::string child;
    int user = 0;
};

awaitable<std::string> fields_of_child() {
    const ContextMap context = co_await this_context();
    co_return context.log_fields();
}

awaitable<Seen> look_around(EventLoop loop) {
    Seen seen;
    const ContextMap context = co_await this_context();
    seen.coroutine = context.log_fields();
    if (const int* const user = context.get<int>("user")) {
        seen.user = *user;
    }
    seen.thread = fields_here();
    seen.job = co_await run_in_executor(fields_here);
    seen.thread += "," + fields_here();
    asio::thread_pool pool(1);
    seen.pool_job = co_await run_in_executor(pool, fields_here);
    seen.caller = co_await run_on_caller(fields_here);
    const Task<std::string> child = loop.create_task(fields_of_child());
    seen.child = co_await child.result();
    co_return seen;
}

TEST(ContextTest, A2_11_EverythingThatBelongsToTheCallSeesIt) {
    const EventLoop loop;
    const Seen seen = run_sync(loop, look_around(loop), with_trace());
    EXPECT_EQ(seen.coroutine, "trace=7");
    EXPECT_EQ(seen.user, 5);
    EXPECT_EQ(seen.thread, "trace=7,trace=7");
    EXPECT_EQ(seen.job, "trace=7");
    EXPECT_EQ(seen.pool_job, "trace=7");
    EXPECT_EQ(seen.caller, "trace=7");
    EXPECT_EQ(seen.child, "trace=7");

    const Seen without = run_sync(loop, look_around(loop));
    EXPECT_EQ(without.coroutine + without.thread + without.job + without.caller, ",");
    EXPECT_TRUE(current_context().empty());
}

TEST(ContextTest, A2_11_TheCallersOwnContextAccompaniesTheCallUnlessItIsGivenOne) {
    const EventLoop loop;
    const ContextScope scope(ContextMap().with("request", "r1"));
    EXPECT_EQ(run_sync(loop, look_around(loop)).job, "request=r1");
    EXPECT_EQ(run_sync(loop, look_around(loop), with_trace()).job, "trace=7");
    EXPECT_EQ(loop.create_task(fields_of_child(), "beat").get(), "request=r1 task=beat");
}

awaitable<void> interleaved(std::string mine, int* wrong) {
    for (int i = 0; i < 50; ++i) {
        co_await testing::turn();
        const ContextMap context = co_await this_context();
        *wrong += context.log_fields() == mine ? 0 : 1;
        *wrong += fields_here() == mine ? 0 : 1;
    }
}

TEST(ContextTest, A2_11_CallsThatTakeTurnsDoNotSeeEachOthers) {
    const EventLoop loop;
    int wrong = 0;
    std::vector<Task<void>> tasks;
    for (int i = 0; i < 10; ++i) {
        const std::string number = std::to_string(i);
        tasks.push_back(loop.submit(
            interleaved("trace=" + number, &wrong),
            RunOptions().context("trace", number)
        ));
    }
    for (const Task<void>& task : tasks) {
        task.get();
    }
    EXPECT_EQ(wrong, 0);
}

TEST(ContextTest, A2_11_AJobsOwnCallsInheritIt) {
    const EventLoop loop;
    auto job = [loop] { return run_sync(loop, fields_of_child()); };
    EXPECT_EQ(run_sync(loop, run_in_executor(Executor(1), job), with_trace()), "trace=7");
}

thread_local int of_this_thread = 0;

int thread_local_value() {
    return of_this_thread;
}

awaitable<std::vector<int>> thread_local_values() {
    std::vector<int> values;
    values.push_back(of_this_thread);
    const int of_job = co_await run_in_executor(thread_local_value);
    values.push_back(of_job);
    const int of_caller = co_await run_on_caller(thread_local_value);
    values.push_back(of_caller);
    co_return values;
}

TEST(ContextTest, A2_11_AThreadLocalOfTheCallerIsNotVisibleOnTheLoop) {
    const EventLoop loop;
    of_this_thread = 42;
    EXPECT_EQ(run_sync(loop, thread_local_values()), (std::vector<int>{0, 0, 42}));
    of_this_thread = 0;
}

class FieldsObserver final : public Observer {
public:
    void on_event(const CallEvent& event) noexcept override {
        const std::lock_guard lock(mutex_);
        fields_.push_back(event.context != nullptr ? event.context->log_fields() : "none");
    }
    std::vector<std::string> take() {
        const std::lock_guard lock(mutex_);
        return std::exchange(fields_, {});
    }

private:
    std::mutex mutex_;
    std::vector<std::string> fields_;
};

TEST(ContextTest, A2_11_EventsOfACallCarryIt) {
    testing::ScriptedServer server;
    server.handle(testing::openai_chat_echo);
    const auto observer = std::make_shared<FieldsObserver>();
    SyncLLMProcess process = testing::program_for(server).with_observer(observer).start_sync();
    process.run("hi", with_trace());
    std::vector<std::string> fields = observer->take();
    EXPECT_GE(fields.size(), 3U);
    EXPECT_EQ(fields, std::vector<std::string>(fields.size(), "trace=7"));

    process.run("hi");
    fields = observer->take();
    EXPECT_EQ(fields, std::vector<std::string>(fields.size(), "none"));

    const ContextScope scope(ContextMap().with("request", "r1"));
    process.run("hi");
    fields = observer->take();
    EXPECT_EQ(fields, std::vector<std::string>(fields.size(), "request=r1"));
}

/// A line of the log and the thread that it came from.
struct Line {
    std::string text;
    std::thread::id thread;
};

class Lines {
public:
    Lines() {
        set_log_sink(LogLevel::debug, [kept = kept_](LogLevel, std::string_view text) {
            const std::lock_guard lock(kept->mutex);
            kept->lines.push_back(Line{std::string(text), std::this_thread::get_id()});
        });
    }
    Lines(const Lines&) = delete;
    Lines& operator=(const Lines&) = delete;
    ~Lines() { set_log_sink(LogLevel::warning, nullptr); }

    /// The thread that logged `text`; none if it was not logged exactly once.
    std::thread::id thread_of(std::string_view text) const {
        const std::lock_guard lock(kept_->mutex);
        const auto fits = [text](const Line& line) { return line.text == text; };
        const auto& lines = kept_->lines;
        const auto found = std::find_if(lines.begin(), lines.end(), fits);
        const bool once = std::count_if(lines.begin(), lines.end(), fits) == 1;
        return once ? found->thread : std::thread::id();
    }

private:
    struct Kept {
        std::mutex mutex;
        std::vector<Line> lines;
    };
    std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

std::thread::id log_from_job(Logger logger) {
    logger.info("in a job");
    log_line(LogLevel::info, "a line of the library");
    return std::this_thread::get_id();
}

awaitable<std::thread::id> log_everywhere(Logger logger) {
    logger.info("on the loop");
    auto on_caller = [logger] { logger.info("on the caller"); };
    co_await run_on_caller(std::move(on_caller));
    co_return co_await run_in_executor(log_from_job, logger);
}

TEST(LoggerTest, A3_19_TheSinkGetsLinesFromAllThreadsWithTheirFields) {
    const Lines lines;
    const EventLoop loop;
    const Logger logger("beat");
    const RunOptions options = with_trace().context("note", "two words");
    const std::thread::id job = run_sync(loop, log_everywhere(logger), options);
    logger.info("outside");
    const std::string fields = " [trace=7 note=\"two words\"]";
    EXPECT_EQ(lines.thread_of("beat: on the loop" + fields), loop.thread_id());
    EXPECT_EQ(lines.thread_of("beat: on the caller" + fields), std::this_thread::get_id());
    EXPECT_EQ(lines.thread_of("beat: in a job" + fields), job);
    EXPECT_EQ(lines.thread_of("a line of the library" + fields), job);
    EXPECT_EQ(lines.thread_of("beat: outside"), std::this_thread::get_id());
    EXPECT_NE(job, loop.thread_id());
}

awaitable<void> log_once(Logger logger) {
    logger.info("alive");
    co_return;
}

TEST(LoggerTest, A3_19_ATaskLogsItsName) {
    const Lines lines;
    const EventLoop loop;
    loop.create_task(log_once(Logger("h")), "heartbeat").get();
    EXPECT_EQ(lines.thread_of("h: alive [task=heartbeat]"), loop.thread_id());
}

TEST(LoggerTest, A3_19_ThreadsMayLogAtOnce) {
    const Lines lines;
    const EventLoop loop;
    std::vector<Task<std::thread::id>> tasks;
    for (int i = 0; i < 50; ++i) {
        tasks.push_back(loop.submit(
            run_in_executor(log_from_job, Logger("l" + std::to_string(i))),
            RunOptions().context("trace", std::to_string(i))
        ));
    }
    for (int i = 0; i < 50; ++i) {
        const std::string number = std::to_string(i);
        const std::thread::id thread = tasks[static_cast<std::size_t>(i)].get();
        EXPECT_EQ(lines.thread_of("l" + number + ": in a job [trace=" + number + "]"), thread);
    }
}

}  // namespace
}  // namespace llmproc
