#include <llmproc/error.hpp>
#include <llmproc/task_group.hpp>
#include "runtime/loop_core.hpp"
#include "runtime/task_core.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

/// Lives as long as the group or one of its tasks.
class TaskGroup::State : public std::enable_shared_from_this<TaskGroup::State> {
public:
    explicit State(EventLoop event_loop) : loop(std::move(event_loop)) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { report(take_error()); }

    const EventLoop loop;

    void check_open() const {
        const std::lock_guard lock(mutex_);
        if (joined_ || reason_) {
            throw LLMError(
                Errc::invalid_argument,
                joined_ ? "the task group has ended; make a new one"
                        : "the task group was cancelled; it takes no more tasks"
            );
        }
    }

    void add(const TaskHandle& task) {
        TaskCore& core = *task.core();
        std::optional<CancelReason> reason;
        {
            const std::lock_guard lock(mutex_);
            tasks_.emplace(&core, task);
            reason = reason_;
        }
        core.when_ended([self = shared_from_this(), &core] { self->ended(core); });
        if (reason) {
            core.cancel(*reason);
        }
    }

    /// Idempotent: called by the task, and by who has waited for it and may be first.
    void ended(TaskCore& core) noexcept {
        TaskHandle task;
        bool failed = false;
        {
            const std::lock_guard lock(mutex_);
            const auto place = tasks_.find(&core);
            if (place == tasks_.end()) {
                return;
            }
            task = std::move(place->second);
            tasks_.erase(place);
            // Later errors are left alone: the task reports them when nobody else looks.
            if (!failed_ && !core.cancelled()) {
                first_error_ = core.error();
                failed_ = failed = first_error_ != nullptr;
            }
        }
        if (failed) {
            cancel(CancelReason::sibling);
        }
    }

    void cancel(CancelReason reason) noexcept {
        const std::lock_guard lock(mutex_);
        if (!reason_) {
            reason_ = reason;
        }
        for (const auto& [core, task] : tasks_) {
            task.cancel(reason);
        }
    }

    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return tasks_.size();
    }

    /// One that has not ended; if there is none, the group has ended.
    TaskHandle next() {
        const std::lock_guard lock(mutex_);
        if (tasks_.empty()) {
            joined_ = true;
            return {};
        }
        return tasks_.begin()->second;
    }

    std::exception_ptr take_error() noexcept {
        const std::lock_guard lock(mutex_);
        return std::exchange(first_error_, nullptr);
    }

    void report(std::exception_ptr error) const noexcept {
        if (error) {
            loop.core()->report(std::move(error), "task group");
        }
    }

private:
    mutable std::mutex mutex_;
    std::unordered_map<TaskCore*, TaskHandle> tasks_;
    std::exception_ptr first_error_;
    std::optional<CancelReason> reason_;
    bool failed_ = false;
    bool joined_ = false;
};

namespace {

/// Waits until all have ended. Cancellations cancel them and are remembered: true.
template <typename StatePtr>
asio::awaitable<bool> join_all(StatePtr state) {
    bool cancelled = false;
    for (TaskHandle task = state->next(); task; task = state->next()) {
        bool interrupted = false;
        try {
            co_await task.core()->wait();
        } catch (const boost::system::system_error&) {
            interrupted = true;
        }
        if (interrupted) {
            cancelled = true;
            state->cancel(CancelReason::user);
            co_await asio::this_coro::reset_cancellation_state();
        } else {
            state->ended(*task.core());
        }
    }
    co_return cancelled;
}

template <typename StatePtr>
asio::awaitable<void> join_group(StatePtr state) {
    const bool cancelled = co_await join_all(state);
    std::exception_ptr error = state->take_error();
    if (cancelled) {
        state->report(std::move(error));
        throw Cancelled(CancelReason::user);
    }
    if (error) {
        std::rethrow_exception(std::move(error));
    }
}

template <typename StatePtr>
asio::awaitable<void> end_group(StatePtr state) {
    const bool cancelled = co_await join_all(state);
    state->report(state->take_error());
    if (cancelled) {
        throw Cancelled(CancelReason::user);
    }
}

}  // namespace

TaskGroup::TaskGroup(EventLoop loop) : state_(std::make_shared<State>(std::move(loop))) {}

TaskGroup::~TaskGroup() {
    if (state_) {
        state_->cancel(CancelReason::abandoned);
    }
}

TaskGroup::State& TaskGroup::state() const {
    if (!state_) {
        throw LLMError(Errc::invalid_handle, "this task group was moved from");
    }
    return *state_;
}

const EventLoop& TaskGroup::loop() const {
    return state().loop;
}

std::size_t TaskGroup::size() const {
    return state().size();
}

void TaskGroup::cancel(CancelReason reason) {
    state().cancel(reason);
}

asio::awaitable<void> TaskGroup::join() {
    return join_group(state().shared_from_this());
}

asio::awaitable<void> TaskGroup::cancel_and_join(CancelReason reason) {
    state().cancel(reason);
    return end_group(state().shared_from_this());
}

void TaskGroup::check_open() const {
    state().check_open();
}

void TaskGroup::add(const TaskHandle& task) {
    state().add(task);
}

}  // namespace llmproc
