/// @file
/// Callbacks for a thread that is blocked in a call.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

namespace llmproc {

/// A blocked thread serves callbacks that coroutines of its call post to it, and is told the end.
/// Also the lock and the condition variable of that wait: no semaphore and no atomic wait, which
/// give whole time slices away on a busy core.
///
/// Thread safety: `post`, `end` and `wake` from any thread; the others from the blocked one.
class CallerQueue {
public:
    /// Why `serve_until` returned.
    enum class Served {
        ended,  ///< The call has ended.
        woken,  ///< `wake` was called.
        limit,  ///< The time is over.
    };

    /// False if the wait is over: the callback will not run.
    bool post(std::function<void()> callback);
    /// The call has ended: `serve_until` returns once it has run what was posted before.
    void end() noexcept;
    /// Makes the current or the next `serve_until` return, once.
    void wake() noexcept;
    /// Runs callbacks in their order until something of the above happens.
    /// Throws nothing: callbacks keep their errors.
    Served serve_until(std::chrono::steady_clock::time_point limit);
    /// No more callbacks: those that are left are destroyed.
    void close() noexcept;

private:
    bool run_next(std::unique_lock<std::mutex>& lock);
    bool something_happened() const noexcept;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::function<void()>> posted_;
    bool ended_ = false;
    bool woken_ = false;
    bool closed_ = false;

    // The blocked thread's alone.
    std::vector<std::function<void()>> batch_;
    std::size_t next_ = 0;
};

}  // namespace llmproc
