/// @file
/// The threads behind an Executor.
#pragma once

#include <llmproc/context_map.hpp>
#include <llmproc/executor.hpp>
#include "runtime/worker_blocked.hpp"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {

/// One job of a pool.
class WorkerJob : public std::enable_shared_from_this<WorkerJob> {
public:
    WorkerJob() = default;
    WorkerJob(const WorkerJob&) = delete;
    WorkerJob& operator=(const WorkerJob&) = delete;
    virtual ~WorkerJob() = default;

    /// On a thread of the pool.
    virtual void run() noexcept = 0;
    /// On the same thread after `run`, when the thread is counted as free again.
    virtual void finish() noexcept = 0;
    /// The pool ends while it runs. On any thread.
    virtual void request_stop() noexcept = 0;
    /// It will never run. On any thread.
    virtual void refuse(std::exception_ptr error) noexcept = 0;
    /// Whether a job of the same pool has begun it, directly or not, and may wait for it.
    virtual bool nested() const noexcept = 0;
};

/// Starts a thread when a job finds none free, up to the limit; then jobs queue.
///
/// Thread safety: all members from any thread. User code never runs under the lock.
class WorkerPool : public std::enable_shared_from_this<WorkerPool> {
public:
    WorkerPool(std::size_t threads, std::size_t queue_limit);
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    /// Preconditions: `close` was called.
    ~WorkerPool() = default;

    /// Throws LLMError: queue_full, limit_reached, loop_closed after `close`, forked_process;
    /// WouldDeadlock for a nested job while all threads are blocked.
    void submit(std::shared_ptr<WorkerJob> job);
    /// Takes a job that has not begun out of the queue.
    void withdraw(const WorkerJob& job) noexcept;
    /// Refuses queued jobs, asks running ones to stop and waits for the threads. On a thread of its
    /// own, or of a loop, it leaves the waiting to the reaper. In a child after fork() it does
    /// nothing. Idempotent.
    void close() noexcept;

    ExecutorStats stats() const;
    /// Unlike that of any other pool: the key that marks the contexts of jobs, and so of all that
    /// they begin.
    const std::string& mark() const noexcept { return mark_; }
    /// A context with nothing but the mark.
    const ContextMap& marked() const noexcept { return marked_; }

private:
    friend class WorkerBlocked;

    /// A thread and what it does.
    struct Worker {
        std::thread thread;
        WorkerJob* job = nullptr;
    };

    void work(Worker& self) noexcept;
    std::shared_ptr<WorkerJob> take(Worker& self);
    void set_free(Worker& self) noexcept;
    void start_worker();
    void enter_blocked() noexcept;
    void leave_blocked() noexcept;
    void refuse_nested() noexcept;
    bool all_blocked() const noexcept { return blocked_ >= limit_; }

    const std::size_t limit_;
    const std::size_t queue_limit_;
    const unsigned generation_;
    const std::string mark_;
    const ContextMap marked_;

    mutable std::mutex mutex_;
    std::condition_variable work_;   ///< For threads: the queue or `closed_` changed.
    std::condition_variable ended_;  ///< `live_` changed.
    std::deque<std::shared_ptr<WorkerJob>> queue_;
    std::vector<std::shared_ptr<Worker>> workers_;
    std::size_t idle_ = 0;  ///< Threads that look at the queue before they sleep.
    std::size_t live_ = 0;
    std::size_t blocked_ = 0;
    bool closed_ = false;
    ExecutorStats stats_;
};

}  // namespace llmproc
