#include "runtime/caller_queue.hpp"

#include <utility>

namespace llmproc {

using Clock = std::chrono::steady_clock;

bool CallerQueue::post(std::function<void()> callback) {
    {
        const std::lock_guard lock(mutex_);
        if (ended_ || closed_) {
            return false;
        }
        posted_.push_back(std::move(callback));
    }
    changed_.notify_one();
    return true;
}

void CallerQueue::end() noexcept {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    changed_.notify_one();
}

void CallerQueue::wake() noexcept {
    {
        const std::lock_guard lock(mutex_);
        woken_ = true;
    }
    changed_.notify_one();
}

bool CallerQueue::something_happened() const noexcept {
    return ended_ || woken_ || !posted_.empty();
}

bool CallerQueue::run_next(std::unique_lock<std::mutex>& lock) {
    if (next_ == batch_.size()) {
        next_ = 0;
        batch_.clear();
        batch_.swap(posted_);
    }
    if (next_ == batch_.size()) {
        return false;
    }
    lock.unlock();
    {
        // Destroyed before the next one runs, without the lock.
        const std::function<void()> callback = std::move(batch_[next_++]);
        callback();
    }
    lock.lock();
    return true;
}

CallerQueue::Served CallerQueue::serve_until(Clock::time_point limit) {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (woken_) {
            woken_ = false;
            return Served::woken;
        }
        if (run_next(lock)) {
            // An endless stream of callbacks must not hide that the time is over.
            if (limit != Clock::time_point::max() && Clock::now() >= limit) {
                return Served::limit;
            }
            continue;
        }
        if (ended_) {
            return Served::ended;
        }
        if (limit == Clock::time_point::max()) {
            changed_.wait(lock, [this] { return something_happened(); });
        } else if (!changed_.wait_until(lock, limit, [this] { return something_happened(); })) {
            return Served::limit;
        }
    }
}

void CallerQueue::close() noexcept {
    std::vector<std::function<void()>> left;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        left.swap(posted_);
    }
    left.clear();
    batch_.clear();
    next_ = 0;
}

}  // namespace llmproc
