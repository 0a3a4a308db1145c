/// @file
/// Whom the pool serves, what it gives and what must go for it; pure, the clock is passed in.
#pragma once

#include "net/idle_list.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llmproc::net {

struct NetSettings;

/// One origin in the books. `lent` counts slots: a connection in use, or the right to open one.
struct PoolAccount {
    explicit PoolAccount(std::size_t most) noexcept : max_lent(most) {}

    std::size_t max_lent;
    std::size_t lent = 0;
    std::size_t waiting = 0;
    IdleChain idle;

    bool unused() const noexcept { return lent == 0 && waiting == 0 && idle.size == 0; }
};

/// What a call asks for.
struct PoolDemand {
    PoolDemand() = default;
    explicit PoolDemand(const NetSettings& settings) noexcept;

    std::size_t max_lent = 1;   ///< Of one origin; part of what makes it one.
    std::size_t max_total = 1;  ///< It opens none beyond so many, lent and idle of all origins.
    ReuseLimits limits;
};

/// A call that waits. Must leave the queue before it dies.
class PoolTicket {
public:
    PoolTicket(PoolAccount& account, const PoolDemand& demand) noexcept
        : account_(&account),
          demand_(demand) {}
    PoolTicket(const PoolTicket&) = delete;
    PoolTicket& operator=(const PoolTicket&) = delete;

protected:
    ~PoolTicket() = default;

private:
    friend class PoolLedger;
    PoolAccount* account_;
    PoolDemand demand_;
    std::uint64_t number_ = 0;  ///< The order of coming, over all origins.
    PoolTicket* ahead_ = nullptr;
    PoolTicket* behind_ = nullptr;
    bool queued_ = false;
};

/// A slot, with the connection to use, or null: open a new one.
struct PoolGrant {
    bool granted = false;
    PoolItemPtr item;
};

/// The books of all origins of one io_context.
///
/// A call may be served if its origin lends fewer than its limit, and there is an idle connection
/// of its origin or room for a new one. Idle connections of other origins never stand in the way:
/// the oldest are dropped. So only what is given back can make anybody servable, and a caller that
/// then serves until `serve_next` finds nobody leaves no servable call waiting: who comes later
/// overtakes only those who cannot be served.
///
/// Calls of one origin with different total limits wait in different lanes, so a call with a low
/// limit does not hold up the others. It is served when the total is below its own limit.
class PoolLedger {
public:
    /// A slot for a call that need not wait, or nothing.
    PoolGrant admit(
        PoolAccount& account,
        const PoolDemand& demand,
        PoolTime now,
        PoolDiscards& dropped
    ) noexcept;
    /// A slot is free again; `kept` (may be null) becomes idle. To be followed by `serve_next`,
    /// unless it was admitted just now.
    void give_back(PoolAccount& account, PoolItemPtr kept) noexcept;

    /// Queues a call. Throws std::bad_alloc.
    void join(PoolTicket& ticket);
    /// Ends the wait; nothing if it is not waiting.
    void leave(PoolTicket& ticket) noexcept;
    /// Takes the earliest call that can be served from the queue; null: none can. Costs as much as
    /// there are lanes with waiting calls.
    PoolTicket* serve_next(PoolTime now, PoolGrant& grant, PoolDiscards& dropped) noexcept;

    void drop_unusable(PoolTime now, PoolDiscards& dropped) noexcept {
        idle_.drop_unusable(now, dropped);
    }
    /// Destroys what is idle and forgets who waits.
    void clear() noexcept;

    std::size_t lent() const noexcept { return lent_; }
    std::size_t idle() const noexcept { return idle_.size(); }
    std::size_t waiting() const noexcept { return waiting_; }
    std::size_t total() const noexcept { return lent_ + idle_.size(); }

private:
    /// Calls of one origin with one total limit, in order: only the first can be next.
    struct Lane {
        PoolAccount* account;
        std::size_t max_total;
        PoolTicket* first;
        PoolTicket* last;
    };

    bool may_serve(const PoolAccount& account, std::size_t max_total) const noexcept {
        return account.lent < account.max_lent && (account.idle.size > 0 || lent_ < max_total);
    }
    std::vector<Lane>::iterator lane_of(const PoolTicket& ticket) noexcept;

    IdleList idle_;
    std::vector<Lane> lanes_;  ///< Those with waiting calls, in no order.
    std::size_t lent_ = 0;
    std::size_t waiting_ = 0;
    std::uint64_t last_number_ = 0;
};

}  // namespace llmproc::net
