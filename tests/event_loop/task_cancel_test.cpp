// Cancelling tasks.
#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/task.hpp>
#include "event_loop/task_support.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace llmproc::test {

namespace {

using namespace std::chrono_literals;

/// Occupies a loop's thread, so that what is posted meanwhile waits.
class Occupied {
public:
    explicit Occupied(const EventLoop& loop) {
        loop.call_soon([inside = inside_, leave = leave_] {
            inside.raise();
            leave.wait();
        });
        inside_.wait();
    }
    Occupied(const Occupied&) = delete;
    Occupied& operator=(const Occupied&) = delete;
    ~Occupied() { leave_.raise(); }

private:
    Flag inside_;
    Flag leave_;
};

TEST(LoopTest, A3_14_CancelledBeforeItsStartItNeverBegins) {
    const EventLoop loop;
    const Flag begun;
    Task<void> task;
    {
        const Occupied busy(loop);
        task = loop.create_task(raise_and_wait_for_ever(begun));
        task.cancel(CancelReason::abandoned);
        EXPECT_FALSE(task.done()) << "a cancellation is a request";
    }
    EXPECT_EQ(reason_of([&task] { task.get(); }), CancelReason::abandoned);
    EXPECT_FALSE(begun.raised());
}

TEST(LoopTest, A3_14_CancelledDuringAWait) {
    const EventLoop loop;
    const Flag begun;
    const Task<void> task = loop.create_task(raise_and_wait_for_ever(begun));
    begun.wait();
    task.cancel(CancelReason::shutdown);
    EXPECT_EQ(reason_of([&task] { task.get(); }), CancelReason::shutdown);
}

asio::awaitable<int> compute(Flag begun, Flag go_on, bool checks) {
    begun.raise();
    go_on.wait();
    if (checks) {
        co_await next_turn();
        co_await next_turn();
    }
    co_return 11;
}

TEST(LoopTest, A3_14_CancelledWhileItComputesItLearnsItAtTheNextAwait) {
    const EventLoop loop;
    const Flag begun;
    const Flag go_on;
    const Task<int> task = loop.create_task(compute(begun, go_on, true));
    begun.wait();
    task.cancel();
    go_on.raise();
    EXPECT_EQ(reason_of([&task] { task.get(); }), CancelReason::user);
}

TEST(LoopTest, A3_14_ItMayEndNormallyDespiteTheRequest) {
    const EventLoop loop;
    const Flag begun;
    const Flag go_on;
    const Task<int> task = loop.create_task(compute(begun, go_on, false));
    begun.wait();
    task.cancel();
    go_on.raise();
    EXPECT_EQ(task.get(), 11);
    EXPECT_FALSE(task.cancelled());
}

TEST(LoopTest, A3_14_OnlyTheFirstReasonCountsAndAfterTheEndNone) {
    const EventLoop loop;
    const Flag begun;
    const Task<void> task = loop.create_task(raise_and_wait_for_ever(begun));
    begun.wait();
    task.cancel(CancelReason::signal);
    task.cancel(CancelReason::user);
    EXPECT_EQ(code_of([&task] { task.get(); }), Errc::interrupted);
    const Task<int> ended = loop.create_task(value_of(3));
    EXPECT_EQ(ended.get(), 3);
    ended.cancel();
    ended.cancel();
    EXPECT_EQ(ended.get(), 3);
    EXPECT_FALSE(ended.cancelled());
}

asio::awaitable<int> cancel_itself(std::shared_ptr<Task<int>> self, Gate ready, bool waits) {
    co_await ready.passed();
    self->cancel(CancelReason::abandoned);
    if (waits) {
        co_await wait_for_ever();
    }
    co_return 5;
}

TEST(LoopTest, A3_14_SelfCancelArrivesAtTheNextSuspension) {
    const EventLoop loop;
    for (const bool waits : {true, false}) {
        auto self = std::make_shared<Task<int>>();
        const Gate ready;
        *self = loop.create_task(cancel_itself(self, ready, waits));
        ready.open();
        const Task<int> task = *self;
        if (waits) {
            EXPECT_EQ(reason_of([&task] { task.get(); }), CancelReason::abandoned);
        } else {
            EXPECT_EQ(task.get(), 5);
        }
        flush(loop);
        *self = Task<int>();
    }
}

asio::awaitable<void> fail_late(Gate gate) {
    co_await gate.passed();
    throw std::runtime_error("not for the joiner");
}

asio::awaitable<int> join_three(TaskHandle failing, TaskHandle cancelled, TaskHandle waiting) {
    co_await failing.join();
    co_await cancelled.join();
    co_await waiting.cancel_and_join(CancelReason::sibling);
    co_return 3;
}

TEST(LoopTest, A3_14_JoinThrowsNothingOfTheTasks) {
    const EventLoop loop;
    const Reports reports(loop);
    const EventLoop other;
    const Gate gate;
    const Flag begun;
    {
        const Task<void> failing = loop.create_task(fail_late(gate), "failing");
        const Task<void> cancelled = loop.create_task(wait_for_ever());
        const Task<void> waiting = loop.create_task(raise_and_wait_for_ever(begun));
        const Task<int> joining = other.create_task(join_three(failing, cancelled, waiting));
        begun.wait();
        gate.open();
        cancelled.cancel();
        EXPECT_EQ(joining.get(), 3);
        EXPECT_EQ(reason_of([&waiting] { waiting.get(); }), CancelReason::sibling);
    }
    flush(loop);
    EXPECT_TRUE(reports.names().empty()) << "who joins has looked";
}

TEST(LoopTest, A3_14_AbortWithoutARequestIsAnErrorOfTheTask) {
    const EventLoop loop;
    const auto aborted = []() -> asio::awaitable<void> {
        throw boost::system::system_error(asio::error::operation_aborted);
        co_return;
    };
    const Task<void> task = loop.create_task(aborted());
    EXPECT_THROW(task.get(), boost::system::system_error);
    EXPECT_EQ(
        reason_of([&task] {
            try {
                task.get();
            } catch (const Cancelled&) {
                throw;
            } catch (const std::exception&) {}
        }),
        std::nullopt
    );
    EXPECT_FALSE(task.cancelled());
}

asio::awaitable<void> answer_cancel_with_error(Flag begun) {
    try {
        co_await raise_and_wait_for_ever(begun);
    } catch (const boost::system::system_error&) {
        throw std::logic_error("clean-up failed");
    }
}

TEST(LoopTest, A3_14_AnotherErrorThanTheCancellationStays) {
    const EventLoop loop;
    const Flag begun;
    const Task<void> task = loop.create_task(answer_cancel_with_error(begun));
    begun.wait();
    task.cancel();
    EXPECT_THROW(task.get(), std::logic_error);
    EXPECT_FALSE(task.cancelled());
}

asio::awaitable<int> value_after_turn(int value) {
    co_await next_turn();
    co_return value;
}

TEST(LoopTest, F24_CancelBeforeTheFirstSuspension) {
    // From inside its first, synchronous part, as nothing else can run there.
    const EventLoop loop;
    auto self = std::make_shared<Task<int>>();
    {
        const Occupied busy(loop);
        const Gate open;
        open.open();
        *self = loop.create_task(cancel_itself(self, open, true));
    }
    const Task<int> task = *self;
    EXPECT_EQ(reason_of([&task] { task.get(); }), CancelReason::abandoned);
    flush(loop);
    *self = Task<int>();
}

TEST(LoopTest, F24_CancelInTheTurnOfTheCompletion) {
    const EventLoop loop;
    for (int round = 0; round < 200; ++round) {
        Task<int> task;
        {
            const Occupied busy(loop);
            task = loop.create_task(value_after_turn(round));
            // The k-th callback lies before, between or after the task's own turns.
            for (int turn = 0; turn < round % 4; ++turn) {
                loop.call_soon([] {});
            }
            loop.call_soon([&task] { task.cancel(); });
        }
        try {
            EXPECT_EQ(task.get(), round);
            EXPECT_FALSE(task.cancelled());
        } catch (const Cancelled& error) {
            EXPECT_EQ(error.reason(), CancelReason::user);
            EXPECT_TRUE(task.cancelled());
        }
        flush(loop);
    }
}

/// A thread that cancels what it is given, some moments later.
class Canceller {
public:
    Canceller() : thread_([this] { run(); }) {}
    Canceller(const Canceller&) = delete;
    Canceller& operator=(const Canceller&) = delete;
    ~Canceller() {
        give(std::nullopt);
        thread_.join();
    }

    void give(std::optional<TaskHandle> task) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return !full_; });
        task_ = std::move(task);
        full_ = true;
        changed_.notify_all();
    }

private:
    void run() {
        unsigned random = 12345;
        for (;;) {
            std::optional<TaskHandle> task;
            {
                std::unique_lock lock(mutex_);
                changed_.wait(lock, [this] { return full_; });
                task = std::exchange(task_, std::nullopt);
                full_ = false;
                changed_.notify_all();
            }
            if (!task) {
                return;
            }
            random = random * 1664525U + 1013904223U;
            for (std::atomic<unsigned> spent{0}; spent < (random >> 22U); ++spent) {}
            task->cancel();
            task->cancel(CancelReason::shutdown);
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<TaskHandle> task_;
    bool full_ = false;
    std::thread thread_;
};

asio::awaitable<int> some_turns(int turns) {
    for (int turn = 0; turn < turns; ++turn) {
        co_await next_turn();
    }
    co_return turns;
}

TEST(LoopTest, F24_CancelFromAnotherThreadAtRandomTimes) {
    constexpr int rounds = 10'000;
    const EventLoop loop;
    int values = 0;
    int cancelled = 0;
    {
        Canceller canceller;
        for (int round = 0; round < rounds; ++round) {
            const Task<int> task = loop.create_task(some_turns(round % 8));
            canceller.give(task);
            try {
                EXPECT_EQ(task.get(), round % 8);
                ++values;
            } catch (const Cancelled& error) {
                EXPECT_EQ(error.reason(), CancelReason::user);
                ++cancelled;
            }
        }
    }
    EXPECT_EQ(values + cancelled, rounds);
    EXPECT_EQ(loop.create_task(value_of(1)).get(), 1);
    flush(loop);
    EXPECT_EQ(loop.stats().pending_tasks, 0U);
    EXPECT_EQ(loop.stats().handler_exceptions, 0U);
}

}  // namespace
}  // namespace llmproc::test
