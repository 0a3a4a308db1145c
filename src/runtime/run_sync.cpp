#include <llmproc/context_map.hpp>
#include <llmproc/error.hpp>
#include <llmproc/run_sync.hpp>
#include "async/loop_watch.hpp"
#include "async/task_executor.hpp"
#include "async/waiter.hpp"
#include "core/log_line.hpp"
#include "runtime/caller_queue.hpp"
#include "runtime/interrupt_scope.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/loop_probe.hpp"
#include "runtime/task_core.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <chrono>
#include <optional>
#include <stop_token>

namespace llmproc::detail {

namespace asio = boost::asio;
using async::Clock;
using Served = CallerQueue::Served;

namespace {

/// How long a call that was cancelled may take for its clean-up.
constexpr std::chrono::milliseconds clean_up_limit{5'000};

/// A thread that waits for a task.
class BlockedCall {
public:
    BlockedCall(std::shared_ptr<LoopCore> loop, std::optional<std::chrono::milliseconds> limit)
        : loop_(std::move(loop)),
          limit_(limit),
          deadline_(limit ? async::after(*limit) : Clock::time_point::max()) {}

    void run(asio::awaitable<void> body, const RunOptions& options);

private:
    enum class Cause { none, stop, signal, deadline, stuck_loop };

    struct Interrupt {
        BlockedCall* call;
        Cause cause;
        void operator()() const noexcept { call->interrupt(cause); }
    };

    /// From any thread; the first cause counts.
    void interrupt(Cause cause) noexcept;
    /// Whether the task has ended: by itself, or within the time for its clean-up.
    bool wait();
    Served wait_for_anything();
    std::exception_ptr cause_error() const;

    const std::shared_ptr<LoopCore> loop_;
    const std::optional<std::chrono::milliseconds> limit_;
    const Clock::time_point deadline_;
    const std::shared_ptr<CallerQueue> queue_ = std::make_shared<CallerQueue>();
    std::shared_ptr<TaskCore> task_;
    std::atomic<Cause> cause_{Cause::none};
};

void BlockedCall::interrupt(Cause cause) noexcept {
    Cause none = Cause::none;
    if (!cause_.compare_exchange_strong(none, cause)) {
        return;
    }
    switch (cause) {
        case Cause::stop: task_->cancel(CancelReason::user); break;
        case Cause::signal: task_->cancel(CancelReason::signal); break;
        default: task_->cancel(CancelReason::deadline); break;
    }
    queue_->wake();
}

Served BlockedCall::wait_for_anything() {
    if (deadline_ != Clock::time_point::max()) {
        const Served served = queue_->serve_until(deadline_);
        if (served == Served::limit) {
            interrupt(Cause::deadline);
        }
        return served;
    }
    Served served = Served::limit;
    const auto serve = [this, &served](Clock::time_point limit) {
        served = queue_->serve_until(limit);
        return served != Served::limit;
    };
    LoopProbe probe(*loop_);
    if (!async::wait_while_loop_lives(probe, serve)) {
        interrupt(Cause::stuck_loop);
    }
    return served;
}

bool BlockedCall::wait() {
    if (wait_for_anything() == Served::ended) {
        return true;
    }
    if (cause_.load() == Cause::stuck_loop) {
        return false;
    }
    const Clock::time_point end = async::after(clean_up_limit);
    Served served = Served::woken;
    while (served == Served::woken) {
        served = queue_->serve_until(end);
    }
    return served == Served::ended;
}

std::exception_ptr BlockedCall::cause_error() const {
    switch (cause_.load()) {
        case Cause::deadline: return std::make_exception_ptr(Timeout(Stage::total, *limit_));
        case Cause::stuck_loop:
            return std::make_exception_ptr(Timeout(Stage::total, async::stuck_loop_limit));
        case Cause::signal: return std::make_exception_ptr(Cancelled(CancelReason::signal));
        default: return std::make_exception_ptr(Cancelled(CancelReason::user));
    }
}

void BlockedCall::run(asio::awaitable<void> body, const RunOptions& options) {
    RunOptions accompanied;
    accompanied.context(options.context());
    bool ended = false;
    {
        const BlockedOn blocked(*loop_);
        task_ = TaskCore::begin(loop_, std::move(body), std::string(), accompanied, queue_);
        std::optional<std::stop_callback<Interrupt>> on_stop;
        std::optional<std::stop_callback<Interrupt>> on_signal;
        if (options.stop_token().stop_possible()) {
            on_stop.emplace(options.stop_token(), Interrupt{this, Cause::stop});
        }
        if (std::stop_token interrupted = interrupt_token(); interrupted.stop_possible()) {
            on_signal.emplace(std::move(interrupted), Interrupt{this, Cause::signal});
        }
        ended = wait();
    }
    if (!ended) {
        log_line(
            LogLevel::warning,
            "run_sync: a coroutine that was cancelled did not end in time: it is left to its loop"
        );
        queue_->close();
        task_->drop_handle();
        std::rethrow_exception(cause_error());
    }
    std::exception_ptr error = task_->take_error();
    task_.reset();
    if (!error) {
        return;
    }
    if (cause_.load() != Cause::none) {
        error = cause_error();
    }
    std::rethrow_exception(std::move(error));
}

}  // namespace

void run_blocking(const EventLoop& loop, asio::awaitable<void> body, const RunOptions& options) {
    const std::shared_ptr<LoopCore>& core = loop.core();
    core->check_may_block(options.allow_blocking_loop());
    throw_if_interrupted();
    if (options.stop_token().stop_requested()) {
        throw Cancelled(CancelReason::user);
    }
    const std::optional<std::chrono::milliseconds> limit = options.timeout();
    if (limit && limit->count() <= 0) {
        throw Timeout(Stage::total, *limit);
    }
    BlockedCall(core, limit).run(std::move(body), options);
}

namespace {

/// A callback for the blocked thread and the coroutine that awaits it.
class CallerCallback {
public:
    CallerCallback(std::function<void()> callback, ContextMap context)
        : callback_(std::move(callback)),
          context_(std::move(context)) {}
    CallerCallback(const CallerCallback&) = delete;
    CallerCallback& operator=(const CallerCallback&) = delete;
    /// Nobody will run it: its caller has given up.
    ~CallerCallback() {
        if (waiter_ && !begun_.load()) {
            waiter_->resume(std::make_exception_ptr(Cancelled(CancelReason::abandoned)));
        }
    }

    void awaited_by(std::shared_ptr<async::Waiter> waiter) { waiter_ = std::move(waiter); }

    /// On the blocked thread.
    void run() noexcept {
        if (begun_.exchange(true)) {
            return;
        }
        std::exception_ptr error = call(std::move(callback_));
        waiter_->resume(std::move(error));
    }

    /// On the coroutine's executor; without effect on the callback once it has begun.
    void end_wait(std::exception_ptr error) {
        begun_.store(true);
        waiter_->resume_later(std::move(error));
    }

private:
    /// Destroys the callback too, before the coroutine goes on.
    std::exception_ptr call(std::function<void()> callback) const noexcept {
        try {
            const ContextScope context(context_);
            const std::function<void()> called = std::move(callback);
            called();
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }

    std::function<void()> callback_;
    const ContextMap context_;
    std::shared_ptr<async::Waiter> waiter_;
    std::atomic<bool> begun_{false};
};

LLMError nobody_blocked() {
    return {
        Errc::not_supported,
        "no thread is blocked in this coroutine's call: run_on_caller works inside run_sync only; "
        "elsewhere use run_in_executor"};
}

void post_to_caller(
    async::Waiter::Handler handler,
    const asio::any_io_executor& own,
    const std::shared_ptr<CallerQueue>& queue,
    const std::shared_ptr<CallerCallback>& callback
) {
    // The blocked thread belongs to no context.
    auto waiter = std::make_shared<async::Waiter>(std::move(handler), own, nullptr);
    callback->awaited_by(waiter);
    if (waiter->slot().is_connected()) {
        waiter->slot().assign([weak = std::weak_ptr(callback)](asio::cancellation_type type) {
            const asio::cancellation_type hit = type & asio::cancellation_type::terminal;
            const std::shared_ptr<CallerCallback> awaited = weak.lock();
            if (awaited && hit != asio::cancellation_type::none) {
                awaited->end_wait(std::make_exception_ptr(Cancelled(CancelReason::user)));
            }
        });
    }
    if (!queue->post([callback] { callback->run(); })) {
        callback->end_wait(std::make_exception_ptr(nobody_blocked()));
    }
}

}  // namespace

asio::awaitable<void> call_on_caller(std::function<void()> callback) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const std::shared_ptr<const async::TaskScope> scope = async::scope_of(executor);
    std::shared_ptr<CallerQueue> queue;
    if (scope) {
        queue = std::static_pointer_cast<CallerQueue>(scope->caller.lock());
    }
    if (!queue) {
        throw nobody_blocked();
    }
    auto awaited = std::make_shared<CallerCallback>(std::move(callback), scope->context);
    auto initiate =
        [](auto handler, std::shared_ptr<CallerQueue> to, std::shared_ptr<CallerCallback> posted) {
            const asio::any_io_executor own = asio::get_associated_executor(handler);
            post_to_caller(async::Waiter::Handler(std::move(handler)), own, to, posted);
        };
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
        std::move(initiate),
        asio::use_awaitable,
        std::move(queue),
        std::move(awaited)
    );
}

}  // namespace llmproc::detail
