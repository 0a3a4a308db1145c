#include "runtime/worker_pool.hpp"

#include <llmproc/error.hpp>
#include "core/current_context.hpp"
#include "core/fork_guard.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/reaper.hpp"
#include "runtime/signals_blocked.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iterator>
#include <system_error>
#include <utility>

namespace llmproc {

constinit thread_local WorkerPool* WorkerBlocked::pool = nullptr;
constinit thread_local unsigned WorkerBlocked::depth = 0;

void WorkerBlocked::enter() noexcept {
    pool->enter_blocked();
}

void WorkerBlocked::leave() noexcept {
    pool->leave_blocked();
}

namespace {

std::string new_mark() {
    static std::atomic<unsigned> count{0};
    return mark_prefix + ("executor." + std::to_string(++count));
}

std::string new_thread_name() {
    static std::atomic<unsigned> count{0};
    return ("llm-exec-" + std::to_string(++count)).substr(0, 15);
}

WouldDeadlock exhausted(std::size_t threads) {
    return WouldDeadlock(
        "all " + std::to_string(threads) +
        " threads of the executor wait in blocking calls, and one of their jobs has begun this "
        "one: nobody would ever run it; give nested jobs an Executor of their own, or await in the "
        "job's coroutine instead of blocking"
    );
}

LLMError full(std::size_t waiting, std::size_t threads) {
    return {
        Errc::queue_full,
        "the executor's queue is full: " + std::to_string(waiting) + " jobs wait for " +
            std::to_string(threads) +
            " threads; await earlier jobs first, or give Executor more threads or a greater "
            "queue_limit"};
}

LLMError closed() {
    return {Errc::loop_closed, "the executor was destroyed before the job began"};
}

}  // namespace

WorkerPool::WorkerPool(std::size_t threads, std::size_t queue_limit)
    : limit_(threads),
      queue_limit_(queue_limit),
      generation_(fork_generation()),
      mark_(new_mark()),
      marked_(ContextMap().with(mark_, true)) {}

void WorkerPool::submit(std::shared_ptr<WorkerJob> job) {
    check_not_forked(generation_, "an executor");
    const bool nested = job->nested();
    const std::lock_guard lock(mutex_);
    if (closed_) {
        throw closed();
    }
    if (nested && all_blocked()) {
        throw exhausted(limit_);
    }
    // Jobs for which a thread is free, or may be started, do not count as waiting.
    const std::size_t available = idle_ + (limit_ - workers_.size());
    if (queue_.size() >= available && queue_.size() - available >= queue_limit_) {
        ++stats_.refused;
        throw full(queue_.size() - available, limit_);
    }
    queue_.push_back(std::move(job));
    if (queue_.size() > idle_ && workers_.size() < limit_) {
        try {
            start_worker();
        } catch (const std::system_error& error) {
            if (blocked_ == workers_.size()) {
                queue_.pop_back();
                throw LLMError(
                    Errc::limit_reached,
                    "cannot start a thread for the executor: " + error.code().message() +
                        "; raise the limit of threads (ulimit -u)"
                );
            }
            // The threads that exist will come to it.
        } catch (...) {
            queue_.pop_back();
            throw;
        }
    }
    ++stats_.jobs;
    work_.notify_one();
}

void WorkerPool::start_worker() {
    workers_.push_back(std::make_shared<Worker>());
    try {
        const SignalsBlocked not_for_us;
        // The worker outlives its place in the list if nobody can wait for its thread.
        workers_.back()->thread = std::thread(
            [self = shared_from_this(), worker = workers_.back(), name = new_thread_name()] {
                pthread_setname_np(pthread_self(), name.c_str());
                self->work(*worker);
            }
        );
    } catch (...) {
        workers_.pop_back();
        throw;
    }
    ++idle_;
    ++live_;
}

void WorkerPool::work(Worker& self) noexcept {
    WorkerBlocked::pool = this;
    while (const std::shared_ptr<WorkerJob> job = take(self)) {
        job->run();
        set_free(self);
        job->finish();
    }
    const std::lock_guard lock(mutex_);
    --live_;
    ended_.notify_all();
}

std::shared_ptr<WorkerJob> WorkerPool::take(Worker& self) {
    std::unique_lock lock(mutex_);
    work_.wait(lock, [this] { return closed_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) {
        return nullptr;
    }
    std::shared_ptr<WorkerJob> job = std::move(queue_.front());
    queue_.pop_front();
    self.job = job.get();
    ++stats_.running;
    return job;
}

void WorkerPool::set_free(Worker& self) noexcept {
    const std::lock_guard lock(mutex_);
    self.job = nullptr;
    --stats_.running;
    // From now on, so that whom the job's end wakes finds this thread free.
    ++idle_;
}

void WorkerPool::withdraw(const WorkerJob& job) noexcept {
    if (inherited(generation_)) {
        return;
    }
    std::shared_ptr<WorkerJob> withdrawn;  // Dies after the lock.
    const std::lock_guard lock(mutex_);
    const auto place = std::find_if(queue_.begin(), queue_.end(), [&job](const auto& queued) {
        return queued.get() == &job;
    });
    if (place != queue_.end()) {
        withdrawn = std::move(*place);
        queue_.erase(place);
    }
}

void WorkerPool::close() noexcept {
    if (inherited(generation_)) {
        return;
    }
    std::deque<std::shared_ptr<WorkerJob>> queued;
    std::vector<std::shared_ptr<WorkerJob>> running;
    std::vector<std::shared_ptr<Worker>> workers;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        queued.swap(queue_);
        for (const std::shared_ptr<Worker>& worker : workers_) {
            if (worker->job != nullptr) {
                running.push_back(worker->job->shared_from_this());
            }
        }
        workers.swap(workers_);
    }
    work_.notify_all();
    for (const std::shared_ptr<WorkerJob>& job : queued) {
        job->refuse(std::make_exception_ptr(closed()));
    }
    for (const std::shared_ptr<WorkerJob>& job : running) {
        job->request_stop();
    }
    const bool must_not_wait = WorkerBlocked::pool == this || LoopCore::on_any_loop();
    for (const std::shared_ptr<Worker>& worker : workers) {
        if (!must_not_wait) {
            worker->thread.join();
            continue;
        }
        bury(
            std::move(worker->thread),
            [pool = shared_from_this()](std::chrono::milliseconds budget) {
                std::unique_lock lock(pool->mutex_);
                return pool->ended_.wait_for(lock, budget, [&pool] { return pool->live_ == 0; });
            }
        );
    }
}

ExecutorStats WorkerPool::stats() const {
    check_not_forked(generation_, "an executor");
    const std::lock_guard lock(mutex_);
    ExecutorStats stats = stats_;
    stats.threads = workers_.size();
    stats.queued = queue_.size();
    return stats;
}

void WorkerPool::enter_blocked() noexcept {
    bool exhausted_now = false;
    {
        const std::lock_guard lock(mutex_);
        ++blocked_;
        exhausted_now = all_blocked() && !queue_.empty();
    }
    if (exhausted_now) {
        refuse_nested();
    }
}

void WorkerPool::leave_blocked() noexcept {
    const std::lock_guard lock(mutex_);
    --blocked_;
}

/// Jobs that queued while a thread was not blocked yet.
void WorkerPool::refuse_nested() noexcept {
    std::vector<std::shared_ptr<WorkerJob>> refused;
    {
        const std::lock_guard lock(mutex_);
        const auto nested = std::stable_partition(queue_.begin(), queue_.end(), [](const auto& j) {
            return !j->nested();
        });
        std::move(nested, queue_.end(), std::back_inserter(refused));
        queue_.erase(nested, queue_.end());
    }
    for (const std::shared_ptr<WorkerJob>& job : refused) {
        job->refuse(std::make_exception_ptr(exhausted(limit_)));
    }
}

}  // namespace llmproc
