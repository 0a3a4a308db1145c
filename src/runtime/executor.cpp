#include <llmproc/error.hpp>
#include <llmproc/executor.hpp>
#include "async/task_executor.hpp"
#include "async/waiter.hpp"
#include "core/current_context.hpp"
#include "core/fork_guard.hpp"
#include "runtime/worker_pool.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;
using detail::Job;

namespace {

/// A job and the coroutine that waits for it. Either may be gone first: the job's thread never
/// touches the coroutine but through the waiter.
class JobState final : public WorkerJob {
public:
    JobState(Job job, ContextMap context, std::shared_ptr<WorkerPool> pool, bool is_nested)
        : nested_(is_nested),
          context_(std::move(context)),
          pool_(std::move(pool)),
          job_(std::move(job)) {}

    /// Before the job is handed to its threads.
    void set_waiter(std::shared_ptr<async::Waiter> waiter) { waiter_ = std::move(waiter); }

    void run() noexcept override {
        Job job;
        {
            const std::lock_guard lock(mutex_);
            job.swap(job_);
        }
        if (!job) {
            return;  // Nobody waits for it any more.
        }
        const CurrentContext context(&context_);
        try {
            job(stop_.get_token());
        } catch (...) {
            error_ = std::current_exception();
        }
    }

    void finish() noexcept override { end(std::move(error_)); }

    void request_stop() noexcept override { stop_.request_stop(); }

    void refuse(std::exception_ptr error) noexcept override {
        Job dropped;
        {
            const std::lock_guard lock(mutex_);
            dropped.swap(job_);
        }
        dropped = nullptr;
        end(std::move(error));
    }

    bool nested() const noexcept override { return nested_; }

    /// Throws as WorkerPool::submit.
    void enqueue() { pool_->submit(shared_from_this()); }

    /// The coroutine is cancelled. On its executor.
    void cancel() noexcept {
        if (const std::shared_ptr<async::Waiter> waiter = abandon()) {
            waiter->resume(std::make_exception_ptr(Cancelled(CancelReason::user)));
        }
    }

    /// Nobody waits any more: the job is dropped or told to stop. Returns the waiter; null if the
    /// wait had its outcome before.
    std::shared_ptr<async::Waiter> abandon() noexcept {
        std::shared_ptr<async::Waiter> waiter;
        Job dropped;
        {
            const std::lock_guard lock(mutex_);
            if (!waiter_) {
                return nullptr;
            }
            waiter.swap(waiter_);
            dropped.swap(job_);
        }
        if (dropped && pool_) {
            pool_->withdraw(*this);
        }
        stop_.request_stop();
        return waiter;
    }

private:
    /// Only the first end counts.
    void end(std::exception_ptr error) noexcept {
        std::shared_ptr<async::Waiter> waiter;
        {
            const std::lock_guard lock(mutex_);
            waiter.swap(waiter_);
        }
        if (waiter) {
            waiter->resume(std::move(error));
        }
    }

    const bool nested_;
    const ContextMap context_;
    const std::shared_ptr<WorkerPool> pool_;
    std::stop_source stop_;
    std::mutex mutex_;
    Job job_;                                ///< Empty once it has begun or will not.
    std::shared_ptr<async::Waiter> waiter_;  ///< Null once the wait has its outcome.
    std::exception_ptr error_;               ///< Of the job's thread only.
};

/// Lives in the coroutine's frame: that may also be destroyed with its io_context.
class Leaving {
public:
    explicit Leaving(std::shared_ptr<JobState> state) noexcept : state_(std::move(state)) {}
    Leaving(const Leaving&) = delete;
    Leaving& operator=(const Leaving&) = delete;
    ~Leaving() { state_->abandon(); }

private:
    std::shared_ptr<JobState> state_;
};

/// A job as a handler of Asio's pool, which destroys what it does not run.
class Ticket {
public:
    explicit Ticket(std::shared_ptr<JobState> state) noexcept : state_(std::move(state)) {}
    Ticket(Ticket&&) noexcept = default;
    Ticket& operator=(Ticket&&) = delete;
    ~Ticket() {
        if (state_) {
            state_->refuse(std::make_exception_ptr(LLMError(
                Errc::loop_closed,
                "the thread pool was destroyed before the job began; keep it until its jobs ended"
            )));
        }
    }

    void operator()() {
        const std::shared_ptr<JobState> state = std::move(state_);
        state->run();
        state->finish();
    }

private:
    std::shared_ptr<JobState> state_;
};

/// A terminal cancellation of the coroutine ends its wait.
void obey(asio::cancellation_slot& slot, const std::shared_ptr<JobState>& state) {
    if (!slot.is_connected()) {
        return;
    }
    slot.assign([job = std::weak_ptr(state)](asio::cancellation_type type) {
        const std::shared_ptr<JobState> live = job.lock();
        const asio::cancellation_type hit = type & asio::cancellation_type::terminal;
        if (live && hit != asio::cancellation_type::none) {
            live->cancel();
        }
    });
}

/// Hands the job to `submit` and waits for its end.
template <typename Submit>
asio::awaitable<void> wait_for(std::shared_ptr<JobState> state, Submit submit) {
    auto initiate = [](auto handler, std::shared_ptr<JobState> begun, Submit hand_over) {
        const asio::any_io_executor own = asio::get_associated_executor(handler);
        auto waiter = std::make_shared<async::Waiter>(
            async::Waiter::Handler(std::move(handler)),
            own,
            nullptr
        );
        obey(waiter->slot(), begun);
        begun->set_waiter(std::move(waiter));
        try {
            hand_over(begun);
        } catch (...) {
            // An exception must not leave the initiation: the coroutine is suspended already.
            begun->refuse(std::current_exception());
        }
    };
    return asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
        std::move(initiate),
        asio::use_awaitable,
        std::move(state),
        std::move(submit)
    );
}

ContextMap context_here(const asio::any_io_executor& executor) {
    const std::shared_ptr<const async::TaskScope> scope = async::scope_of(executor);
    return scope ? scope->context : current_context();
}

}  // namespace

namespace detail {

std::shared_ptr<WorkerPool> pool_of(const Executor& executor) {
    if (!executor.pool()) {
        throw LLMError(Errc::invalid_handle, "this executor was moved from");
    }
    return executor.pool()->shared_from_this();
}

asio::awaitable<void> run_job(std::shared_ptr<WorkerPool> pool, Job job) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    ContextMap context = context_here(executor);
    const bool nested = context.find(pool->mark()) != nullptr;
    if (!nested) {
        context = context.empty() ? pool->marked() : context.with(pool->mark(), true);
    }
    auto state = std::make_shared<JobState>(std::move(job), std::move(context), pool, nested);
    const Leaving leaving(state);
    auto submit = [](const std::shared_ptr<JobState>& begun) { begun->enqueue(); };
    co_await wait_for(std::move(state), submit);
}

asio::awaitable<void> run_job(asio::thread_pool& pool, Job job) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    auto state = std::make_shared<JobState>(std::move(job), context_here(executor), nullptr, false);
    const Leaving leaving(state);
    auto submit = [&pool](const std::shared_ptr<JobState>& begun) {
        asio::post(pool, Ticket(begun));
    };
    co_await wait_for(std::move(state), submit);
}

}  // namespace detail

namespace {

/// What all handles to a pool share.
class Handles {
public:
    Handles(std::size_t threads, std::size_t queue_limit)
        : pool(std::make_shared<WorkerPool>(threads, queue_limit)) {}
    Handles(const Handles&) = delete;
    Handles& operator=(const Handles&) = delete;
    ~Handles() { pool->close(); }

    const std::shared_ptr<WorkerPool> pool;
};

struct SharedExecutor {
    Executor executor{std::max<std::size_t>(4, std::thread::hardware_concurrency())};
};

}  // namespace

Executor::Executor(std::size_t threads, std::size_t queue_limit) {
    if (threads == 0) {
        throw LLMError(Errc::invalid_argument, "an Executor needs at least 1 thread");
    }
    const auto handles = std::make_shared<Handles>(threads, queue_limit);
    pool_ = std::shared_ptr<WorkerPool>(handles, handles->pool.get());
}

Executor Executor::shared() {
    static constinit PerProcess<SharedExecutor> executor;
    return executor.get().executor;
}

ExecutorStats Executor::stats() const {
    return detail::pool_of(*this)->stats();
}

}  // namespace llmproc
