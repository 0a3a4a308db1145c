#include <llmproc/event_loop.hpp>
#include <llmproc/queue.hpp>
#include "event_loop/structured_support.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::loop_tests {

namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;

asio::awaitable<void> push_all(Queue<int> queue, int first, int last, int& pushed) {
    for (int i = first; i <= last; ++i) {
        co_await queue.push(i);
        ++pushed;
    }
}

asio::awaitable<void> pop_one(Queue<int> queue, std::vector<int>& popped) {
    const std::optional<int> item = co_await queue.pop();
    popped.push_back(item.value_or(-1));
}

asio::awaitable<void> pop_all(Queue<int> queue, std::vector<int>& popped) {
    while (auto item = co_await queue.pop()) {
        popped.push_back(*item);
    }
}

Errc code_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        return known.errc();
    }
}

template <typename Call>
Errc code_thrown_by(Call call) {
    try {
        call();
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc();
}

}  // namespace

TEST(QueueTest, A3_18_FullQueueMakesItsProducerWait) {
    asio::io_context io;
    const Queue<int> queue(3);
    int pushed = 0;
    const Spawned producer(io.get_executor(), push_all(queue, 1, 6, pushed));
    run_ready(io);
    EXPECT_EQ(pushed, 3);
    EXPECT_EQ(queue.size(), 3U);
    for (int i = 1; i <= 3; ++i) {
        EXPECT_EQ(queue.try_pop(), i);
        run_ready(io);
        EXPECT_EQ(pushed, 3 + i);
        EXPECT_EQ(queue.size(), 3U);
    }
    EXPECT_TRUE(producer.ended());
    EXPECT_EQ(queue.try_pop(), 4);
    EXPECT_EQ(queue.try_pop(), 5);
    EXPECT_EQ(queue.try_pop(), 6);
    EXPECT_EQ(queue.try_pop(), std::nullopt);
}

TEST(QueueTest, A3_18_WhoWaitsIsServedInOrder) {
    asio::io_context io;
    const Queue<int> queue(1);
    std::vector<int> first;
    std::vector<int> second;
    std::vector<int> third;
    const Spawned one(io.get_executor(), pop_one(queue, first));
    Spawned two(io.get_executor(), pop_one(queue, second));
    const Spawned three(io.get_executor(), pop_one(queue, third));
    run_ready(io);
    two.cancel();
    int pushed = 0;
    const Spawned producer(io.get_executor(), push_all(queue, 1, 3, pushed));
    run_ready(io);
    EXPECT_EQ(first, std::vector<int>{1});
    EXPECT_EQ(third, std::vector<int>{2});
    EXPECT_EQ(queue.try_pop(), 3);
    EXPECT_TRUE(is_cancelled(two.error(), CancelReason::user));
    EXPECT_TRUE(second.empty());
}

TEST(QueueTest, A3_18_CancelledPushLeavesNothing) {
    asio::io_context io;
    const Queue<int> queue(1);
    ASSERT_TRUE(queue.try_push(0));
    int pushed = 0;
    const Spawned one(io.get_executor(), push_all(queue, 1, 1, pushed));
    Spawned two(io.get_executor(), push_all(queue, 2, 2, pushed));
    const Spawned three(io.get_executor(), push_all(queue, 3, 3, pushed));
    run_ready(io);
    EXPECT_EQ(pushed, 0);
    two.cancel();
    std::vector<int> popped;
    const Spawned consumer(io.get_executor(), pop_all(queue, popped));
    run_ready(io);
    EXPECT_EQ(popped, (std::vector<int>{0, 1, 3}));
    EXPECT_EQ(pushed, 2);
    EXPECT_TRUE(is_cancelled(two.error(), CancelReason::user));
    queue.close();
    run_ready(io);
    EXPECT_TRUE(consumer.ended());
}

TEST(QueueTest, A3_18_ItemHandedToACancelledPopIsItsItem) {
    asio::io_context io;
    const Queue<int> queue(1);
    std::vector<int> popped;
    Spawned consumer(io.get_executor(), pop_one(queue, popped));
    run_ready(io);
    ASSERT_TRUE(queue.try_push(7));
    consumer.cancel();  // In the same turn, after the item.
    run_ready(io);
    EXPECT_EQ(popped, std::vector<int>{7});
    EXPECT_EQ(consumer.error(), nullptr);
}

TEST(QueueTest, A3_18_CloseWakesAll) {
    asio::io_context here;
    asio::io_context there;
    const Queue<int> full(1);
    const Queue<int> empty(1);
    ASSERT_TRUE(full.try_push(1));
    int pushed = 0;
    std::vector<int> popped;
    std::vector<Spawned> producers;
    std::vector<Spawned> consumers;
    for (asio::io_context* const io : {&here, &there, &here}) {
        producers.emplace_back(io->get_executor(), push_all(full, 2, 2, pushed));
        consumers.emplace_back(io->get_executor(), pop_one(empty, popped));
    }
    run_ready(here);
    run_ready(there);
    full.close();
    full.close();
    empty.close();
    run_ready(here);
    run_ready(there);
    for (const Spawned& producer : producers) {
        ASSERT_TRUE(producer.ended());
        EXPECT_EQ(code_of(producer.error()), Errc::queue_closed);
    }
    EXPECT_EQ(popped, (std::vector<int>{-1, -1, -1}));
    // What was pushed before stays readable.
    EXPECT_TRUE(full.closed());
    EXPECT_EQ(full.pop_blocking(), 1);
    EXPECT_EQ(full.pop_blocking(), std::nullopt);
    EXPECT_EQ(code_thrown_by([&full] { full.try_push(3); }), Errc::queue_closed);
    EXPECT_EQ(code_thrown_by([&full] { full.push_blocking(3); }), Errc::queue_closed);
}

TEST(QueueTest, A3_18_TriedItemsStayWhereTheyAre) {
    const Queue<std::unique_ptr<int>> queue(1);
    auto item = std::make_unique<int>(1);
    EXPECT_TRUE(queue.try_push(std::move(item)));
    item = std::make_unique<int>(2);
    EXPECT_FALSE(queue.try_push(std::move(item)));
    ASSERT_NE(item, nullptr);  // NOLINT(bugprone-use-after-move): that is the point
    EXPECT_EQ(*item, 2);
    const auto popped = queue.try_pop();
    ASSERT_TRUE(popped.has_value());
    EXPECT_EQ(**popped, 1);
}

TEST(QueueTest, A3_18_ItemsOfADyingContextGoToTheNext) {
    const Queue<int> queue(2);
    std::vector<int> lost;
    std::vector<int> popped;
    asio::io_context there;
    auto here = std::make_unique<asio::io_context>();
    const Spawned first(here->get_executor(), pop_one(queue, lost));
    run_ready(*here);
    const Spawned second(there.get_executor(), pop_one(queue, popped));
    run_ready(there);
    ASSERT_TRUE(queue.try_push(1));  // Handed to the first, which will not live to see it.
    here.reset();
    run_ready(there);
    EXPECT_TRUE(lost.empty());
    EXPECT_EQ(popped, std::vector<int>{1});
    EXPECT_EQ(queue.size(), 0U);
}

TEST(QueueTest, A3_18_ItemsOfADyingContextStayFirst) {
    const Queue<int> queue(1);
    std::vector<int> lost;
    auto here = std::make_unique<asio::io_context>();
    const Spawned consumer(here->get_executor(), pop_one(queue, lost));
    run_ready(*here);
    ASSERT_TRUE(queue.try_push(1));
    ASSERT_TRUE(queue.try_push(2));
    ASSERT_FALSE(queue.try_push(3));
    here.reset();
    EXPECT_EQ(queue.try_pop(), 1);
    EXPECT_FALSE(queue.try_push(3));
    EXPECT_EQ(queue.try_pop(), 2);
    EXPECT_TRUE(queue.try_push(3));
}

TEST(QueueTest, A3_18_WaitersOfADyingContextLeaveNothing) {
    const Queue<int> full(1);
    const Queue<int> empty(1);
    ASSERT_TRUE(full.try_push(1));
    int pushed = 0;
    std::vector<int> popped;
    auto here = std::make_unique<asio::io_context>();
    std::vector<Spawned> all;
    for (int i = 0; i < 3; ++i) {
        all.emplace_back(here->get_executor(), push_all(full, 2, 2, pushed));
        all.emplace_back(here->get_executor(), pop_one(empty, popped));
    }
    run_ready(*here);
    here.reset();
    EXPECT_EQ(full.try_pop(), 1);
    EXPECT_EQ(full.try_pop(), std::nullopt);
    EXPECT_TRUE(empty.try_push(1));
    EXPECT_EQ(empty.size(), 1U);
    EXPECT_EQ(pushed, 0);
    EXPECT_TRUE(popped.empty());
}

TEST(QueueTest, A3_18_ReadyItemsLetOthersHaveTheirTurn) {
    struct Body {
        static asio::awaitable<void> count(Queue<int> queue, int& turns) {
            while (queue.size() != 0) {
                ++turns;
                co_await checkpoint();
            }
        }
    };
    asio::io_context io;
    const Queue<int> queue(1000);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(queue.try_push(i));
    }
    queue.close();
    std::vector<int> popped;
    int turns = 0;
    const Spawned consumer(io.get_executor(), pop_all(queue, popped));
    const Spawned other(io.get_executor(), Body::count(queue, turns));
    io.run();
    EXPECT_EQ(popped.size(), 1000U);
    EXPECT_EQ(popped.back(), 999);
    EXPECT_GE(turns, 10);
}

TEST(QueueTest, A3_18_BlockingWaitsHaveLimits) {
    const Queue<int> queue(1);
    for (const auto limit : {std::chrono::milliseconds::min(), 0ms, 2ms}) {
        EXPECT_THROW(queue.pop_blocking(limit), Timeout);
    }
    queue.push_blocking(1, 0ms);
    for (const auto limit : {-1ms, 0ms, 2ms}) {
        EXPECT_THROW(queue.push_blocking(2, limit), Timeout);
    }
    EXPECT_EQ(queue.pop_blocking(for_ever), 1);
    EXPECT_EQ(queue.size(), 0U);
    std::thread late([&queue] { queue.push_blocking(3); });
    EXPECT_EQ(queue.pop_blocking(for_ever), 3);
    late.join();
}

TEST(QueueTest, A3_18_BlockingIsRefusedOnALoop) {
    const EventLoop loop;
    const Queue<int> queue(loop, 1);
    std::promise<Errc> push;
    std::promise<Errc> pop;
    loop.call_soon([&] {
        push.set_value(code_thrown_by([&queue] { queue.push_blocking(1); }));
        pop.set_value(code_thrown_by([&queue] { queue.pop_blocking(); }));
    });
    EXPECT_EQ(push.get_future().get(), Errc::would_deadlock);
    EXPECT_EQ(pop.get_future().get(), Errc::would_deadlock);
    EXPECT_EQ(queue.size(), 0U);
}

TEST(QueueTest, A3_18_LoopThatEndsClosesItsQueues) {
    const EventLoop loop;
    const Queue<int> queue(loop, 1);
    { const Queue<int> gone_before_its_loop(loop, 1); }
    queue.push_blocking(1);
    std::promise<Errc> outcome;
    std::thread producer([&] {
        outcome.set_value(code_thrown_by([&queue] { queue.push_blocking(2); }));
    });
    const ShutdownReport report = loop.shutdown();
    EXPECT_EQ(outcome.get_future().get(), Errc::queue_closed);
    producer.join();
    EXPECT_TRUE(report.drained);
    EXPECT_EQ(report.cancelled_calls, 0U);
    EXPECT_TRUE(queue.closed());
    EXPECT_EQ(queue.pop_blocking(), 1);
    EXPECT_EQ(code_thrown_by([&loop] { const Queue<int> late(loop, 1); }), Errc::loop_closed);
}

TEST(QueueTest, A3_18_MisuseIsNamed) {
    EXPECT_EQ(code_thrown_by([] { const Queue<int> none(0); }), Errc::invalid_argument);
    Queue<int> queue(2);
    const Queue<int> other = std::move(queue);
    EXPECT_EQ(other.capacity(), 2U);
    // NOLINTNEXTLINE(bugprone-use-after-move): that is the point
    EXPECT_EQ(code_thrown_by([&queue] { queue.size(); }), Errc::invalid_handle);
}

}  // namespace llmproc::loop_tests
