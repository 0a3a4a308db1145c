#include "net/pool_ledger.hpp"

#include "net/net_settings.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

namespace llmproc::net {
namespace {

using namespace std::chrono_literals;
const PoolTime start{1h};

/// Waits while it lives.
struct Ticket final : PoolTicket {
    Ticket(PoolLedger& queue, PoolAccount& account, const PoolDemand& demand)
        : PoolTicket(account, demand),
          ledger(queue) {
        ledger.join(*this);
    }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    ~Ticket() { ledger.leave(*this); }
    PoolLedger& ledger;
};

PoolDemand demand(std::size_t max_total) {
    PoolDemand wish;
    wish.max_total = max_total;
    wish.limits = ReuseLimits(60s, 1h);
    return wish;
}

enum class Got { nothing, fresh, kept };

class PoolLedgerTest : public ::testing::Test {
protected:
    Got admit(PoolAccount& account, std::size_t max_total = 100, PoolTime now = start) {
        return kind(ledger.admit(account, demand(max_total), now, dropped));
    }
    /// Gives back and takes down who is served.
    void give_back(PoolAccount& account, bool kept, PoolTime now = start) {
        PoolItemPtr item;
        if (kept) {
            item = std::make_unique<PoolItem>(start);
            item->life.rest(now, 1h);
        }
        ledger.give_back(account, std::move(item));
        PoolGrant grant;
        while (PoolTicket* const next = ledger.serve_next(now, grant, dropped)) {
            served.emplace_back(next, kind(std::move(grant)));
        }
    }
    static Got kind(PoolGrant grant) {
        if (!grant.granted) {
            return Got::nothing;
        }
        return grant.item ? Got::kept : Got::fresh;
    }
    using Served = std::vector<std::pair<PoolTicket*, Got>>;

    PoolAccount one{2};
    PoolAccount two{2};
    PoolAccount narrow{1};
    PoolAccount wide{4};
    PoolAccount wider{9};
    PoolDiscards dropped;
    PoolLedger ledger;
    Served served;
};

TEST_F(PoolLedgerTest, ReadsItsLimitsFromTheSettings) {
    NetSettings settings;
    settings.max_connections = 7;
    settings.max_connections_per_host = 3;
    EXPECT_EQ(PoolDemand(settings).max_lent, 3U);
    EXPECT_EQ(PoolDemand(settings).max_total, 7U);
    settings.max_connections_per_host = 9;
    EXPECT_EQ(PoolDemand(settings).max_total, 9U);
    settings.max_connections = 0;
    settings.max_connections_per_host = 0;
    EXPECT_EQ(PoolDemand(settings).max_lent, 1U);
    EXPECT_EQ(PoolDemand(settings).max_total, 1U);
}

TEST_F(PoolLedgerTest, LendsUpToTheLimitOfAnOrigin) {
    EXPECT_EQ(admit(one), Got::fresh);
    EXPECT_EQ(admit(one), Got::fresh);
    EXPECT_EQ(admit(one), Got::nothing);
    EXPECT_EQ(admit(two), Got::fresh);
    EXPECT_EQ(ledger.lent(), 3U);
}

TEST_F(PoolLedgerTest, PrefersAnIdleConnection) {
    admit(one);
    give_back(one, true);
    EXPECT_EQ(ledger.idle(), 1U);
    EXPECT_EQ(admit(one), Got::kept);
    EXPECT_EQ(ledger.idle(), 0U);
    EXPECT_EQ(ledger.total(), 1U);
}

TEST_F(PoolLedgerTest, OpensANewOneForOneThatIsTooOld) {
    admit(one);
    give_back(one, true);
    EXPECT_EQ(admit(one, 1, start + 60s), Got::fresh);
    EXPECT_EQ(dropped.size(), 1U);
    EXPECT_EQ(ledger.total(), 1U);
}

TEST_F(PoolLedgerTest, StopsAtTheTotal) {
    EXPECT_EQ(admit(one, 2), Got::fresh);
    EXPECT_EQ(admit(two, 2), Got::fresh);
    EXPECT_EQ(admit(one, 2), Got::nothing);
    EXPECT_EQ(admit(one, 3), Got::fresh);
}

TEST_F(PoolLedgerTest, IdleConnectionsOfOtherOriginsGiveWay) {
    admit(one, 2);
    admit(one, 2);
    give_back(one, true);
    give_back(one, true);
    EXPECT_EQ(admit(two, 2), Got::fresh);
    EXPECT_EQ(dropped.size(), 1U);
    EXPECT_EQ(ledger.idle(), 1U);
    EXPECT_EQ(admit(one, 2), Got::kept);
    EXPECT_EQ(admit(two, 2), Got::nothing);
}

TEST_F(PoolLedgerTest, ALowLimitDropsAsManyAsItNeeds) {
    for (int i = 0; i < 5; ++i) {
        admit(wider);
    }
    for (int i = 0; i < 4; ++i) {
        give_back(wider, true);
    }
    EXPECT_EQ(admit(two, 3), Got::fresh);
    EXPECT_EQ(ledger.total(), 3U);
    EXPECT_EQ(dropped.size(), 3U);
}

TEST_F(PoolLedgerTest, ServesAWaiterOfTheSameOrigin) {
    admit(one);
    admit(one);
    Ticket waiter(ledger, one, demand(100));
    EXPECT_EQ(ledger.waiting(), 1U);
    EXPECT_FALSE(one.unused());
    give_back(one, true);
    EXPECT_EQ(served, (Served{{&waiter, Got::kept}}));
    EXPECT_EQ(ledger.waiting(), 0U);
    EXPECT_EQ(one.lent, 2U);
}

TEST_F(PoolLedgerTest, ServesAWaiterOfAnotherOriginAndDropsWhatCameBack) {
    admit(one, 1);
    Ticket waiter(ledger, two, demand(1));
    give_back(one, true);
    EXPECT_EQ(served, (Served{{&waiter, Got::fresh}}));
    EXPECT_EQ(dropped.size(), 1U);
    EXPECT_EQ(ledger.total(), 1U);
}

TEST_F(PoolLedgerTest, TheEarliestComesFirstWhateverItsOrigin) {
    admit(one, 2);
    admit(two, 2);
    Ticket first(ledger, two, demand(2));
    Ticket second(ledger, one, demand(2));
    Ticket third(ledger, two, demand(2));
    give_back(one, false);
    give_back(two, false);
    give_back(two, false);
    EXPECT_EQ(served, (Served{{&first, Got::fresh}, {&second, Got::fresh}, {&third, Got::fresh}}));
}

TEST_F(PoolLedgerTest, AFullOriginDoesNotHoldUpAnother) {
    admit(narrow, 2);
    admit(two, 2);
    Ticket blocked(ledger, narrow, demand(2));
    Ticket later(ledger, one, demand(2));
    give_back(two, true);
    EXPECT_EQ(served, (Served{{&later, Got::fresh}}));
    give_back(narrow, true);
    ASSERT_EQ(served.size(), 2U);
    EXPECT_EQ(served.back(), (std::pair<PoolTicket*, Got>{&blocked, Got::kept}));
}

TEST_F(PoolLedgerTest, ALowTotalDoesNotHoldUpOthersOfItsOrigin) {
    for (int i = 0; i < 4; ++i) {
        admit(wide);
    }
    Ticket modest(ledger, wide, demand(2));
    Ticket greedy(ledger, wide, demand(100));
    give_back(wide, false);
    EXPECT_EQ(served, (Served{{&greedy, Got::fresh}}));
    give_back(wide, false);
    give_back(wide, false);
    EXPECT_EQ(served.size(), 1U);
    give_back(wide, false);
    ASSERT_EQ(served.size(), 2U);
    EXPECT_EQ(served.back().first, &modest);
}

TEST_F(PoolLedgerTest, OneReturnMayServeTwo) {
    admit(narrow);
    admit(one);
    Ticket modest(ledger, two, demand(2));
    Ticket next(ledger, narrow, demand(100));
    give_back(narrow, true);
    // The first opens a new one within its total, the second takes what came back or opens anew.
    ASSERT_EQ(served.size(), 2U);
    EXPECT_EQ(served[0].first, &modest);
    EXPECT_EQ(served[1].first, &next);
}

TEST_F(PoolLedgerTest, WhoLeavesIsNotServed) {
    admit(one);
    admit(one);
    Ticket first(ledger, one, demand(100));
    Ticket second(ledger, one, demand(100));
    Ticket third(ledger, one, demand(100));
    ledger.leave(second);
    ledger.leave(second);
    ledger.leave(first);
    EXPECT_EQ(ledger.waiting(), 1U);
    give_back(one, true);
    give_back(one, true);
    EXPECT_EQ(served, (Served{{&third, Got::kept}}));
    EXPECT_EQ(one.waiting, 0U);
}

TEST_F(PoolLedgerTest, ClearForgetsWhoWaits) {
    admit(one);
    admit(one);
    Ticket first(ledger, one, demand(100));
    Ticket second(ledger, one, demand(100));
    ledger.clear();
    EXPECT_EQ(ledger.waiting(), 0U);
    EXPECT_EQ(one.waiting, 0U);
    give_back(one, false);
    EXPECT_TRUE(served.empty());
}

}  // namespace
}  // namespace llmproc::net
