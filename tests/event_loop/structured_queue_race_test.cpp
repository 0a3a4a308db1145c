#include <llmproc/queue.hpp>
#include "event_loop/structured_support.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <exception>
#include <future>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::loop_tests {

namespace {

/// An io_context with a thread.
class Runner {
public:
    Runner() : guard_(io_.get_executor()), thread_([this] { io_.run(); }) {}
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;
    ~Runner() { join(); }

    asio::any_io_executor executor() { return io_.get_executor(); }
    void join() {
        guard_.reset();
        if (thread_.joinable()) {
            thread_.join();
        }
    }

private:
    asio::io_context io_{1};
    asio::executor_work_guard<asio::io_context::executor_type> guard_;
    std::thread thread_;
};

using Item = std::pair<int, int>;  ///< Producer and number.

/// What consumers got, each in its order.
class Books {
public:
    void add(std::vector<Item> got) {
        const std::lock_guard lock(mutex_);
        columns_.push_back(std::move(got));
    }
    /// Each item once; those of one producer in order at each consumer.
    void check(int producers, int items) const {
        std::set<Item> seen;
        for (const std::vector<Item>& column : columns_) {
            std::vector<int> last(static_cast<std::size_t>(producers), -1);
            for (const Item& item : column) {
                EXPECT_TRUE(seen.insert(item).second);
                int& before = last[static_cast<std::size_t>(item.first)];
                EXPECT_LT(before, item.second);
                before = item.second;
            }
        }
        EXPECT_EQ(seen.size(), static_cast<std::size_t>(producers * items));
    }

private:
    std::mutex mutex_;
    std::vector<std::vector<Item>> columns_;
};

/// The last producer closes the queue.
void leave(const Queue<Item>& queue, std::atomic<int>& producers) {
    if (--producers == 0) {
        queue.close();
    }
}

asio::awaitable<void> produce(
    Queue<Item> queue,
    int producer,
    int items,
    std::atomic<int>& producers
) {
    for (int i = 0; i < items; ++i) {
        co_await queue.push(Item(producer, i));
    }
    leave(queue, producers);
}

asio::awaitable<void> consume(Queue<Item> queue, Books& books) {
    std::vector<Item> got;
    while (auto item = co_await queue.pop()) {
        got.push_back(*item);
    }
    books.add(std::move(got));
}

void produce_blocking(
    const Queue<Item>& queue,
    int producer,
    int items,
    std::atomic<int>& producers
) {
    for (int i = 0; i < items; ++i) {
        queue.push_blocking(Item(producer, i));
    }
    leave(queue, producers);
}

void consume_blocking(const Queue<Item>& queue, Books& books) {
    std::vector<Item> got;
    while (auto item = queue.pop_blocking()) {
        got.push_back(*item);
    }
    books.add(std::move(got));
}

asio::awaitable<void> pop_one(Queue<int> queue, int& got) {
    const std::optional<int> item = co_await queue.pop();
    got = item.value_or(-1);
}

asio::awaitable<void> push_one(Queue<int> queue, int item, bool& pushed) {
    co_await queue.push(item);
    pushed = true;
}

/// A coroutine on another thread that is cancelled there while this one does something.
class CancelRace {
public:
    /// Returns when the coroutine has ended; the result is its error. Now and then the order is
    /// certain, mostly it is not.
    template <typename Meanwhile>
    std::exception_ptr run(asio::awaitable<void> body, Meanwhile meanwhile) {
        const unsigned dice = static_cast<unsigned>(random_());
        const bool before = dice % 8 == 0;
        const bool after = dice % 8 == 1;
        std::optional<Spawned> spawned;
        auto begin = [&] { spawned.emplace(runner_.executor(), std::move(body)); };
        auto cancel = [&] { spawned->cancel(); };
        asio::post(runner_.executor(), begin);
        for (unsigned turns = dice / 8 % 4; turns > 0; --turns) {
            asio::post(runner_.executor(), [] {});
        }
        if (before) {
            meanwhile();
        }
        asio::post(runner_.executor(), cancel);
        for (unsigned spins = dice / 32 % 400; spins > 0; --spins) {
            std::atomic_signal_fence(std::memory_order_seq_cst);
        }
        if (after) {
            wait_until_ended(spawned);
        }
        if (!before) {
            meanwhile();
        }
        wait_until_ended(spawned);
        return spawned->error();
    }

private:
    void wait_until_ended(const std::optional<Spawned>& spawned) {
        for (bool over = false; !over;) {
            std::promise<bool> ended;
            auto ask = [&] { ended.set_value(spawned->ended()); };
            asio::post(runner_.executor(), ask);
            over = ended.get_future().get();
        }
    }

    Runner runner_;
    std::mt19937 random_{3};
};

constexpr int rounds = 10'000;

}  // namespace

TEST(QueueTest, A3_18_CoroutinesAndThreadsAtBothEnds) {
    constexpr int items = 3000;
    for (const std::size_t capacity : {1U, 3U, 128U}) {
        const Queue<Item> queue(capacity);
        std::atomic<int> producers = 4;
        Books books;
        {
            Runner first;
            Runner second;
            Runner third;
            const std::vector<Spawned> coroutines{
                Spawned(second.executor(), consume(queue, books)),
                Spawned(third.executor(), consume(queue, books)),
                Spawned(first.executor(), produce(queue, 0, items, producers)),
                Spawned(second.executor(), produce(queue, 1, items, producers)),
            };
            std::thread consumer([&] { consume_blocking(queue, books); });
            std::thread one([&] { produce_blocking(queue, 2, items, producers); });
            produce_blocking(queue, 3, items, producers);
            one.join();
            consumer.join();
        }
        books.check(4, items);
        EXPECT_EQ(queue.size(), 0U);
    }
}

TEST(QueueTest, A3_18_CancelledPopLosesNoItemInTenThousandRaces) {
    const Queue<int> queue(2);
    CancelRace race;
    int popped = 0;
    for (int round = 0; round < rounds; ++round) {
        int got = -2;
        const auto push = [&] { ASSERT_TRUE(queue.try_push(round)); };
        const std::exception_ptr error = race.run(pop_one(queue, got), push);
        const std::optional<int> left = queue.try_pop();
        if (left) {
            ASSERT_EQ(*left, round);
            ASSERT_EQ(got, -2);
            ASSERT_TRUE(is_cancelled(error, CancelReason::user));
        } else {
            ASSERT_EQ(got, round);
            ASSERT_EQ(error, nullptr);
            ++popped;
        }
    }
    EXPECT_GT(popped, 0);
    EXPECT_LT(popped, rounds);
}

TEST(QueueTest, A3_18_CancelledPushLeavesNothingInTenThousandRaces) {
    const Queue<int> queue(1);
    CancelRace race;
    int pushes = 0;
    for (int round = 0; round < rounds; ++round) {
        ASSERT_TRUE(queue.try_push(-1));
        bool pushed = false;
        const auto pop = [&] { ASSERT_EQ(queue.try_pop(), -1); };
        const std::exception_ptr error = race.run(push_one(queue, round, pushed), pop);
        const std::optional<int> left = queue.try_pop();
        ASSERT_EQ(left.has_value(), pushed);
        ASSERT_EQ(left.value_or(round), round);
        ASSERT_EQ(error == nullptr, pushed);
        ASSERT_EQ(queue.size(), 0U);
        pushes += pushed ? 1 : 0;
    }
    EXPECT_GT(pushes, 0);
    EXPECT_LT(pushes, rounds);
}

TEST(QueueTest, A3_18_CancelledPopHandsItsPlaceOn) {
    const Queue<int> queue(1);
    Runner other;
    CancelRace race;
    for (int round = 0; round < rounds / 2; ++round) {
        // Whoever of the two gets it, nobody waits while there is an item.
        int got = -2;
        int second = -2;
        std::promise<void> served;
        auto next = [&]() -> asio::awaitable<void> {
            co_await pop_one(queue, second);
            served.set_value();
        };
        const auto push = [&] { queue.push_blocking(round); };
        const Spawned waiting(other.executor(), next());
        const std::exception_ptr error = race.run(pop_one(queue, got), push);
        if (!error) {
            ASSERT_TRUE(queue.try_push(round + 1));
        }
        served.get_future().get();
        ASSERT_EQ(queue.size(), 0U);
        ASSERT_TRUE(second == round || second == round + 1);
    }
}

}  // namespace llmproc::loop_tests
