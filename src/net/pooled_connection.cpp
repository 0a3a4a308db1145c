#include "net/connection_pool.hpp"

#include <algorithm>
#include <utility>

namespace llmproc::net {

void ConnectionRegistry::reserve(std::size_t count) {
    if (count > members_.capacity()) {
        members_.reserve(std::max(count, 2 * members_.capacity()));
    }
}

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
    std::unique_ptr<PoolEntry> entry
) noexcept
    : pool_(std::move(pool)),
      host_(std::move(host)),
      entry_(std::move(entry)) {}

PooledConnection& PooledConnection::operator=(PooledConnection&& other) noexcept {
    if (this != &other) {
        release(!touched_);
        pool_ = std::move(other.pool_);
        host_ = std::move(other.host_);
        entry_ = std::move(other.entry_);
        touched_ = other.touched_;
    }
    return *this;
}

PooledConnection::~PooledConnection() {
    release(!touched_);
}

void PooledConnection::touch() noexcept {
    if (!touched_) {
        touched_ = true;
        entry_->life.begin_request();
    }
}

void PooledConnection::release(bool reusable) noexcept {
    if (pool_) {
        std::shared_ptr<ConnectionPool> pool = std::move(pool_);
        pool_.reset();
        if (pool->belongs_to_parent()) {
            KeptForParent::keep(std::move(entry_));
            KeptForParent::keep(std::move(host_));
            KeptForParent::keep(std::move(pool));
            return;
        }
        pool->give_back(*host_, std::move(entry_), touched_, reusable);
        host_.reset();
    }
}

void PooledConnection::renew() {
    pool_->replace(entry_);
}

}  // namespace llmproc::net
