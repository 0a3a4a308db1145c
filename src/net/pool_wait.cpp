#include "net/pool_wait.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <mutex>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;

PoolWait::PoolWait(
    ConnectionPool& pool,
    const asio::any_io_executor& executor,
    const Origin& origin,
    const PoolDemand& demand
)
    : pool_(pool.shared_from_this()) {
    PoolDiscards dropped;  // Closed after the lock is gone.
    const PoolTime now = async::Clock::now();
    const std::lock_guard lock(pool.mutex_);
    pool.check_open();
    waiter_ = std::make_shared<PoolWaiter>(executor, pool.host_of(origin, demand), demand);
    PoolGrant grant = pool.ledger_.admit(waiter_->host->account, demand, now, dropped);
    pool.counts_.discarded += dropped.size();
    if (grant.granted) {
        pool.hand_over(*waiter_, grant);
    } else {
        pool.ledger_.join(*waiter_);
    }
}

PoolWait::~PoolWait() {
    if (pool_->belongs_to_parent()) {
        KeptForParent::keep(std::move(waiter_));
        KeptForParent::keep(std::move(pool_));
        return;
    }
    std::unique_ptr<PoolEntry> entry;
    {
        const std::lock_guard lock(pool_->mutex_);
        if (!waiter_->granted) {
            pool_->ledger_.leave(*waiter_);
            return;
        }
        waiter_->granted = false;
        entry = std::move(waiter_->entry);
    }
    // Granted but not taken.
    pool_->give_back(*waiter_->host, std::move(entry), false, true);
}

bool PoolWait::granted() const {
    const std::lock_guard lock(pool_->mutex_);
    return waiter_->granted;
}

PooledConnection PoolWait::take() {
    const std::lock_guard lock(pool_->mutex_);
    pool_->check_open();
    if (!waiter_->entry) {
        waiter_->entry = pool_->make_entry(async::Clock::now());
    }
    waiter_->granted = false;
    return {pool_, waiter_->host, std::move(waiter_->entry)};
}

asio::awaitable<PooledConnection> ConnectionPool::acquire(
    async::CallContext& call,
    const Origin& origin,
    const NetSettings& settings
) {
    PooledConnection lease = try_acquire(origin, settings);
    if (lease) {
        co_return lease;
    }
    async::StepTimer step(call.trace(), CallStep::wait, Stage::pool);
    call.enter(Stage::pool);
    PoolWait place(*this, call.executor(), origin, PoolDemand(settings));
    while (!place.granted()) {
        const auto [error] = co_await place.timer().async_wait(asio::as_tuple(asio::deferred));
        // The timer is moved to the past by a grant only; anything else ends the call.
        if (error && !place.granted()) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
    }
    lease = place.take();
    step.done();
    if (lease->ready()) {
        if (lease->looks_alive()) {
            count(&ConnectionStats::reused);
        } else {
            count(&ConnectionStats::discarded);
            lease.renew();
        }
    }
    co_return lease;
}

}  // namespace llmproc::net
