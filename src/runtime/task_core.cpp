#include "runtime/task_core.hpp"

#include <llmproc/context_map.hpp>
#include <llmproc/error.hpp>
#include "async/call_context.hpp"
#include "async/post_to.hpp"
#include "async/waiter.hpp"
#include "core/current_context.hpp"
#include "core/log_line.hpp"
#include "core/made_error.hpp"
#include "runtime/task_limits.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/system/system_error.hpp>

#include <stop_token>
#include <string_view>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

/// The first turn of a task.
struct TaskCore::Start {
    std::shared_ptr<TaskCore> core;
    asio::awaitable<void> body;

    void operator()() { core->start(std::move(body)); }
};

/// Receives the end of the coroutine, or dies with its frames. Runs where the coroutine ended.
struct TaskCore::Completion {
    using executor_type = asio::system_executor;
    using cancellation_slot_type = asio::cancellation_slot;

    explicit Completion(std::shared_ptr<TaskCore> task) noexcept : core(std::move(task)) {}
    Completion(Completion&&) noexcept = default;
    Completion& operator=(Completion&&) = delete;
    ~Completion() {
        if (core) {
            core->destroyed();
        }
    }

    static executor_type get_executor() noexcept { return {}; }
    cancellation_slot_type get_cancellation_slot() const noexcept { return core->signal_.slot(); }
    void operator()(const std::exception_ptr& escaped) noexcept {
        const std::shared_ptr<TaskCore> ended = std::move(core);
        ended->returned(escaped);
    }

    std::shared_ptr<TaskCore> core;
};

namespace {

std::shared_ptr<const async::TaskScope> scope_for(
    const LoopCore& loop,
    std::string name,
    const RunOptions& options,
    const std::shared_ptr<CallerQueue>& caller
) {
    ContextMap context = context_to_begin_with(options.context());
    if (name.empty() && context.empty() && !caller && !loop.debugging()) {
        return nullptr;
    }
    return std::make_shared<async::TaskScope>(std::move(name), std::move(context), caller);
}

}  // namespace

std::shared_ptr<TaskCore> TaskCore::begin(
    const std::shared_ptr<LoopCore>& loop,
    asio::awaitable<void> body,
    std::string name,
    const RunOptions& options,
    std::shared_ptr<CallerQueue> caller,
    std::shared_ptr<detail::TaskError> slot
) {
    std::shared_ptr<const async::TaskScope> scope =
        scope_for(*loop, std::move(name), options, caller);
    auto core = std::make_shared<TaskCore>(
        Key(),
        loop,
        std::move(scope),
        std::move(caller),
        std::move(slot)
    );
    core->set_limits(options);
    const auto post_start = [&core, &body] { core->post_start(std::move(body)); };
    loop->link(core, post_start);
    return core;
}

TaskCore::TaskCore(
    Key /*key*/,
    const std::shared_ptr<LoopCore>& loop,
    std::shared_ptr<const async::TaskScope> scope,
    std::shared_ptr<CallerQueue> caller,
    std::shared_ptr<detail::TaskError> slot
)
    : loop_(loop),
      scope_(std::move(scope)),
      slot_(std::move(slot)),
      caller_(std::move(caller)),
      executor_(loop->task_executor()),
      end_(async::context_of(executor_)) {}

TaskCore::~TaskCore() = default;

void TaskCore::set_limits(const RunOptions& options) {
    const std::optional<std::chrono::milliseconds> limit = options.timeout();
    const std::stop_token& token = options.stop_token();
    if (!limit && !token.stop_possible()) {
        return;
    }
    limits_ = std::make_unique<Limits>();
    if (token.stop_requested()) {
        reason_ = CancelReason::user;
    } else if (limit && limit->count() <= 0) {
        reason_ = CancelReason::deadline;
        timed_out_ = true;
    }
    if (limit) {
        limits_->limit = *limit;
        limits_->expiry = async::after(*limit);
    }
    if (token.stop_possible() && !reason_) {
        limits_->stop = std::make_unique<Limits::StopCallback>(
            token,
            Limits::Stop{std::weak_ptr<TaskCore>(shared_from_this())}
        );
    }
}

void TaskCore::post_start(asio::awaitable<void> body) {
    async::post_to(executor_, Start{shared_from_this(), std::move(body)});
}

void TaskCore::start(asio::awaitable<void> body) {
    asio::any_io_executor executor;
    {
        const std::lock_guard lock(mutex_);
        if (done()) {
            return;
        }
        if (!reason_) {
            phase_ = Phase::running;
            executor = executor_;
        }
    }
    if (!executor) {
        // It was cancelled in time: what it would have used goes first, then its waiters learn it.
        { const asio::awaitable<void> unused = std::move(body); }
        finish(nullptr);
        return;
    }
    try {
        spawn(executor, std::move(body));
    } catch (...) {
        finish(std::current_exception());
    }
}

void TaskCore::spawn(const asio::any_io_executor& executor, asio::awaitable<void> body) {
    if (limits_ && limits_->expiry != Clock::time_point::max()) {
        arm(executor);
    }
    Completion completion(shared_from_this());
    asio::awaitable<void> guarded = slot_ ? std::move(body) : run(std::move(body), &thrown_);
    asio::any_io_executor scoped;
    if (scope_) {
        scoped = async::with_scope(executor, scope_);
    }
    const asio::any_io_executor& target = scope_ ? scoped : executor;
    coroutine_ = Coroutine::starting;
    try {
        asio::co_spawn(target, std::move(guarded), std::move(completion));
    } catch (...) {
        coroutine_ = Coroutine::none;
        release();
        throw;
    }
    if (coroutine_ == Coroutine::lost) {
        coroutine_ = Coroutine::running;
        destroyed();
    } else if (coroutine_ == Coroutine::starting) {
        coroutine_ = Coroutine::running;
    }
}

asio::awaitable<void> TaskCore::run(asio::awaitable<void> body, std::exception_ptr* thrown) {
    auto& had_turn = co_await asio::detail::awaitable_thread_has_context_switched();
    had_turn = true;
    try {
        co_await std::move(body);
    } catch (...) {
        *thrown = std::current_exception();
    }
}

void TaskCore::arm(const asio::any_io_executor& executor) {
    limits_->timer.emplace(executor, limits_->expiry);
    limits_->timer->async_wait([weak = weak_from_this()](const boost::system::error_code& ec) {
        const std::shared_ptr<TaskCore> core = weak.lock();
        if (core && !ec) {
            core->expire();
        }
    });
}

void TaskCore::expire() noexcept {
    {
        const std::lock_guard lock(mutex_);
        if (done() || reason_) {
            return;
        }
        reason_ = CancelReason::deadline;
        timed_out_ = true;
    }
    emit();
}

void TaskCore::cancel(CancelReason reason) noexcept {
    if (belongs_to_parent()) {
        return;
    }
    const std::lock_guard lock(mutex_);
    if (done() || reason_) {
        return;
    }
    reason_ = reason;
    if (phase_ == Phase::waiting) {
        return;
    }
    try {
        // Under the mutex: the loop's end empties the executor before its context dies.
        async::post_to(executor_, [core = shared_from_this()] { core->emit(); });
    } catch (...) {
        reason_.reset();
        log_line(LogLevel::error, "a task could not be cancelled: out of memory");
    }
}

void TaskCore::emit() noexcept {
    if (coroutine_ != Coroutine::running) {
        return;
    }
    emitting_ = true;
    signal_.emit(asio::cancellation_type::terminal);
    emitting_ = false;
    if (coroutine_ != Coroutine::running) {
        signal_.slot().clear();
    }
}

void TaskCore::release() noexcept {
    if (limits_) {
        limits_->timer.reset();
    }
    if (!emitting_) {
        signal_.slot().clear();
    }
}

void TaskCore::returned(const std::exception_ptr& escaped) noexcept {
    coroutine_ = Coroutine::none;
    release();
    if (escaped) {
        finish(escaped);
    } else {
        finish(std::move(slot_ ? slot_->error : thrown_));
    }
}

void TaskCore::destroyed() noexcept {
    if (coroutine_ != Coroutine::running) {
        coroutine_ = Coroutine::lost;
        return;
    }
    coroutine_ = Coroutine::none;
    release();
    settle(
        Outcome{made_error(
            Errc::loop_closed,
            "the task's coroutine was destroyed before its end, with its io_context or "
            "with the operation that it awaited"
        )},
        false
    );
}

}  // namespace llmproc
