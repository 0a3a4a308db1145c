#include "runtime/worker_pool.hpp"

#include <llmproc/error.hpp>
#include "runtime/reaper.hpp"
#include "runtime/worker_blocked.hpp"
#include "support/gate.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using testing::Gate;

class TestJob final : public WorkerJob {
public:
    explicit TestJob(std::function<void()> work, bool is_nested = false)
        : work_(std::move(work)),
          nested_(is_nested) {}

    void run() noexcept override { work_(); }
    void finish() noexcept override { ended.open(); }
    void request_stop() noexcept override { stop.request_stop(); }
    void refuse(std::exception_ptr why) noexcept override {
        error = std::move(why);
        ended.open();
    }
    bool nested() const noexcept override { return nested_; }

    Errc refused_with() const {
        try {
            std::rethrow_exception(error);
        } catch (const LLMError& why) {
            return why.errc();
        }
    }

    Gate ended;
    std::stop_source stop;
    std::exception_ptr error;

private:
    std::function<void()> work_;
    const bool nested_;
};

std::shared_ptr<TestJob> make_job(std::function<void()> work, bool nested = false) {
    return std::make_shared<TestJob>(std::move(work), nested);
}

Errc submit_error(WorkerPool& pool, std::shared_ptr<WorkerJob> job) {
    try {
        pool.submit(std::move(job));
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc{};
}

class WorkerPoolTest : public ::testing::Test {
protected:
    std::shared_ptr<WorkerPool> make_pool(std::size_t threads, std::size_t queue_limit = 1024) {
        pools_.push_back(std::make_shared<WorkerPool>(threads, queue_limit));
        return pools_.back();
    }
    void TearDown() override {
        for (const std::shared_ptr<WorkerPool>& pool : pools_) {
            pool->close();
        }
    }

private:
    std::vector<std::shared_ptr<WorkerPool>> pools_;
};

TEST_F(WorkerPoolTest, StartsNoThreadWithoutAJob) {
    const auto pool = make_pool(4);
    EXPECT_EQ(pool->stats().threads, 0U);
}

TEST_F(WorkerPoolTest, OneJobAfterTheOtherNeedsOneThread) {
    const auto pool = make_pool(4);
    std::set<std::thread::id> threads;
    for (int i = 0; i < 100; ++i) {
        const auto job = make_job([&threads] { threads.insert(std::this_thread::get_id()); });
        pool->submit(job);
        job->ended.wait();
    }
    EXPECT_EQ(threads.size(), 1U);
    EXPECT_EQ(threads.count(std::this_thread::get_id()), 0U);
    const ExecutorStats stats = pool->stats();
    EXPECT_EQ(stats.threads, 1U);
    EXPECT_EQ(stats.jobs, 100U);
    EXPECT_EQ(stats.running, 0U);
    EXPECT_EQ(stats.queued, 0U);
}

TEST_F(WorkerPoolTest, StartsThreadsUpToTheLimitAndQueuesTheRest) {
    const auto pool = make_pool(2);
    Gate gate;
    std::mutex mutex;
    std::vector<int> order;
    std::vector<std::shared_ptr<TestJob>> blockers;
    std::vector<std::shared_ptr<Gate>> begun;
    for (int i = 0; i < 2; ++i) {
        begun.push_back(std::make_shared<Gate>());
        blockers.push_back(make_job([&gate, started = begun.back()] {
            started->open();
            gate.wait();
        }));
        pool->submit(blockers.back());
    }
    begun[0]->wait();
    begun[1]->wait();
    std::vector<std::shared_ptr<TestJob>> waiting;
    for (int i = 0; i < 10; ++i) {
        waiting.push_back(make_job([&mutex, &order, i] {
            const std::lock_guard lock(mutex);
            order.push_back(i);
        }));
        pool->submit(waiting.back());
    }
    const ExecutorStats stats = pool->stats();
    EXPECT_EQ(stats.threads, 2U);
    EXPECT_EQ(stats.running, 2U);
    EXPECT_EQ(stats.queued, 10U);
    gate.open();
    for (const auto& job : waiting) {
        job->ended.wait();
    }
    for (const auto& job : blockers) {
        job->ended.wait();
    }
    EXPECT_EQ(order.size(), 10U);
    EXPECT_EQ(pool->stats().queued, 0U);
}

TEST_F(WorkerPoolTest, ASingleThreadKeepsTheOrder) {
    const auto pool = make_pool(1);
    std::vector<int> order;
    std::shared_ptr<TestJob> last;
    for (int i = 0; i < 50; ++i) {
        last = make_job([&order, i] { order.push_back(i); });
        pool->submit(last);
    }
    last->ended.wait();
    ASSERT_EQ(order.size(), 50U);
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
    }
}

TEST_F(WorkerPoolTest, AFullQueueRefusesWithTheLimitAndTheRemedy) {
    const auto pool = make_pool(1, 2);
    Gate gate;
    const auto running = make_job([&gate] { gate.wait(); });
    pool->submit(running);
    const auto first = make_job([] {});
    const auto second = make_job([] {});
    pool->submit(first);
    pool->submit(second);
    try {
        // Whether or not the thread has taken the first job by now: two wait.
        pool->submit(make_job([] {}));
        ADD_FAILURE() << "more jobs than the queue holds";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::queue_full);
        EXPECT_NE(std::string(error.what()).find("2 jobs wait for 1 threads"), std::string::npos)
            << error.what();
        EXPECT_NE(std::string(error.what()).find("queue_limit"), std::string::npos);
    }
    EXPECT_EQ(pool->stats().refused, 1U);
    gate.open();
    second->ended.wait();
    EXPECT_FALSE(second->error);
}

TEST_F(WorkerPoolTest, WithoutAQueueAJobNeedsAFreeThread) {
    const auto pool = make_pool(1, 0);
    Gate gate;
    const auto running = make_job([&gate] { gate.wait(); });
    pool->submit(running);
    EXPECT_EQ(submit_error(*pool, make_job([] {})), Errc::queue_full);
    gate.open();
    running->ended.wait();
    const auto later = make_job([] {});
    pool->submit(later);
    later->ended.wait();
}

TEST_F(WorkerPoolTest, AWithdrawnJobIsLetGoOfAndDoesNotRun) {
    const auto pool = make_pool(1);
    Gate begun;
    Gate gate;
    const auto running = make_job([&] {
        begun.open();
        gate.wait();
    });
    pool->submit(running);
    begun.wait();
    bool ran = false;
    const auto job = make_job([&ran] { ran = true; });
    pool->submit(job);
    EXPECT_EQ(job.use_count(), 2);
    pool->withdraw(*job);
    pool->withdraw(*job);
    EXPECT_EQ(job.use_count(), 1);
    EXPECT_EQ(pool->stats().queued, 0U);
    gate.open();
    const auto after = make_job([] {});
    pool->submit(after);
    after->ended.wait();
    EXPECT_FALSE(ran);
}

TEST_F(WorkerPoolTest, ClosingRefusesWhatWaitsStopsWhatRunsAndWaits) {
    const auto pool = make_pool(1);
    Gate begun;
    std::atomic<bool> returned{false};
    std::shared_ptr<TestJob> running;
    running = make_job([&] {
        Gate stopped;
        const std::stop_callback on_stop(running->stop.get_token(), [&stopped] { stopped.open(); });
        begun.open();
        stopped.wait();
        returned = true;
    });
    pool->submit(running);
    begun.wait();
    bool ran = false;
    const auto queued = make_job([&ran] { ran = true; });
    pool->submit(queued);
    pool->close();
    EXPECT_TRUE(returned) << "close waits for running jobs";
    EXPECT_FALSE(ran);
    ASSERT_TRUE(queued->error);
    EXPECT_EQ(queued->refused_with(), Errc::loop_closed);
    EXPECT_EQ(submit_error(*pool, make_job([] {})), Errc::loop_closed);
    pool->close();
    EXPECT_EQ(pool.use_count(), 2) << "no thread holds it any more";
    running = nullptr;
}

TEST_F(WorkerPoolTest, ClosedByItsOwnThreadItDoesNotWait) {
    auto pool = std::make_shared<WorkerPool>(2, 10);
    const auto job = make_job([&pool] { pool->close(); });
    pool->submit(job);
    job->ended.wait();
    EXPECT_EQ(submit_error(*pool, make_job([] {})), Errc::loop_closed);
    const std::weak_ptr<WorkerPool> closed = pool;
    pool.reset();
    reap_within(testing::watchdog);
    EXPECT_TRUE(closed.expired()) << "somebody else has joined its thread";
}

TEST_F(WorkerPoolTest, ThreadsHaveNamesAndTakeNoSignals) {
    const auto pool = make_pool(1);
    std::string name(16, '\0');
    sigset_t blocked;
    sigemptyset(&blocked);
    const auto job = make_job([&] {
        pthread_getname_np(pthread_self(), name.data(), name.size());
        pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    });
    pool->submit(job);
    job->ended.wait();
    EXPECT_EQ(name.rfind("llm-exec-", 0), 0U) << name;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM}) {
        EXPECT_EQ(sigismember(&blocked, signal), 1) << signal;
    }
    EXPECT_EQ(sigismember(&blocked, SIGSEGV), 0);
}

TEST_F(WorkerPoolTest, ANestedJobIsRefusedWhileAllThreadsAreBlocked) {
    const auto pool = make_pool(2);
    Gate gate;
    Gate blocked[2];
    std::vector<std::shared_ptr<TestJob>> jobs;
    for (Gate& mine : blocked) {
        jobs.push_back(make_job([&gate, &mine] {
            const WorkerBlocked waits;
            const WorkerBlocked twice;
            mine.open();
            gate.wait();
        }));
    }
    pool->submit(jobs[0]);
    blocked[0].wait();
    const auto nested = make_job([] {}, true);
    pool->submit(nested);
    nested->ended.wait();
    EXPECT_FALSE(nested->error) << "one thread was not blocked";

    pool->submit(jobs[1]);
    blocked[1].wait();
    EXPECT_EQ(submit_error(*pool, make_job([] {}, true)), Errc::would_deadlock);
    const auto foreign = make_job([] {});
    pool->submit(foreign);
    gate.open();
    foreign->ended.wait();
    EXPECT_FALSE(foreign->error) << "a job of somebody else just waits";

    for (const auto& job : jobs) {
        job->ended.wait();
    }
    const auto again = make_job([] {}, true);
    pool->submit(again);
    again->ended.wait();
    EXPECT_FALSE(again->error);
}

TEST_F(WorkerPoolTest, ANestedJobInTheQueueIsRefusedWhenTheLastThreadBlocks) {
    const auto pool = make_pool(1);
    Gate begun;
    Gate queued;
    const auto nested = make_job([] {}, true);
    const auto foreign = make_job([] {});
    const auto outer = make_job([&] {
        begun.open();
        queued.wait();
        const WorkerBlocked waits;
        nested->ended.wait();
    });
    pool->submit(outer);
    begun.wait();
    pool->submit(nested);
    pool->submit(foreign);
    queued.open();
    outer->ended.wait();
    ASSERT_TRUE(nested->error);
    EXPECT_EQ(nested->refused_with(), Errc::would_deadlock);
    foreign->ended.wait();
    EXPECT_FALSE(foreign->error);
}

TEST_F(WorkerPoolTest, OtherThreadsAreNeverCountedAsBlocked) {
    const auto pool = make_pool(1);
    const WorkerBlocked waits;
    const auto job = make_job([] {}, true);
    pool->submit(job);
    job->ended.wait();
    EXPECT_FALSE(job->error);
}

TEST_F(WorkerPoolTest, ManyThreadsMaySubmitAndWithdraw) {
    const auto pool = make_pool(3, 10'000);
    std::atomic<int> ran{0};
    std::atomic<int> accepted{0};
    std::vector<std::thread> threads;
    std::vector<std::shared_ptr<TestJob>> kept[4];
    for (auto& mine : kept) {
        threads.emplace_back([&] {
            for (int i = 0; i < 500; ++i) {
                const auto job = make_job([&ran] { ++ran; });
                pool->submit(job);
                ++accepted;
                if (i % 5 == 0) {
                    pool->withdraw(*job);
                } else {
                    mine.push_back(job);
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (const auto& mine : kept) {
        for (const auto& job : mine) {
            job->ended.wait();
        }
    }
    EXPECT_EQ(accepted, 2000);
    EXPECT_GE(ran, 1600);
    EXPECT_EQ(pool->stats().jobs, 2000U);
    EXPECT_LE(pool->stats().threads, 3U);
}

}  // namespace
}  // namespace llmproc
