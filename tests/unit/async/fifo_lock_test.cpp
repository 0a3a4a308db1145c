#include "async/fifo_lock.hpp"

#include "async/spawn.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <vector>

namespace llmproc::async {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

class FifoLockTest : public testing::Test {
protected:
    std::shared_ptr<CallContext> enter(int number) {
        auto call = std::make_shared<CallContext>(io_.get_executor(), milliseconds(600'000));
        spawn(call, hold(call, number), [this, number](const std::exception_ptr& error) {
            if (error) {
                failed_.push_back(number);
            }
        });
        return call;
    }

    /// Takes the lock and keeps it until notified.
    asio::awaitable<void> hold(std::shared_ptr<CallContext> call, int number) {
        const FifoLock::Hold turn = co_await lock_.acquire(*call);
        order_.push_back(number);
        co_await call->wait_notified(Stage::body);
    }

    void run() {
        io_.restart();
        io_.poll();
    }

    asio::io_context io_;
    FifoLock lock_;
    std::vector<int> order_;
    std::vector<int> failed_;
};

TEST_F(FifoLockTest, GrantsInOrderOfArrival) {
    const auto first = enter(1);
    const auto second = enter(2);
    const auto third = enter(3);
    run();
    EXPECT_EQ(order_, (std::vector<int>{1}));
    first->notify();
    run();
    EXPECT_EQ(order_, (std::vector<int>{1, 2}));
    second->notify();
    run();
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3}));
    third->notify();
    run();
    const auto fourth = enter(4);
    run();
    EXPECT_EQ(order_.back(), 4);
    fourth->notify();
    run();
}

TEST_F(FifoLockTest, ACancelledWaiterLeavesTheLine) {
    const auto first = enter(1);
    const auto second = enter(2);
    const auto third = enter(3);
    run();
    second->cancel(CancelReason::user);
    run();
    EXPECT_EQ(failed_, (std::vector<int>{2}));
    first->notify();
    run();
    EXPECT_EQ(order_, (std::vector<int>{1, 3}));
    third->notify();
    run();
}

TEST_F(FifoLockTest, AGrantThatIsCancelledGoesToTheNext) {
    const auto first = enter(1);
    const auto second = enter(2);
    const auto third = enter(3);
    run();
    first->notify();
    // One handler at a time, until the lock was given to the second, which has not run yet.
    second->cancel(CancelReason::user);
    run();
    EXPECT_EQ(order_, (std::vector<int>{1, 3}));
    EXPECT_EQ(failed_, (std::vector<int>{2}));
    third->notify();
    run();
}

TEST_F(FifoLockTest, AHolderThatFailsReleases) {
    const auto first = enter(1);
    const auto second = enter(2);
    run();
    first->cancel(CancelReason::user);
    run();
    EXPECT_EQ(order_, (std::vector<int>{1, 2}));
    second->notify();
    run();
}

}  // namespace
}  // namespace llmproc::async
