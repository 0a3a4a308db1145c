#include "runtime/caller_queue.hpp"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

using Clock = std::chrono::steady_clock;
using Served = CallerQueue::Served;

constexpr Clock::time_point never = Clock::time_point::max();

TEST(CallerQueueTest, ReturnsAtTheEnd) {
    CallerQueue queue;
    queue.end();
    EXPECT_EQ(queue.serve_until(never), Served::ended);
    EXPECT_EQ(queue.serve_until(never), Served::ended);
}

TEST(CallerQueueTest, RunsInOrderWhatWasPostedBeforeTheEnd) {
    CallerQueue queue;
    std::vector<int> order;
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(queue.post([&order, i] { order.push_back(i); }));
    }
    queue.end();
    EXPECT_EQ(queue.serve_until(never), Served::ended);
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(CallerQueueTest, RunsWhatACallbackPosts) {
    CallerQueue queue;
    std::vector<int> order;
    queue.post([&] {
        order.push_back(1);
        queue.post([&] {
            order.push_back(3);
            queue.end();
        });
    });
    queue.post([&] { order.push_back(2); });
    EXPECT_EQ(queue.serve_until(never), Served::ended);
    EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(CallerQueueTest, RefusesCallbacksAfterTheEnd) {
    CallerQueue queue;
    queue.end();
    EXPECT_FALSE(queue.post([] { FAIL(); }));
}

TEST(CallerQueueTest, StopsAtTheLimitAndGoesOnLater) {
    CallerQueue queue;
    EXPECT_EQ(queue.serve_until(Clock::now()), Served::limit);
    int runs = 0;
    for (int i = 0; i < 3; ++i) {
        queue.post([&runs] { ++runs; });
    }
    // A time that is over lets at most one callback through, however many wait.
    EXPECT_EQ(queue.serve_until(Clock::time_point::min()), Served::limit);
    EXPECT_EQ(runs, 1);
    queue.end();
    EXPECT_EQ(queue.serve_until(never), Served::ended);
    EXPECT_EQ(runs, 3);
}

TEST(CallerQueueTest, AWakeReturnsOnce) {
    CallerQueue queue;
    queue.wake();
    queue.wake();
    EXPECT_EQ(queue.serve_until(never), Served::woken);
    EXPECT_EQ(queue.serve_until(Clock::now()), Served::limit);
}

TEST(CallerQueueTest, CloseDestroysWhatIsLeft) {
    CallerQueue queue;
    const auto held = std::make_shared<int>(0);
    queue.post([held] { FAIL(); });
    EXPECT_EQ(held.use_count(), 2);
    queue.close();
    EXPECT_EQ(held.use_count(), 1);
    EXPECT_FALSE(queue.post([held] { FAIL(); }));
    EXPECT_EQ(held.use_count(), 1);
}

TEST(CallerQueueTest, ACallbackIsDestroyedBeforeTheNextOneRuns) {
    CallerQueue queue;
    const auto held = std::make_shared<int>(0);
    queue.post([held] {});
    queue.post([&] { EXPECT_EQ(held.use_count(), 1); });
    queue.end();
    EXPECT_EQ(queue.serve_until(never), Served::ended);
}

TEST(CallerQueueTest, OtherThreadsWakeTheBlockedOne) {
    CallerQueue queue;
    std::vector<std::thread::id> ran_on;
    std::thread poster([&] {
        for (int i = 0; i < 1000; ++i) {
            std::promise<void> ran;
            queue.post([&] {
                ran_on.push_back(std::this_thread::get_id());
                ran.set_value();
            });
            ran.get_future().wait();
        }
        queue.end();
    });
    EXPECT_EQ(queue.serve_until(never), Served::ended);
    poster.join();
    EXPECT_EQ(ran_on, std::vector<std::thread::id>(1000, std::this_thread::get_id()));
}

}  // namespace
}  // namespace llmproc
