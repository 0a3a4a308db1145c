#include "net/connection_pool.hpp"

#include "net/pool_wait.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <new>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds sweep_interval{5};

std::unique_ptr<PoolEntry> entry_of(PoolItemPtr item) noexcept {
    // The pool's ledger holds nothing else.
    return std::unique_ptr<PoolEntry>(static_cast<PoolEntry*>(item.release()));
}

}  // namespace

ConnectionPool::~ConnectionPool() {
    shutdown();
}

void ConnectionPool::check_open() const {
    if (closed_) {
        throw LLMError(Errc::loop_closed, "the io_context of these connections is being destroyed");
    }
}

ConnectionPool::HostPtr ConnectionPool::host_of(const Origin& origin, const PoolDemand& demand) {
    auto known = hosts_.find(origin.key);
    if (known == hosts_.end()) {
        auto host = std::make_shared<PooledHost>(origin, demand.max_lent);
        known = hosts_.emplace(origin.key, std::move(host)).first;
    }
    known->second->account.idle.limits = demand.limits;
    return known->second;
}

void ConnectionPool::sweep(PoolTime now, PoolDiscards& dropped) {
    if (now < next_sweep_) {
        return;
    }
    next_sweep_ = now + sweep_interval;
    ledger_.drop_unusable(now, dropped);
    for (auto entry = hosts_.begin(); entry != hosts_.end();) {
        entry = entry->second->account.unused() ? hosts_.erase(entry) : std::next(entry);
    }
}

ConnectionPool::EntryPtr ConnectionPool::make_entry(PoolTime now) {
    auto entry = std::make_unique<PoolEntry>(now);
    lent_.reserve(ledger_.total());
    lent_.add(entry->connection);
    return entry;
}

ConnectionPool::EntryPtr ConnectionPool::admit(
    PooledHost& host,
    const PoolDemand& demand,
    PoolTime now,
    PoolDiscards& dropped
) {
    for (;;) {
        PoolGrant grant = ledger_.admit(host.account, demand, now, dropped);
        if (!grant.granted) {
            return nullptr;
        }
        EntryPtr entry = entry_of(std::move(grant.item));
        if (!entry) {
            try {
                return make_entry(now);
            } catch (...) {
                ledger_.give_back(host.account, nullptr);
                throw;
            }
        }
        if (entry->connection.looks_alive()) {
            lent_.add(entry->connection);
            ++counts_.reused;
            return entry;
        }
        dropped.add(std::move(entry));
        ledger_.give_back(host.account, nullptr);
    }
}

PooledConnection ConnectionPool::try_acquire(const Origin& origin, const NetSettings& settings) {
    PoolDiscards dropped;  // Closed after the lock is gone.
    const PoolDemand demand(settings);
    const PoolTime now = async::Clock::now();
    const std::lock_guard lock(mutex_);
    check_open();
    sweep(now, dropped);
    HostPtr host = host_of(origin, demand);
    EntryPtr entry = admit(*host, demand, now, dropped);
    counts_.discarded += dropped.size();
    if (!entry) {
        return {};
    }
    return {shared_from_this(), std::move(host), std::move(entry)};
}

void ConnectionPool::hand_over(PoolWaiter& waiter, PoolGrant& grant) noexcept {
    waiter.granted = true;
    waiter.entry = entry_of(std::move(grant.item));
    if (waiter.entry) {
        lent_.add(waiter.entry->connection);
    }
}

void ConnectionPool::serve_waiting(PoolTime now, PoolDiscards& dropped) noexcept {
    PoolGrant grant;
    while (PoolTicket* const ticket = ledger_.serve_next(now, grant, dropped)) {
        auto& waiter = static_cast<PoolWaiter&>(*ticket);
        hand_over(waiter, grant);
        try {
            asio::post(waiter.executor, [next = waiter.shared_from_this()] {
                next->timer.expires_at(asio::steady_timer::time_point::min());
            });
        } catch (const std::bad_alloc&) {
            // Granted, but without the memory to wake it: its deadline hands the grant on.
            continue;
        }
    }
}

void ConnectionPool::give_back(
    PooledHost& host,
    EntryPtr entry,
    bool used,
    bool reusable
) noexcept {
    const PoolTime now = async::Clock::now();
    const std::lock_guard lock(mutex_);
    if (entry) {
        lent_.remove(entry->connection);
    }
    if (closed_) {
        return;
    }
    PoolAccount& account = host.account;
    const bool rested = used && entry && entry->life.rest(now, account.idle.limits.max_age);
    const bool keep = reusable && entry && entry->connection.ready() && (rested || !used);
    if (!keep) {
        // Closed inside the lock, as what is dropped: afterwards the io_context may be gone.
        entry.reset();
    }
    ledger_.give_back(account, std::move(entry));
    PoolDiscards dropped;
    serve_waiting(now, dropped);
    counts_.discarded += dropped.size();
}

void ConnectionPool::replace(EntryPtr& entry) {
    auto fresh = std::make_unique<PoolEntry>(async::Clock::now());
    const std::lock_guard lock(mutex_);
    check_open();
    lent_.remove(entry->connection);
    entry = std::move(fresh);
    lent_.add(entry->connection);
}

void ConnectionPool::count(std::uint64_t ConnectionStats::*counter) noexcept {
    const std::lock_guard lock(mutex_);
    ++(counts_.*counter);
}

void ConnectionPool::count_opened() noexcept {
    count(&ConnectionStats::opened);
}

void ConnectionPool::count_handshake() noexcept {
    count(&ConnectionStats::handshakes);
}

void ConnectionPool::count_resumed() noexcept {
    count(&ConnectionStats::resumed);
}

ConnectionStats ConnectionPool::stats() const {
    const std::lock_guard lock(mutex_);
    ConnectionStats now = counts_;
    now.idle = ledger_.idle();
    now.in_use = ledger_.lent();
    now.waiting = ledger_.waiting();
    return now;
}

void ConnectionPool::leave_to_parent() noexcept {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock && !closed_) {
        closed_ = true;
        lent_.close_all();
        ledger_.clear();
    }
}

void ConnectionPool::shutdown() noexcept {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    lent_.close_all();
    ledger_.clear();
}

}  // namespace llmproc::net
