#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/process_support.hpp"
#include "support/drive.hpp"
#include "support/test_program.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include <cstddef>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using testing::drive;
using testing::errc_from;
using testing::errc_of;
using testing::Reply;

class ProcessAsyncRunTest : public testing::ProcessFixture {
public:
    /// Calls back once, with what came.
    auto recorder() {
        return [this](std::exception_ptr failure, const RunResult& result) {
            ++calls;
            error = std::move(failure);
            text = result.text();
            thread = std::this_thread::get_id();
        };
    }
    void run_out() {
        io.restart();
        io.run_for(testing::watchdog);
        EXPECT_TRUE(io.stopped());
    }
    /// Emits once the server has the request.
    std::thread emit_when_asked(asio::cancellation_signal& signal) {
        return std::thread([this, &signal] {
            EXPECT_TRUE(server.wait_for_requests(1, testing::watchdog));
            asio::post(io, [&signal] { signal.emit(asio::cancellation_type::terminal); });
        });
    }

    asio::io_context io;
    AsyncLLMProcess process = program().start(io.get_executor());
    int calls = 0;
    std::exception_ptr error;
    std::string text;
    std::thread::id thread;
};

TEST_F(ProcessAsyncRunTest, F42_Callback) {
    process.async_run("hi", RunOptions(), recorder());
    EXPECT_EQ(calls, 0) << "it completes inside the initiating function";
    run_out();
    EXPECT_EQ(calls, 1);
    EXPECT_FALSE(error);
    EXPECT_EQ(text, "You said: hi");
    process.async_run(Message::user("a message"), RunOptions(), recorder());
    run_out();
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(text, "You said: a message");
    EXPECT_EQ(process.messages().size(), 4U);
}

TEST_F(ProcessAsyncRunTest, F42_AFailureAtOnceStillCompletesLater) {
    bool inside = true;
    asio::post(io, [&] {
        auto later = [this, &inside](std::exception_ptr failure, const RunResult&) {
            EXPECT_FALSE(inside) << "it completes inside the initiating function";
            ++calls;
            EXPECT_EQ(errc_of(failure), Errc::timeout);
        };
        // On the context's own thread, where a dispatch would run it to its end here.
        process.async_run("hi", RunOptions().timeout(milliseconds(0)), later);
        inside = false;
    });
    run_out();
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(server.stats().requests, 0U);
}

TEST_F(ProcessAsyncRunTest, F42_UseFuture) {
    std::future<RunResult> good = process.async_run("hi", RunOptions(), asio::use_future);
    run_out();
    EXPECT_EQ(good.get().text(), "You said: hi");
    std::future<RunResult> bad =
        process.async_run("hi", RunOptions().timeout(milliseconds(0)), asio::use_future);
    run_out();
    EXPECT_EQ(errc_from([&] { return bad.get(); }), Errc::timeout);
}

TEST_F(ProcessAsyncRunTest, F42_DeferredStartsNothingUntilItIsCalled) {
    auto operation = process.async_run("hi", RunOptions(), asio::deferred);
    run_out();
    EXPECT_EQ(server.stats().requests, 0U);
    // The operation does not need the handle to stay where it is.
    AsyncLLMProcess moved = std::move(process);
    std::move(operation)(recorder());
    run_out();
    EXPECT_EQ(text, "You said: hi");
    EXPECT_EQ(moved.messages().size(), 2U);
}

asio::awaitable<void> await_tuple(AsyncLLMProcess& process, std::string& seen) {
    auto [error, result] =
        co_await process.async_run("hi", RunOptions(), asio::as_tuple(asio::use_awaitable));
    seen += error ? "error;" : result.text() + ";";
    const RunOptions none = RunOptions().timeout(milliseconds(0));
    auto [failure, empty] =
        co_await process.async_run("no", none, asio::as_tuple(asio::use_awaitable));
    seen += errc_of(failure) == Errc::timeout && empty.text().empty() ? "timeout;" : "wrong;";
}

TEST_F(ProcessAsyncRunTest, F42_AsTuple) {
    std::string seen;
    drive(io, await_tuple(process, seen));
    EXPECT_EQ(seen, "You said: hi;timeout;");
}

asio::awaitable<void> await_both(AsyncLLMProcess& process, std::string& seen) {
    const RunResult first = co_await process.async_run("a", RunOptions(), asio::use_awaitable);
    auto later = process.async_run("b", RunOptions(), asio::deferred);
    const RunResult second = co_await std::move(later)(asio::use_awaitable);
    seen = first.text() + ";" + second.text();
}

TEST_F(ProcessAsyncRunTest, F42_UseAwaitable) {
    std::string seen;
    drive(io, await_both(process, seen));
    EXPECT_EQ(seen, "You said: a;You said: b");
}

TEST_F(ProcessAsyncRunTest, F42_BindExecutorCompletesThere) {
    asio::thread_pool pool(1);
    std::promise<std::thread::id> pool_thread;
    asio::post(pool, [&] { pool_thread.set_value(std::this_thread::get_id()); });
    std::promise<void> done;
    auto handler = [this, &done](std::exception_ptr failure, const RunResult& result) {
        recorder()(std::move(failure), result);
        done.set_value();
    };
    process.async_run("hi", RunOptions(), asio::bind_executor(pool, std::move(handler)));
    run_out();
    done.get_future().get();
    EXPECT_EQ(thread, pool_thread.get_future().get());
    EXPECT_EQ(text, "You said: hi");
    pool.join();
}

TEST_F(ProcessAsyncRunTest, F42_BindExecutorToAStrandCompletesInIt) {
    const auto strand = asio::make_strand(io);
    bool inside = false;
    auto handler = [&](const std::exception_ptr&, const RunResult&) {
        inside = strand.running_in_this_thread();
    };
    process.async_run("hi", RunOptions(), asio::bind_executor(strand, handler));
    run_out();
    EXPECT_TRUE(inside);
}

TEST_F(ProcessAsyncRunTest, F42_BindCancellationSlotEndsTheRun) {
    server.push(Reply().hold());
    asio::cancellation_signal signal;
    process.async_run("hi", RunOptions(), asio::bind_cancellation_slot(signal.slot(), recorder()));
    std::thread watcher = emit_when_asked(signal);
    run_out();
    watcher.join();
    EXPECT_EQ(calls, 1);
    try {
        testing::rethrow(error);
        FAIL() << "no error";
    } catch (const Cancelled& cancelled) {
        EXPECT_EQ(cancelled.reason(), CancelReason::user);
    }
    signal.emit(asio::cancellation_type::terminal);  // Nobody listens any more.
    EXPECT_TRUE(server.wait_for_aborted(1, testing::watchdog));
    process.async_run("again", RunOptions(), recorder());
    run_out();
    EXPECT_EQ(text, "You said: again");
    EXPECT_EQ(process.messages().size(), 2U);
}

TEST_F(ProcessAsyncRunTest, F42_TheSlotIsFreeWhenTheHandlerRuns) {
    asio::cancellation_signal signal;
    auto next = [&](std::exception_ptr failure, const RunResult& result) {
        recorder()(std::move(failure), result);
        // Nobody may take this for the next run, which gets the same slot.
        signal.emit(asio::cancellation_type::terminal);
        auto last = asio::bind_cancellation_slot(signal.slot(), recorder());
        process.async_run("two", RunOptions(), std::move(last));
    };
    process.async_run("one", RunOptions(), asio::bind_cancellation_slot(signal.slot(), next));
    run_out();
    EXPECT_FALSE(error);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(text, "You said: two");
    EXPECT_EQ(process.messages().size(), 4U);
}

TEST_F(ProcessAsyncRunTest, F42_ASlotEmittedBeforeTheFirstStepSendsNothing) {
    asio::cancellation_signal signal;
    process.async_run("hi", RunOptions(), asio::bind_cancellation_slot(signal.slot(), recorder()));
    signal.emit(asio::cancellation_type::terminal);
    run_out();
    EXPECT_EQ(errc_of(error), Errc::cancelled);
    EXPECT_EQ(calls, 1);
    EXPECT_TRUE(process.messages().empty());
}

TEST_F(ProcessAsyncRunTest, F42_Detached) {
    process.async_run("hi", RunOptions(), asio::detached);
    run_out();
    EXPECT_EQ(process.messages().size(), 2U);
}

TEST_F(ProcessAsyncRunTest, F42_TheProcessMayBeDestroyedOrClosedMeanwhile) {
    server.push(Reply().hold());
    process.async_run("hi", RunOptions(), recorder());
    std::thread watcher([this] {
        EXPECT_TRUE(server.wait_for_requests(1, testing::watchdog));
        asio::post(io, [this] { process = AsyncLLMProcess(); });
    });
    run_out();
    watcher.join();
    EXPECT_EQ(errc_of(error), Errc::process_closed);
    EXPECT_EQ(
        errc_from([&] {
            process.async_run("x", RunOptions(), asio::detached);
            return 0;
        }),
        Errc::invalid_handle
    );

    AsyncLLMProcess closed = program().start(io.get_executor());
    drive(io, closed.aclose());
    closed.async_run("late", RunOptions(), recorder());
    EXPECT_EQ(calls, 1) << "a refusal too comes later";
    run_out();
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(errc_of(error), Errc::process_closed);
}

/// Tells of its end, called or not.
struct Mark {
    explicit Mark(bool& flag) : gone(&flag) {}
    Mark(Mark&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;
    ~Mark() {
        if (gone != nullptr) {
            *gone = true;
        }
    }
    bool* gone;
};

TEST_F(ProcessAsyncRunTest, F42_TheHandlerDiesUncalledWithItsContext) {
    server.default_reply(Reply().hold());
    server.handle(nullptr);
    bool destroyed = false;
    bool called = false;
    const auto handler = [&] {
        return [mark = Mark(destroyed), &called](const std::exception_ptr&, const RunResult&) {
            called = true;
        };
    };
    {
        asio::io_context dying;
        AsyncLLMProcess own = program().start(dying.get_executor());
        own.async_run("hi", RunOptions(), handler());
        dying.poll();
        EXPECT_FALSE(destroyed);
    }
    EXPECT_TRUE(destroyed);
    destroyed = false;
    {
        // The run goes on where it is, and nobody is told.
        asio::io_context dying;
        process.async_run("hi", RunOptions(), asio::bind_executor(dying, handler()));
        io.poll();
    }
    EXPECT_TRUE(destroyed);
    EXPECT_FALSE(called);
    drive(io, process.aclose());
}

TEST_F(ProcessAsyncRunTest, F42_ARunWhoseContextDiesIsLoopClosedElsewhere) {
    server.default_reply(Reply().hold());
    server.handle(nullptr);
    std::optional<AsyncLLMProcess> other;
    {
        asio::io_context dying;
        other.emplace(program().start(dying.get_executor()));
        other->async_run("hi", RunOptions(), asio::bind_executor(io, recorder()));
        dying.poll();
    }
    run_out();
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(errc_of(error), Errc::loop_closed);
    EXPECT_EQ(
        errc_from([&] {
            other->async_run("x", RunOptions(), recorder());
            return 0;
        }),
        Errc::loop_closed
    );
}

/// Counts what is allocated by it.
template <typename T>
struct Counting {
    using value_type = T;
    explicit Counting(std::size_t& total) noexcept : count(&total) {}
    template <typename U>
    // NOLINTNEXTLINE(google-explicit-constructor): the requirements of an allocator
    Counting(const Counting<U>& other) noexcept : count(other.count) {}
    T* allocate(std::size_t n) {
        ++*count;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* place, std::size_t n) {
        --*count;
        std::allocator<T>().deallocate(place, n);
    }
    friend bool operator==(const Counting&, const Counting&) = default;
    std::size_t* count;
};

TEST_F(ProcessAsyncRunTest, F43_TheHandlersAllocatorHoldsIt) {
    std::size_t held = 0;
    std::size_t held_when_called = 1;
    auto handler = [&](const std::exception_ptr&, const RunResult&) { held_when_called = held; };
    process.async_run("hi", RunOptions(), asio::bind_allocator(Counting<void>(held), handler));
    EXPECT_EQ(held, 1U);
    run_out();
    EXPECT_EQ(held_when_called, 0U) << "memory is given back before the call";
    {
        asio::io_context dying;
        AsyncLLMProcess own = program().start(dying.get_executor());
        own.async_run("hi", RunOptions(), asio::bind_allocator(Counting<void>(held), handler));
        EXPECT_EQ(held, 1U);
    }
    EXPECT_EQ(held, 0U);
}

TEST_F(ProcessAsyncRunTest, F43_AnyCompletionHandler) {
    using Any = asio::any_completion_handler<void(std::exception_ptr, RunResult)>;
    const auto strand = asio::make_strand(io);
    bool inside = false;
    auto handler = [&](std::exception_ptr failure, const RunResult& result) {
        inside = strand.running_in_this_thread();
        recorder()(std::move(failure), result);
    };
    server.push(Reply().hold());
    asio::cancellation_signal signal;
    process.async_run(
        "hi",
        RunOptions(),
        Any(asio::bind_cancellation_slot(signal.slot(), asio::bind_executor(strand, handler)))
    );
    std::thread watcher = emit_when_asked(signal);
    run_out();
    watcher.join();
    EXPECT_EQ(errc_of(error), Errc::cancelled);
    EXPECT_TRUE(inside);
    process.async_run("again", RunOptions(), Any(handler));
    run_out();
    EXPECT_EQ(text, "You said: again");
    EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace llmproc
