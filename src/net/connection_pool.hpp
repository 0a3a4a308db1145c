/// @file
/// The connections of one io_context: kept alive, bounded per origin, handed out in order.
#pragma once

#include <llmproc/stats.hpp>
#include "async/call_context.hpp"
#include "net/connection.hpp"
#include "net/net_settings.hpp"
#include "net/origin.hpp"

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

/// The connections that are lent out, so that they can be closed when the io_context goes away.
class ConnectionRegistry {
public:
    void add(Connection& connection);
    void remove(Connection& connection) noexcept;
    void close_all() noexcept;
    std::size_t size() const noexcept { return members_.size(); }

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
        std::unique_ptr<Connection> connection
    ) noexcept;
    PooledConnection(PooledConnection&& other) noexcept = default;
    PooledConnection& operator=(PooledConnection&& other) noexcept;
    ~PooledConnection();

    /// Whether this holds a slot.
    explicit operator bool() const noexcept { return pool_ != nullptr; }
    Connection& operator*() const noexcept { return *connection_; }
    Connection* operator->() const noexcept { return connection_.get(); }

    /// The connection is being used: if nothing else is said it is closed at the end.
    void touch() noexcept { touched_ = true; }
    /// Closes the connection and takes an unconnected one for the same slot.
    void renew();
    /// Gives slot and connection back; one that is not `reusable` is closed.
    void release(bool reusable) noexcept;
    ConnectionPool& pool() const noexcept { return *pool_; }

private:
    std::shared_ptr<ConnectionPool> pool_;
    std::shared_ptr<PooledHost> host_;
    std::unique_ptr<Connection> connection_;
    bool touched_ = false;
};

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
    /// The same, but waits for its turn (stage `pool`), first come, first served.
    /// Lifetime: all arguments must outlive the wait.
    boost::asio::awaitable<PooledConnection> acquire(
        async::CallContext& call,
        const Origin& origin,
        const NetSettings& settings
    );

    ConnectionStats stats() const;
    void count_opened() noexcept;
    void count_handshake() noexcept;
    /// Closes everything for good; the io_context is going away.
    void shutdown() noexcept;

private:
    friend class PooledConnection;
    friend class PoolWait;
    using HostPtr = std::shared_ptr<PooledHost>;

    HostPtr host_of(const Origin& origin, const NetSettings& settings);
    void sweep(async::Clock::time_point now, std::vector<std::unique_ptr<Connection>>& dropped);
    void give_back(
        const HostPtr& host,
        std::unique_ptr<Connection> connection,
        bool reusable
    ) noexcept;
    void replace(std::unique_ptr<Connection>& connection);
    void count_reused() noexcept;
    void count_discarded() noexcept;
    [[noreturn]] static void throw_closed();

    mutable std::mutex mutex_;
    std::unordered_map<std::string, HostPtr> hosts_;
    ConnectionRegistry lent_;
    ConnectionStats counts_;
    async::Clock::time_point next_sweep_ = async::Clock::time_point::min();
    bool closed_ = false;
};

}  // namespace llmproc::net
