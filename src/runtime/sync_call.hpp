/// @file
/// The shared state of one blocking call: the caller waits here until the loop has an outcome.
#pragma once

#include "runtime/loop_member.hpp"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <utility>

namespace llmproc {

/// Ends exactly once: by value or error from the call, or by the loop that ends first.
///
/// A condition variable on purpose: semaphores and atomic waits of libstdc++ 12 yield the processor
/// before they sleep, which costs a whole time slice on a busy core.
class SyncCall final : public LoopMember {
public:
    /// The call itself has ended; an earlier end of the loop prevails.
    void finish(std::exception_ptr error) noexcept { end(std::move(error), false); }

    void loop_ended(std::exception_ptr error) noexcept override { end(std::move(error), true); }

    /// Waits for the outcome; false when `limit` passed first.
    bool wait_until(std::chrono::steady_clock::time_point limit) {
        std::unique_lock lock(mutex_);
        if (limit == std::chrono::steady_clock::time_point::max()) {
            ended_.wait(lock, [this] { return done_; });
            return true;
        }
        return ended_.wait_until(lock, limit, [this] { return done_; });
    }

    /// After `wait_until` returned true: the error, or null.
    std::exception_ptr take_error() noexcept {
        const std::lock_guard lock(mutex_);
        return std::move(error_);
    }
    /// After `wait_until` returned true: whether the loop ended under the call, which may then
    /// still be unwinding.
    bool lost() const noexcept {
        const std::lock_guard lock(mutex_);
        return lost_;
    }

private:
    void end(std::exception_ptr error, bool lost) noexcept {
        {
            const std::lock_guard lock(mutex_);
            if (done_) {
                return;
            }
            done_ = true;
            lost_ = lost;
            error_ = std::move(error);
        }
        ended_.notify_one();
    }

    mutable std::mutex mutex_;
    std::condition_variable ended_;
    bool done_ = false;
    bool lost_ = false;
    std::exception_ptr error_;
};

}  // namespace llmproc
