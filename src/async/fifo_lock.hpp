/// @file
/// A lock for coroutines of one strand, granted in order of arrival.
#pragma once

#include "async/call_context.hpp"

#include <boost/asio/awaitable.hpp>

#include <list>
#include <memory>
#include <utility>

namespace llmproc::async {

/// Thread safety: used on one strand. Lifetime: must outlive its holds.
class FifoLock {
public:
    /// Holds the lock; gives it to the next in line when destroyed.
    class Hold {
    public:
        explicit Hold(FifoLock& lock) noexcept : lock_(&lock) {}
        Hold(Hold&& other) noexcept : lock_(std::exchange(other.lock_, nullptr)) {}
        Hold& operator=(Hold&&) = delete;
        ~Hold() {
            if (lock_ != nullptr) {
                lock_->release();
            }
        }

    private:
        FifoLock* lock_;
    };

    /// Waits for the lock in Stage::queue. Cancellation: leaves the line.
    boost::asio::awaitable<Hold> acquire(CallContext& call);

private:
    friend class Hold;
    void release() noexcept;
    void leave(const CallContext& call) noexcept;

    /// Its first member holds the lock next. A list, since a deque takes 576 bytes when empty.
    std::list<std::shared_ptr<CallContext>> line_;
    bool held_ = false;
    CallContext* granted_ = nullptr;  ///< Was woken and has not taken it yet.
};

}  // namespace llmproc::async
