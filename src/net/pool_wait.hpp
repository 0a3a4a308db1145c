/// @file
/// A call's place in the pool's queue.
#pragma once

#include "net/connection_pool.hpp"
#include "net/pool_ledger.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace llmproc::net {

class TlsContext;

/// The books of one origin; guarded by the pool's mutex.
struct PooledHost {
    PooledHost(const Origin& origin, std::size_t max_connections)
        : tls(origin.tls),
          proxy(origin.proxy),
          account(max_connections) {}

    // Parts of the origin's key by their addresses, which must stay taken.
    std::shared_ptr<TlsContext> tls;
    std::shared_ptr<const ProxyServer> proxy;
    PoolAccount account;
};

/// A waiting call. `granted` and `entry` are guarded by the pool's mutex.
struct PoolWaiter final : PoolTicket, std::enable_shared_from_this<PoolWaiter> {
    PoolWaiter(
        const boost::asio::any_io_executor& own,
        std::shared_ptr<PooledHost> where,
        const PoolDemand& demand
    )
        : PoolTicket(where->account, demand),
          host(std::move(where)),
          executor(own),
          timer(own, boost::asio::steady_timer::time_point::max()) {}

    std::shared_ptr<PooledHost> host;
    boost::asio::any_io_executor executor;
    boost::asio::steady_timer timer;   ///< Moved to the past by a grant.
    std::unique_ptr<PoolEntry> entry;  ///< With a grant; null: open a new one.
    bool granted = false;
};

/// Whatever ends the wait, the place is given up and a grant handed on.
class PoolWait {
public:
    /// Joins the queue, unless a slot has become free since the caller looked.
    /// Throws LLMError{loop_closed}.
    PoolWait(
        ConnectionPool& pool,
        const boost::asio::any_io_executor& executor,
        const Origin& origin,
        const PoolDemand& demand
    );
    PoolWait(const PoolWait&) = delete;
    PoolWait& operator=(const PoolWait&) = delete;
    ~PoolWait();

    boost::asio::steady_timer& timer() noexcept { return waiter_->timer; }
    bool granted() const;
    /// Precondition: granted.
    PooledConnection take();

private:
    std::shared_ptr<ConnectionPool> pool_;
    std::shared_ptr<PoolWaiter> waiter_;
};

}  // namespace llmproc::net
