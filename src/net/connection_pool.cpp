#include "net/connection_pool.hpp"

#include "net/idle_list.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <deque>
#include <new>
#include <optional>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;

namespace {

using ConnectionPtr = std::unique_ptr<Connection>;

constexpr std::chrono::seconds sweep_interval{5};

/// A call in the queue. `granted` and `connection` are guarded by the pool's mutex.
struct Waiter {
    explicit Waiter(const asio::any_io_executor& own) : executor(own), timer(own) {
        timer.expires_at(asio::steady_timer::time_point::max());
    }
    asio::any_io_executor executor;
    asio::steady_timer timer;
    ConnectionPtr connection;
    bool granted = false;
};

}  // namespace

/// The connections of one origin; guarded by the pool's mutex.
struct PooledHost {
    PooledHost(std::string own_key, const Origin& origin, const NetSettings& settings)
        : key(std::move(own_key)),
          tls(origin.tls),
          max_connections(std::max<std::size_t>(settings.max_connections_per_host, 1)),
          idle_timeout(settings.idle_timeout) {}

    std::string key;
    std::shared_ptr<TlsContext> tls;  ///< Part of the key: its address must stay taken.
    std::size_t max_connections;
    std::chrono::milliseconds idle_timeout;  ///< Of the last user.
    std::size_t in_use = 0;
    IdleList<ConnectionPtr> idle;
    std::deque<std::shared_ptr<Waiter>> waiters;
};

void ConnectionRegistry::add(Connection& connection) {
    connection.registry_index_ = members_.size();
    members_.push_back(&connection);
}

void ConnectionRegistry::remove(Connection& connection) noexcept {
    const std::size_t index = connection.registry_index_;
    if (index >= members_.size() || members_[index] != &connection) {
        return;
    }
    members_[index] = members_.back();
    members_[index]->registry_index_ = index;
    members_.pop_back();
}

void ConnectionRegistry::close_all() noexcept {
    for (Connection* const connection : members_) {
        connection->close();
    }
    members_.clear();
}

PooledConnection::PooledConnection(
    std::shared_ptr<ConnectionPool> pool,
    std::shared_ptr<PooledHost> host,
    ConnectionPtr connection
) noexcept
    : pool_(std::move(pool)),
      host_(std::move(host)),
      connection_(std::move(connection)) {}

PooledConnection& PooledConnection::operator=(PooledConnection&& other) noexcept {
    if (this != &other) {
        release(!touched_);
        pool_ = std::move(other.pool_);
        host_ = std::move(other.host_);
        connection_ = std::move(other.connection_);
        touched_ = other.touched_;
    }
    return *this;
}

PooledConnection::~PooledConnection() {
    release(!touched_);
}

void PooledConnection::release(bool reusable) noexcept {
    if (pool_) {
        const std::shared_ptr<ConnectionPool> pool = std::move(pool_);
        pool_.reset();
        pool->give_back(host_, std::move(connection_), reusable);
        host_.reset();
    }
}

void PooledConnection::renew() {
    pool_->replace(connection_);
}

ConnectionPool::~ConnectionPool() {
    shutdown();
}

void ConnectionPool::throw_closed() {
    throw LLMError(Errc::loop_closed, "the io_context of these connections is being destroyed");
}

ConnectionPool::HostPtr ConnectionPool::host_of(const Origin& origin, const NetSettings& settings) {
    const auto known = hosts_.find(origin.key);
    if (known != hosts_.end()) {
        known->second->idle_timeout = settings.idle_timeout;
        return known->second;
    }
    auto host = std::make_shared<PooledHost>(origin.key, origin, settings);
    hosts_.emplace(origin.key, host);
    return host;
}

void ConnectionPool::sweep(async::Clock::time_point now, std::vector<ConnectionPtr>& dropped) {
    if (now < next_sweep_) {
        return;
    }
    next_sweep_ = now + sweep_interval;
    for (auto entry = hosts_.begin(); entry != hosts_.end();) {
        PooledHost& host = *entry->second;
        counts_.discarded += host.idle.drop_expired(now, host.idle_timeout, dropped);
        const bool unused = host.idle.empty() && host.in_use == 0 && host.waiters.empty();
        entry = unused ? hosts_.erase(entry) : std::next(entry);
    }
}

PooledConnection ConnectionPool::try_acquire(const Origin& origin, const NetSettings& settings) {
    std::vector<ConnectionPtr> dropped;  // Closed after the lock is gone.
    const async::Clock::time_point now = async::Clock::now();
    std::unique_lock lock(mutex_);
    if (closed_) {
        throw_closed();
    }
    sweep(now, dropped);
    const HostPtr host = host_of(origin, settings);
    if (!host->waiters.empty() || host->in_use >= host->max_connections) {
        return {};
    }
    for (;;) {
        std::optional<ConnectionPtr> idle = host->idle.take(now, host->idle_timeout);
        const bool reused = idle.has_value();
        if (!reused) {
            counts_.discarded += host->idle.drop_expired(now, host->idle_timeout, dropped);
        } else if (!(*idle)->looks_alive()) {
            ++counts_.discarded;
            dropped.push_back(std::move(*idle));
            continue;
        }
        ConnectionPtr connection = reused ? std::move(*idle) : std::make_unique<Connection>();
        lent_.add(*connection);
        ++host->in_use;
        counts_.reused += reused ? 1U : 0U;
        return {shared_from_this(), host, std::move(connection)};
    }
}

/// A place in the queue. Whatever ends the wait, the place is given up and a grant handed on.
class PoolWait {
public:
    PoolWait(ConnectionPool& pool, std::shared_ptr<PooledHost> host, std::shared_ptr<Waiter> waiter)
        : pool_(pool.shared_from_this()),
          host_(std::move(host)),
          waiter_(std::move(waiter)) {}
    PoolWait(const PoolWait&) = delete;
    PoolWait& operator=(const PoolWait&) = delete;
    ~PoolWait() {
        {
            const std::lock_guard lock(pool_->mutex_);
            if (!waiter_->granted) {
                std::erase(host_->waiters, waiter_);
                return;
            }
        }
        // Granted but not taken: the lease hands it on.
        const PooledConnection lease = take();
    }

    asio::steady_timer& timer() noexcept { return waiter_->timer; }
    bool granted() const {
        const std::lock_guard lock(pool_->mutex_);
        return waiter_->granted;
    }
    PooledConnection take() {
        const std::lock_guard lock(pool_->mutex_);
        waiter_->granted = false;
        return {pool_, host_, std::move(waiter_->connection)};
    }

    static std::unique_ptr<PoolWait> join(
        ConnectionPool& pool,
        const Origin& origin,
        const NetSettings& settings,
        std::shared_ptr<Waiter> waiter
    ) {
        const std::lock_guard lock(pool.mutex_);
        if (pool.closed_) {
            ConnectionPool::throw_closed();
        }
        const ConnectionPool::HostPtr host = pool.host_of(origin, settings);
        auto place = std::make_unique<PoolWait>(pool, host, waiter);
        if (host->waiters.empty() && host->in_use < host->max_connections) {
            // A slot became free since the caller looked.
            waiter->connection = std::make_unique<Connection>();
            pool.lent_.add(*waiter->connection);
            ++host->in_use;
            waiter->granted = true;
        } else {
            host->waiters.push_back(std::move(waiter));
        }
        return place;
    }

private:
    std::shared_ptr<ConnectionPool> pool_;
    std::shared_ptr<PooledHost> host_;
    std::shared_ptr<Waiter> waiter_;
};

asio::awaitable<PooledConnection> ConnectionPool::acquire(
    async::CallContext& call,
    const Origin& origin,
    const NetSettings& settings
) {
    PooledConnection lease = try_acquire(origin, settings);
    if (lease) {
        co_return lease;
    }
    call.enter(Stage::pool);
    auto waiter = std::make_shared<Waiter>(call.executor());
    const std::unique_ptr<PoolWait> place =
        PoolWait::join(*this, origin, settings, std::move(waiter));
    while (!place->granted()) {
        const auto [error] = co_await place->timer().async_wait(asio::as_tuple(asio::deferred));
        // The timer is moved to the past by a grant only; anything else ends the call.
        if (error && !place->granted()) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
    }
    lease = place->take();
    if (lease->ready()) {
        if (lease->looks_alive()) {
            count_reused();
        } else {
            count_discarded();
            lease.renew();
        }
    }
    co_return lease;
}

void ConnectionPool::give_back(
    const HostPtr& host,
    ConnectionPtr connection,
    bool reusable
) noexcept {
    const std::lock_guard lock(mutex_);
    lent_.remove(*connection);
    if (closed_) {
        return;
    }
    try {
        const bool keep = reusable && connection->ready();
        if (!keep) {
            // Closed inside the lock: afterwards the io_context may be gone.
            connection.reset();
        }
        if (host->waiters.empty()) {
            --host->in_use;
            if (keep) {
                host->idle.put(std::move(connection), async::Clock::now());
            }
            return;
        }
        if (!connection) {
            connection = std::make_unique<Connection>();
        }
        lent_.add(*connection);
        const std::shared_ptr<Waiter> next = std::move(host->waiters.front());
        host->waiters.pop_front();
        next->connection = std::move(connection);
        next->granted = true;
        asio::post(next->executor, [next] {
            next->timer.expires_at(asio::steady_timer::time_point::min());
        });
    } catch (const std::bad_alloc&) {
        // The slot is lost with the memory for it; the waiting calls still have their deadlines.
        return;
    }
}

void ConnectionPool::replace(ConnectionPtr& connection) {
    auto fresh = std::make_unique<Connection>();
    const std::lock_guard lock(mutex_);
    if (closed_) {
        throw_closed();
    }
    lent_.remove(*connection);
    connection = std::move(fresh);
    lent_.add(*connection);
}

void ConnectionPool::count_opened() noexcept {
    const std::lock_guard lock(mutex_);
    ++counts_.opened;
}

void ConnectionPool::count_handshake() noexcept {
    const std::lock_guard lock(mutex_);
    ++counts_.handshakes;
}

void ConnectionPool::count_reused() noexcept {
    const std::lock_guard lock(mutex_);
    ++counts_.reused;
}

void ConnectionPool::count_discarded() noexcept {
    const std::lock_guard lock(mutex_);
    ++counts_.discarded;
}

ConnectionStats ConnectionPool::stats() const {
    const std::lock_guard lock(mutex_);
    ConnectionStats now = counts_;
    for (const auto& [key, host] : hosts_) {
        now.idle += host->idle.size();
        now.in_use += host->in_use;
        now.waiting += host->waiters.size();
    }
    return now;
}

void ConnectionPool::shutdown() noexcept {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    lent_.close_all();
    for (const auto& [key, host] : hosts_) {
        host->idle.clear();
        host->waiters.clear();
    }
}

}  // namespace llmproc::net
