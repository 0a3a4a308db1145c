/// @file
/// The idle connections of all origins, and which to reuse or drop; pure, the clock is passed in.
#pragma once

#include "net/connection_life.hpp"

#include <cstddef>
#include <memory>
#include <utility>

namespace llmproc::net {

struct IdleChain;

/// What can be pooled. The links are in here, so no list operation allocates or fails.
class PoolItem {
public:
    explicit PoolItem(PoolTime opened) noexcept : life(opened) {}
    PoolItem(const PoolItem&) = delete;
    PoolItem& operator=(const PoolItem&) = delete;
    virtual ~PoolItem() = default;

    ConnectionLife life;

private:
    friend class IdleList;
    friend class PoolDiscards;
    PoolItem* older_ = nullptr;  ///< In the order of all origins.
    PoolItem* newer_ = nullptr;
    PoolItem* below_ = nullptr;  ///< The next older one of the same origin.
    PoolItem* above_ = nullptr;
    IdleChain* chain_ = nullptr;
};

using PoolItemPtr = std::unique_ptr<PoolItem>;

/// The idle items of one origin. Must outlive its items' time in the list.
struct IdleChain {
    PoolItem* newest = nullptr;
    std::size_t size = 0;
    ReuseLimits limits;  ///< Of the origin's last user.
};

/// Items that are no longer wanted: destroyed with this, where that does no harm.
class PoolDiscards {
public:
    PoolDiscards() = default;
    PoolDiscards(const PoolDiscards&) = delete;
    PoolDiscards& operator=(const PoolDiscards&) = delete;
    ~PoolDiscards() {
        while (first_ != nullptr) {
            const PoolItemPtr item(std::exchange(first_, first_->older_));
        }
    }

    void add(PoolItemPtr item) noexcept {
        item->older_ = first_;
        first_ = item.release();
        ++size_;
    }
    std::size_t size() const noexcept { return size_; }

private:
    PoolItem* first_ = nullptr;
    std::size_t size_ = 0;
};

/// Owns the idle items. Within an origin the last one used is taken first: it is the least likely
/// to have been closed by the server, and the others may age until they are dropped when fewer are
/// needed. Across origins the one idle longest is the first to give way.
class IdleList {
public:
    IdleList() = default;
    IdleList(const IdleList&) = delete;
    IdleList& operator=(const IdleList&) = delete;
    ~IdleList() { clear(); }

    /// The order of calls is the order of age.
    void put(IdleChain& chain, PoolItemPtr item) noexcept {
        PoolItem* const added = item.release();
        added->chain_ = &chain;
        added->below_ = chain.newest;
        added->above_ = nullptr;
        if (chain.newest != nullptr) {
            chain.newest->above_ = added;
        }
        chain.newest = added;
        ++chain.size;
        added->older_ = newest_;
        added->newer_ = nullptr;
        (newest_ != nullptr ? newest_->newer_ : oldest_) = added;
        newest_ = added;
        ++size_;
    }

    /// The item used last that is still usable; those that are not and lay above it are dropped.
    PoolItemPtr take(
        IdleChain& chain,
        PoolTime now,
        const ReuseLimits& limits,
        PoolDiscards& dropped
    ) noexcept {
        while (chain.newest != nullptr) {
            PoolItemPtr item = unlink(*chain.newest);
            if (item->life.usable(now, limits)) {
                return item;
            }
            dropped.add(std::move(item));
        }
        return nullptr;
    }

    /// Drops the one that is idle longest, whatever its origin. Precondition: not empty.
    void drop_oldest(PoolDiscards& dropped) noexcept { dropped.add(unlink(*oldest_)); }

    /// Drops all that their origin's last user would not use any more.
    void drop_unusable(PoolTime now, PoolDiscards& dropped) noexcept {
        for (PoolItem* item = oldest_; item != nullptr;) {
            PoolItem* const next = item->newer_;
            if (!item->life.usable(now, item->chain_->limits)) {
                dropped.add(unlink(*item));
            }
            item = next;
        }
    }

    void clear() noexcept {
        PoolItem* next = std::exchange(oldest_, nullptr);
        newest_ = nullptr;
        size_ = 0;
        while (next != nullptr) {
            const PoolItemPtr item(std::exchange(next, next->newer_));
            item->chain_->newest = nullptr;
            item->chain_->size = 0;
        }
    }

    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

private:
    PoolItemPtr unlink(PoolItem& item) noexcept {
        IdleChain& chain = *item.chain_;
        (item.above_ != nullptr ? item.above_->below_ : chain.newest) = item.below_;
        if (item.below_ != nullptr) {
            item.below_->above_ = item.above_;
        }
        --chain.size;
        (item.newer_ != nullptr ? item.newer_->older_ : newest_) = item.older_;
        (item.older_ != nullptr ? item.older_->newer_ : oldest_) = item.newer_;
        --size_;
        return PoolItemPtr(&item);
    }

    PoolItem* oldest_ = nullptr;
    PoolItem* newest_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace llmproc::net
