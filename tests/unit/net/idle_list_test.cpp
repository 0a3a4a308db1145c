#include "net/idle_list.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <vector>

namespace llmproc::net {
namespace {

using namespace std::chrono_literals;
const PoolTime start{1h};
const ReuseLimits minute(60s, 1h);

/// Says in `gone` when it is destroyed.
struct Item final : PoolItem {
    Item(int number, PoolTime opened, std::vector<int>& gone)
        : PoolItem(opened),
          id(number),
          destroyed(gone) {}
    Item(const Item&) = delete;
    Item& operator=(const Item&) = delete;
    ~Item() override { destroyed.push_back(id); }
    int id;
    std::vector<int>& destroyed;
};

class IdleListTest : public ::testing::Test {
protected:
    void put(IdleChain& chain, int id, PoolTime at) {
        auto item = std::make_unique<Item>(id, start, gone);
        item->life.rest(at, 1h);
        list.put(chain, std::move(item));
    }
    /// The number of what is taken; 0: nothing.
    int take(IdleChain& chain, PoolTime at, const ReuseLimits& limits = minute) {
        const PoolItemPtr item = list.take(chain, at, limits, dropped);
        return item ? static_cast<const Item&>(*item).id : 0;
    }
    void drop_oldest() {
        PoolDiscards now;
        list.drop_oldest(now);
    }

    std::vector<int> gone;
    IdleChain one;
    IdleChain two;
    PoolDiscards dropped;
    IdleList list;
};

TEST_F(IdleListTest, TakesTheConnectionUsedLast) {
    put(one, 1, start);
    put(one, 2, start + 1s);
    EXPECT_EQ(take(one, start + 2s), 2);
    EXPECT_EQ(take(one, start + 2s), 1);
    EXPECT_EQ(take(one, start + 2s), 0);
    EXPECT_EQ(dropped.size(), 0U);
}

TEST_F(IdleListTest, KeepsOriginsApart) {
    put(one, 1, start);
    put(two, 2, start);
    EXPECT_EQ(one.size, 1U);
    EXPECT_EQ(list.size(), 2U);
    EXPECT_EQ(take(one, start), 1);
    EXPECT_EQ(take(one, start), 0);
    EXPECT_EQ(take(two, start), 2);
    EXPECT_TRUE(list.empty());
}

TEST_F(IdleListTest, TakesOneThatIsJustYoungEnough) {
    put(one, 1, start);
    EXPECT_EQ(take(one, start + 59999ms), 1);
}

TEST_F(IdleListTest, DropsOneThatIsTooOld) {
    put(one, 1, start);
    EXPECT_EQ(take(one, start + 60s), 0);
    EXPECT_EQ(dropped.size(), 1U);
    EXPECT_EQ(one.size, 0U);
    EXPECT_TRUE(gone.empty());  // Destroyed with the discards only.
}

TEST_F(IdleListTest, TakesAnOlderOneBelowOneThatMustNotBeUsed) {
    put(one, 1, start);
    wire::KeepAlive hint;
    hint.timeout = 3s;
    auto newer = std::make_unique<Item>(2, start, gone);
    newer->life.note(hint);
    newer->life.rest(start + 1s, 1h);
    list.put(one, std::move(newer));
    EXPECT_EQ(take(one, start + 10s), 1);
    EXPECT_EQ(dropped.size(), 1U);
}

TEST_F(IdleListTest, TheOldestOfAllOriginsGoesFirst) {
    put(one, 1, start);
    put(two, 2, start + 1s);
    put(one, 3, start + 2s);
    put(two, 4, start + 3s);
    drop_oldest();
    drop_oldest();
    EXPECT_EQ(gone, (std::vector<int>{1, 2}));
    EXPECT_EQ(take(one, start + 4s), 3);
    EXPECT_EQ(take(two, start + 4s), 4);
}

TEST_F(IdleListTest, DropsOnlyTheUnusable) {
    one.limits = minute;
    two.limits = ReuseLimits(10s, 1h);
    put(one, 1, start);
    put(two, 2, start + 45s);
    put(one, 3, start + 46s);
    put(two, 4, start + 60s);
    {
        PoolDiscards now;
        list.drop_unusable(start + 61s, now);
        EXPECT_EQ(now.size(), 2U);
    }
    EXPECT_EQ(gone.size(), 2U);
    EXPECT_EQ(take(one, start + 61s), 3);
    EXPECT_EQ(take(two, start + 61s), 4);
}

TEST_F(IdleListTest, DestroysWhatItStillHolds) {
    {
        IdleList inner;
        inner.put(one, std::make_unique<Item>(7, start, gone));
        inner.put(two, std::make_unique<Item>(8, start, gone));
    }
    EXPECT_EQ(gone, (std::vector<int>{7, 8}));
    put(one, 9, start);
    list.clear();
    EXPECT_TRUE(list.empty());
    EXPECT_EQ(one.size, 0U);
    EXPECT_EQ(one.newest, nullptr);
    EXPECT_EQ(gone.back(), 9);
}

TEST_F(IdleListTest, StaysWholeWhereverOneIsTakenOut) {
    // Six items of two origins; each round takes them out in another order.
    for (int round = 0; round < 64; ++round) {
        for (int id = 1; id <= 6; ++id) {
            put(id % 2 == 0 ? two : one, id, start + id * 1s);
        }
        for (int step = 0; step < 6; ++step) {
            const bool drop = ((round >> step) & 1) != 0;
            IdleChain& chain = step % 2 == 0 ? one : two;
            if (drop || chain.size == 0) {
                drop_oldest();
            } else {
                EXPECT_NE(take(chain, start + 10s), 0);
            }
            EXPECT_EQ(list.size(), static_cast<std::size_t>(5 - step));
            EXPECT_EQ(one.size + two.size, list.size());
        }
        EXPECT_EQ(one.newest, nullptr);
        EXPECT_EQ(two.newest, nullptr);
    }
    EXPECT_EQ(gone.size(), 64U * 6U);
}

}  // namespace
}  // namespace llmproc::net
