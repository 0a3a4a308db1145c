#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/task.hpp>
#include "event_loop/loop_support.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace llmproc::testing {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

/// Gives other coroutines their turn.
asio::awaitable<void> turn() {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
}

asio::awaitable<void> count_turns(int& turns) {
    for (;;) {
        ++turns;
        co_await turn();
    }
}

asio::awaitable<std::thread::id> thread_after_turns(int turns) {
    for (int i = 0; i < turns; ++i) {
        co_await turn();
    }
    co_return std::this_thread::get_id();
}

asio::awaitable<void> fail() {
    co_await turn();
    throw std::runtime_error("of the coroutine");
}

TEST(LoopCallerTest, A3_13_RunsOnTheCallingThreadUntilTheCoroutineEnds) {
    const EventLoop loop = EventLoop::on_caller();
    EXPECT_EQ(loop.thread_id(), std::thread::id());
    EXPECT_EQ(loop.run_until_complete(thread_after_turns(3)), std::this_thread::get_id());
    EXPECT_FALSE(loop.running_in_this_thread());
    try {
        loop.run_until_complete(fail());
        FAIL() << "no error";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "of the coroutine");
    }
}

TEST(LoopCallerTest, A3_13_OtherTasksStaySuspendedAndGoOnWithTheNextCall) {
    const EventLoop loop = EventLoop::on_caller();
    int turns = 0;
    const Task<void> background = loop.create_task(count_turns(turns));
    EXPECT_EQ(turns, 0) << "nothing runs it yet";
    loop.run_until_complete(thread_after_turns(10));
    const int first = turns;
    EXPECT_GE(first, 9);
    EXPECT_FALSE(background.done());
    loop.run_until_complete(thread_after_turns(10));
    EXPECT_GE(turns, first + 9);
    const ShutdownReport report = loop.shutdown();
    EXPECT_TRUE(report.drained);
    EXPECT_EQ(report.cancelled_tasks, 1U);
    EXPECT_TRUE(background.cancelled());
}

TEST(LoopCallerTest, A3_13_MayMoveFromThreadToThread) {
    const EventLoop loop = EventLoop::on_caller();
    EXPECT_EQ(loop.run_until_complete(identity(1)), 1);
    std::thread other([&loop] {
        EXPECT_EQ(loop.run_until_complete(thread_after_turns(2)), std::this_thread::get_id());
    });
    other.join();
    EXPECT_EQ(loop.run_until_complete(identity(2)), 2);
}

TEST(LoopCallerTest, A3_13_ARunningLoopRefuses) {
    const EventLoop threaded;
    expect_errc(Errc::loop_running, [&] { threaded.run_until_complete(identity(1)); });
    on_loop(threaded, [&] {
        expect_errc(Errc::loop_running, [&] { threaded.run_until_complete(identity(1)); });
        const EventLoop nested = EventLoop::on_caller();
        expect_errc(Errc::would_deadlock, [&] { nested.run_until_complete(identity(1)); });
    });
    struct Nested {
        static asio::awaitable<void> body(EventLoop loop) {
            co_await turn();
            expect_errc(Errc::loop_running, [&loop] { loop.run_until_complete(identity(1)); });
            std::thread other([&loop] {
                expect_errc(Errc::loop_running, [&loop] { loop.run_until_complete(identity(1)); });
            });
            other.join();
        }
    };
    const EventLoop loop = EventLoop::on_caller();
    loop.run_until_complete(Nested::body(loop));
    asio::io_context io;
    expect_errc(Errc::not_supported, [&] {
        EventLoop::attach(io).run_until_complete(identity(1));
    });
}

TEST(LoopCallerTest, A3_13_AShutdownMeanwhileIsLoopStopped) {
    const EventLoop loop = EventLoop::on_caller();
    loop.call_soon([&loop] { loop.shutdown(); });
    expect_errc(Errc::loop_stopped, [&] { loop.run_until_complete(for_ever()); });
    expect_errc(Errc::loop_closed, [&] { loop.run_until_complete(identity(1)); });
    EXPECT_TRUE(loop.shutdown().drained);

    const EventLoop other = EventLoop::on_caller();
    std::promise<void> runs;
    other.call_soon([&runs] { runs.set_value(); });
    std::thread closing([&] {
        runs.get_future().get();
        EXPECT_TRUE(other.shutdown().drained);
    });
    expect_errc(Errc::loop_stopped, [&] { other.run_until_complete(for_ever()); });
    closing.join();
}

TEST(LoopCallerTest, A3_13_TheDestructorEndsSuspendedTasks) {
    std::optional<Task<void>> background;
    {
        const EventLoop loop = EventLoop::on_caller();
        background = loop.create_task(for_ever());
        loop.run_until_complete(thread_after_turns(2));
    }
    EXPECT_TRUE(background->done());
    expect_errc(Errc::cancelled, [&] { background->get(); });
}

TEST(LoopCallerTest, F9_BlockingOnTheLoopsOwnThreadIsRefused) {
    const EventLoop loop;
    on_loop(loop, [&loop] {
        expect_errc(Errc::would_deadlock, [&] { run_sync(loop, identity(1)); });
        expect_errc(Errc::would_deadlock, [&] {
            run_sync(loop, identity(1), RunOptions().allow_blocking_loop());
        });
        const Task<int> task = loop.create_task(identity(2));
        expect_errc(Errc::would_deadlock, [&task] { task.get(); });
    });
    EXPECT_EQ(run_sync(loop, identity(3)), 3);
}

TEST(LoopCallerTest, F9_TheErrorNamesTheAwaitableWay) {
    const EventLoop loop;
    on_loop(loop, [&loop] {
        try {
            run_sync(loop, identity(1));
            FAIL() << "no error";
        } catch (const WouldDeadlock& error) {
            EXPECT_NE(std::string(error.what()).find("co_await"), std::string::npos);
        }
    });
}

TEST(LoopCallerTest, F9_AnAttachedLoopIsItsOwnThreadToo) {
    asio::io_context io;
    const EventLoop loop = EventLoop::attach(io);
    bool ran = false;
    loop.call_soon([&] {
        ran = true;
        EXPECT_TRUE(loop.running_in_this_thread());
        expect_errc(Errc::would_deadlock, [&] { run_sync(loop, identity(1)); });
    });
    EXPECT_FALSE(loop.running_in_this_thread());
    io.run();
    EXPECT_TRUE(ran);
}

TEST(LoopCallerTest, F10_BlockingAnotherLoopNeedsPermission) {
    const EventLoop a;
    const EventLoop b;
    on_loop(a, [&b] {
        expect_errc(Errc::would_deadlock, [&] { run_sync(b, identity(1)); });
        EXPECT_EQ(run_sync(b, identity(2), RunOptions().allow_blocking_loop()), 2);
    });
}

TEST(LoopCallerTest, F10_ACircleOfLoopsIsRefusedEvenWithPermission) {
    const EventLoop a;
    const EventLoop b;
    const EventLoop c;
    const RunOptions allowed = RunOptions().allow_blocking_loop();
    struct Chain {
        /// Blocks the loop it runs on until `to` has run `then`.
        static asio::awaitable<int> link(EventLoop to, std::function<asio::awaitable<int>()> then) {
            const RunOptions options = RunOptions().allow_blocking_loop();
            const int result = run_sync(to, then(), options);
            co_return result;
        }
        static asio::awaitable<int> last(EventLoop first) {
            int refused = 0;
            try {
                run_sync(first, identity(1), RunOptions().allow_blocking_loop());
            } catch (const WouldDeadlock&) {
                refused = 1;
            }
            co_return refused;
        }
    };
    const std::function<asio::awaitable<int>()> to_a = [a] { return Chain::last(a); };
    const std::function<asio::awaitable<int>()> to_c = [c, to_a] { return Chain::link(c, to_a); };
    EXPECT_EQ(on_loop(a, [&] { return run_sync(b, to_a(), allowed); }), 1) << "a, b, a";
    EXPECT_EQ(on_loop(a, [&] { return run_sync(b, to_c(), allowed); }), 1) << "a, b, c, a";
    EXPECT_EQ(on_loop(a, [&] { return run_sync(b, identity(5), allowed); }), 5);
}

TEST(LoopCallerTest, F36_ALoopWhoseHandlersOnlyFailDies) {
    const EventLoop loop;
    Counter reports;
    loop.set_exception_handler([&reports](const std::exception_ptr&, std::string_view) {
        reports.add();
    });
    const Task<void> task = loop.create_task(for_ever());
    std::promise<void> waits;
    std::thread caller([&loop, &waits] {
        loop.call_soon([&waits] { waits.set_value(); });
        expect_errc(Errc::loop_died, [&loop] { run_sync(loop, for_ever()); });
    });
    waits.get_future().get();
    // A handler that can never be done: as a broken executor of the user would have it.
    struct Broken {
        asio::any_io_executor executor;
        void operator()() const {
            asio::post(executor, *this);
            throw std::runtime_error("broken");
        }
    };
    // Not before the caller waits.
    while (loop.stats().pending_tasks < 2) {
        std::this_thread::yield();
    }
    asio::post(loop.get_executor(), Broken{loop.get_executor()});
    caller.join();
    expect_errc(Errc::loop_died, [&task] { task.get(); });
    expect_errc(Errc::loop_died, [&loop] { run_sync(loop, identity(1)); });
    expect_errc(Errc::loop_died, [&loop] { loop.call_soon([] {}); });
    EXPECT_EQ(reports.value(), 1'000U);
    EXPECT_EQ(loop.stats().handler_exceptions, 1'000U);
    EXPECT_FALSE(loop.shutdown().drained);
}

TEST(LoopCallerTest, F36_ALoopSurvivesFailuresAmongSuccesses) {
    const EventLoop loop;
    loop.set_exception_handler([](const std::exception_ptr&, std::string_view) {});
    std::promise<void> last;
    on_loop(loop, [&loop, &last] {
        for (int i = 0; i < 3'000; ++i) {
            asio::post(loop.get_executor(), [i] {
                if (i % 100 != 0) {
                    throw i;
                }
            });
        }
        asio::post(loop.get_executor(), [&last] { last.set_value(); });
    });
    last.get_future().wait();
    EXPECT_EQ(run_sync(loop, identity(7)), 7);
    EXPECT_EQ(loop.stats().handler_exceptions, 2'970U);
}

}  // namespace
}  // namespace llmproc::testing
