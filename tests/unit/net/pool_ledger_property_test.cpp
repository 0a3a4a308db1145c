#include "net/pool_ledger.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::net {
namespace {

using namespace std::chrono_literals;

struct Ticket final : PoolTicket {
    Ticket(PoolAccount& where, std::size_t account_index, const PoolDemand& wish, int order)
        : PoolTicket(where, wish),
          account(account_index),
          max_total(wish.max_total),
          number(order) {}
    std::size_t account;
    std::size_t max_total;
    int number;
};

/// Drives a ledger by chance and checks it against the plain words of its promise.
class Model {
public:
    Model(unsigned seed, bool equal_totals) : random_(seed) {
        for (std::size_t i = 0; i < 1 + pick(4); ++i) {
            accounts_.push_back(std::make_unique<PoolAccount>(1 + pick(4)));
            lent_.push_back(0);
        }
        const std::size_t common = 1 + pick(8);
        for (int i = 0; i < 3; ++i) {
            totals_.push_back(equal_totals ? common : 1 + pick(8));
        }
    }
    Model(const Model&) = delete;
    Model& operator=(const Model&) = delete;
    ~Model() { ledger_.clear(); }

    void step() {
        now_ += std::chrono::seconds(pick(20));
        switch (pick(8)) {
            case 0:
            case 1:
            case 2: arrive(); break;
            case 3: give_up(); break;
            case 4: sweep(); break;
            default: finish(); break;
        }
        check();
    }
    std::size_t most_waiting() const { return most_waiting_; }
    std::size_t served() const { return served_; }

private:
    std::size_t pick(std::size_t below) { return random_() % below; }

    /// Who is served now may hold a connection; a new one must fit into the total.
    void granted(const PoolGrant& grant, std::size_t account, std::size_t max_total) {
        ++lent_[account];
        if (!grant.item) {
            EXPECT_LE(ledger_.total(), max_total);
        }
    }

    void arrive() {
        const std::size_t account = pick(accounts_.size());
        PoolDemand demand;
        demand.max_total = totals_[pick(totals_.size())];
        demand.limits = ReuseLimits(std::chrono::seconds(pick(60)), 600s);
        accounts_[account]->idle.limits = demand.limits;
        const std::size_t before = ledger_.total();
        const PoolGrant grant = ledger_.admit(*accounts_[account], demand, now_, dropped_);
        if (grant.granted) {
            EXPECT_LE(ledger_.total(), std::max(before, demand.max_total));
            granted(grant, account, demand.max_total);
            return;
        }
        waiting_.push_back(
            std::make_unique<Ticket>(*accounts_[account], account, demand, ++arrivals_)
        );
        ledger_.join(*waiting_.back());
        most_waiting_ = std::max(most_waiting_, waiting_.size());
    }

    void give_up() {
        if (!waiting_.empty()) {
            const auto who = waiting_.begin() + static_cast<std::ptrdiff_t>(pick(waiting_.size()));
            ledger_.leave(**who);
            waiting_.erase(who);
        }
    }

    void sweep() { ledger_.drop_unusable(now_, dropped_); }

    void finish() {
        const std::size_t account = pick(accounts_.size());
        if (lent_[account] == 0) {
            return;
        }
        --lent_[account];
        PoolItemPtr item;
        if (pick(3) != 0) {
            item = std::make_unique<PoolItem>(now_ - std::chrono::seconds(pick(100)));
            wire::KeepAlive hint;
            if (pick(3) == 0) {
                hint.timeout = std::chrono::seconds(1 + pick(10));
            }
            item->life.note(hint);
            item->life.rest(now_, 600s);
        }
        ledger_.give_back(*accounts_[account], std::move(item));
        serve();
    }

    void serve() {
        PoolGrant grant;
        for (;;) {
            const Ticket* const expected = earliest_servable();
            auto* const next = static_cast<Ticket*>(ledger_.serve_next(now_, grant, dropped_));
            if (next == nullptr) {
                return;
            }
            // One that is passed over had nothing but connections that were too old for it.
            ASSERT_NE(expected, nullptr);
            EXPECT_LE(expected->number, next->number);
            if (next != expected) {
                EXPECT_FALSE(servable(*expected));
            }
            granted(grant, next->account, next->max_total);
            ++served_;
            std::erase_if(waiting_, [next](const auto& one) { return one.get() == next; });
        }
    }

    bool servable(const Ticket& ticket) const {
        const PoolAccount& account = *accounts_[ticket.account];
        return account.lent < account.max_lent &&
               (account.idle.size > 0 || ledger_.lent() < ticket.max_total);
    }
    const Ticket* earliest_servable() const {
        const auto found = std::find_if(waiting_.begin(), waiting_.end(), [this](const auto& one) {
            return servable(*one);
        });
        return found == waiting_.end() ? nullptr : found->get();
    }

    void check() const {
        std::size_t lent = 0;
        std::size_t idle = 0;
        for (std::size_t i = 0; i < accounts_.size(); ++i) {
            const PoolAccount& account = *accounts_[i];
            EXPECT_EQ(account.lent, lent_[i]);
            EXPECT_LE(account.lent + account.idle.size, account.max_lent);
            lent += account.lent;
            idle += account.idle.size;
        }
        EXPECT_EQ(ledger_.lent(), lent);
        EXPECT_EQ(ledger_.idle(), idle);
        EXPECT_EQ(ledger_.waiting(), waiting_.size());
        const std::size_t highest = *std::max_element(totals_.begin(), totals_.end());
        EXPECT_LE(ledger_.total(), highest);
        EXPECT_EQ(earliest_servable(), nullptr) << "a servable call is left waiting";
    }

    std::mt19937 random_;
    PoolTime now_{1h};
    std::vector<std::unique_ptr<PoolAccount>> accounts_;
    std::vector<std::size_t> lent_;
    std::vector<std::size_t> totals_;
    PoolDiscards dropped_;
    PoolLedger ledger_;
    std::deque<std::unique_ptr<Ticket>> waiting_;  ///< In the order of coming.
    int arrivals_ = 0;
    std::size_t most_waiting_ = 0;
    std::size_t served_ = 0;
};

void drive(bool equal_totals) {
    std::size_t served = 0;
    std::size_t most_waiting = 0;
    for (unsigned seed = 0; seed < 400; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Model model(seed, equal_totals);
        for (int i = 0; i < 500; ++i) {
            model.step();
            if (::testing::Test::HasFailure()) {
                return;
            }
        }
        served += model.served();
        most_waiting = std::max(most_waiting, model.most_waiting());
    }
    // Otherwise the walk has not been where it matters.
    EXPECT_GT(served, 1'000U);
    EXPECT_GT(most_waiting, 10U);
}

TEST(PoolLedgerPropertyTest, KeepsLimitsAndLeavesNoServableCallWaiting) {
    drive(true);
}

TEST(PoolLedgerPropertyTest, DoesSoWithDifferentTotalLimits) {
    drive(false);
}

}  // namespace
}  // namespace llmproc::net
