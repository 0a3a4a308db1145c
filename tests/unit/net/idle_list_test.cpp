#include "net/idle_list.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace llmproc::net {
namespace {

using namespace std::chrono_literals;
using List = IdleList<int>;
const List::TimePoint start{1h};

TEST(IdleListTest, TakesTheConnectionUsedLast) {
    List list;
    list.put(1, start);
    list.put(2, start + 1s);
    EXPECT_EQ(list.take(start + 2s, 60s), 2);
    EXPECT_EQ(list.take(start + 2s, 60s), 1);
    EXPECT_EQ(list.take(start + 2s, 60s), std::nullopt);
}

TEST(IdleListTest, TakesOneThatIsJustYoungEnough) {
    List list;
    list.put(1, start);
    EXPECT_EQ(list.take(start + 59999ms, 60s), 1);
}

TEST(IdleListTest, LeavesOneThatIsTooOld) {
    List list;
    list.put(1, start);
    EXPECT_EQ(list.take(start + 60s, 60s), std::nullopt);
    EXPECT_EQ(list.size(), 1U);
}

TEST(IdleListTest, DropsOnlyTheExpired) {
    List list;
    list.put(1, start);
    list.put(2, start + 1s);
    list.put(3, start + 30s);
    std::vector<int> dropped;
    EXPECT_EQ(list.drop_expired(start + 61s, 60s, dropped), 2U);
    EXPECT_EQ(dropped, (std::vector<int>{1, 2}));
    EXPECT_EQ(list.take(start + 61s, 60s), 3);
    EXPECT_TRUE(list.empty());
}

TEST(IdleListTest, AnIdleTimeoutOfZeroReusesNothing) {
    List list;
    list.put(1, start);
    EXPECT_EQ(list.take(start, 0s), std::nullopt);
}

TEST(IdleListTest, HoldsMoveOnlyConnections) {
    IdleList<std::unique_ptr<int>> list;
    list.put(std::make_unique<int>(7), start);
    const auto taken = list.take(start, 1s);
    ASSERT_TRUE(taken);
    EXPECT_EQ(**taken, 7);
    list.put(std::make_unique<int>(8), start);
    list.clear();
    EXPECT_TRUE(list.empty());
}

}  // namespace
}  // namespace llmproc::net
