/// @file
/// The connections of one io_context: kept alive, bounded per origin and in all, handed out in
/// order.
#pragma once

#include <llmproc/stats.hpp>
#include "async/call_context.hpp"
#include "core/fork_guard.hpp"
#include "net/connection.hpp"
#include "net/idle_list.hpp"
#include "net/net_settings.hpp"
#include "net/origin.hpp"
#include "net/pool_ledger.hpp"
#include "wire/keep_alive.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace llmproc::net {

class ConnectionPool;
struct PooledHost;
struct PoolWaiter;

/// A connection as the pool keeps it.
struct PoolEntry final : PoolItem {
    explicit PoolEntry(PoolTime opened) noexcept : PoolItem(opened) {}
    Connection connection;
};

/// The connections that are lent out, so that they can be closed when the io_context goes away.
class ConnectionRegistry {
public:
    /// Afterwards `add` does not allocate while there are at most `count` members.
    void reserve(std::size_t count);
    void add(Connection& connection);
    void remove(Connection& connection) noexcept;
    void close_all() noexcept;

private:
    std::vector<Connection*> members_;
};

/// A slot of the pool with the connection in it; both go back when it is destroyed.
class PooledConnection {
public:
    PooledConnection() = default;
    PooledConnection(
        std::shared_ptr<ConnectionPool> pool,
        std::shared_ptr<PooledHost> host,
        std::unique_ptr<PoolEntry> entry
    ) noexcept;
    PooledConnection(PooledConnection&& other) noexcept = default;
    PooledConnection& operator=(PooledConnection&& other) noexcept;
    ~PooledConnection();

    /// Whether this holds a slot.
    explicit operator bool() const noexcept { return pool_ != nullptr; }
    Connection& operator*() const noexcept { return entry_->connection; }
    Connection* operator->() const noexcept { return &entry_->connection; }

    /// The connection is being used: if nothing else is said it is closed at the end.
    void touch() noexcept;
    /// The server's `Keep-Alive` header; to be called before `release`.
    void note_keep_alive(const wire::KeepAlive& hint) noexcept { entry_->life.note(hint); }
    /// Closes the connection and takes an unconnected one for the same slot.
    void renew();
    /// Gives slot and connection back; one that is not `reusable`, or too old, is closed.
    void release(bool reusable) noexcept;
    ConnectionPool& pool() const noexcept { return *pool_; }

private:
    std::shared_ptr<ConnectionPool> pool_;
    std::shared_ptr<PooledHost> host_;
    std::unique_ptr<PoolEntry> entry_;
    bool touched_ = false;
};

/// Limits: `max_connections_per_host` per origin; in all, lent and idle, the `max_connections` of
/// the client that opens one, but never less than its limit per host. Idle connections of other
/// origins give way, the oldest first. What `PoolLedger` decides is done here.
///
/// Thread safety: all members may be called from any thread; the mutex is held for list operations
/// and for closing what is given back, never while anything waits.
class ConnectionPool : public std::enable_shared_from_this<ConnectionPool> {
public:
    ConnectionPool() = default;
    ConnectionPool(const ConnectionPool&) = delete;
    ConnectionPool& operator=(const ConnectionPool&) = delete;
    ~ConnectionPool();

    /// An idle connection that looks alive, or a slot for a new one, or nothing: all are in use.
    /// Throws LLMError{loop_closed}.
    PooledConnection try_acquire(const Origin& origin, const NetSettings& settings);
    /// The same, but waits for its turn (stage `pool`): the earliest of those who can be served is
    /// served, whatever its origin.
    /// Lifetime: all arguments must outlive the wait.
    boost::asio::awaitable<PooledConnection> acquire(
        async::CallContext& call,
        const Origin& origin,
        const NetSettings& settings
    );

    ConnectionStats stats() const;
    void count_opened() noexcept;
    void count_handshake() noexcept;
    void count_resumed() noexcept;
    /// Closes everything for good; the io_context is going away.
    void shutdown() noexcept;
    /// In a child after fork(): closes the child's descriptors, unless another thread of the parent
    /// was changing the pool at that moment.
    void leave_to_parent() noexcept;
    /// Whether this is a child's copy.
    bool belongs_to_parent() const noexcept { return inherited(generation_); }

private:
    friend class PooledConnection;
    friend class PoolWait;
    using HostPtr = std::shared_ptr<PooledHost>;
    using EntryPtr = std::unique_ptr<PoolEntry>;

    // With the mutex held.
    HostPtr host_of(const Origin& origin, const PoolDemand& demand);
    void sweep(PoolTime now, PoolDiscards& dropped);
    EntryPtr admit(PooledHost& host, const PoolDemand& demand, PoolTime now, PoolDiscards& dropped);
    EntryPtr make_entry(PoolTime now);
    void hand_over(PoolWaiter& waiter, PoolGrant& grant) noexcept;
    void serve_waiting(PoolTime now, PoolDiscards& dropped) noexcept;
    void check_open() const;

    void give_back(PooledHost& host, EntryPtr entry, bool used, bool reusable) noexcept;
    void replace(EntryPtr& entry);
    void count(std::uint64_t ConnectionStats::*counter) noexcept;

    const unsigned generation_ = fork_generation();
    mutable std::mutex mutex_;
    std::unordered_map<std::string, HostPtr> hosts_;
    PoolLedger ledger_;  // After the hosts: its items point into them.
    ConnectionRegistry lent_;
    ConnectionStats counts_;
    PoolTime next_sweep_ = PoolTime::min();
    bool closed_ = false;
};

}  // namespace llmproc::net
