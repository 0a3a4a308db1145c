#include "async/loop_watch.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace llmproc::async {
namespace {

class LoopWatchTest : public ::testing::Test {
protected:
    boost::asio::io_context io;
    std::shared_ptr<CallContext> call =
        std::make_shared<CallContext>(io.get_executor(), Timeouts());
};

TEST_F(LoopWatchTest, AnEarlyEndAsksNobody) {
    EXPECT_TRUE(wait_while_loop_lives(*call, [](Clock::time_point) { return true; }));
    EXPECT_EQ(io.poll(), 0U);
}

TEST_F(LoopWatchTest, WaitsOnWhileTheLoopRuns) {
    int rounds = 0;
    const bool over = wait_while_loop_lives(*call, [&](Clock::time_point) {
        io.restart();
        io.poll();
        return ++rounds == 10;
    });
    EXPECT_TRUE(over);
    EXPECT_EQ(rounds, 10);
}

TEST_F(LoopWatchTest, GivesUpALoopThatDoesNotAnswer) {
    int rounds = 0;
    const bool over = wait_while_loop_lives(*call, [&](Clock::time_point) {
        ++rounds;
        return false;
    });
    EXPECT_FALSE(over);
    EXPECT_EQ(rounds, 2);
}

TEST_F(LoopWatchTest, GivesUpACallThatIsOver) {
    call->finish();
    EXPECT_FALSE(wait_while_loop_lives(*call, [](Clock::time_point) { return false; }));
}

}  // namespace
}  // namespace llmproc::async
