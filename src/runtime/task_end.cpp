#include <llmproc/error.hpp>
#include "core/log_line.hpp"
#include "runtime/task_core.hpp"
#include "runtime/task_limits.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <utility>

namespace llmproc {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

bool is_abort(const boost::system::system_error& error) noexcept {
    return error.code() == asio::error::operation_aborted;
}

}  // namespace

void TaskCore::loop_ended(std::exception_ptr error) noexcept {
    settle(Outcome{std::move(error)}, false);
}

void TaskCore::finish(std::exception_ptr error) noexcept {
    settle(judge(std::move(error)), true);
}

TaskCore::Outcome TaskCore::judge(std::exception_ptr error) noexcept {
    if (!error && phase_ != Phase::waiting) {
        return {};
    }
    std::optional<CancelReason> reason;
    bool timed_out = false;
    {
        const std::lock_guard lock(mutex_);
        reason = reason_;
        timed_out = timed_out_;
    }
    Diagnostics diagnostics;
    try {
        if (error) {
            std::rethrow_exception(error);
        }
    } catch (const Cancelled& cancelled) {
        if (!reason || (cancelled.reason() == *reason && !timed_out)) {
            return {std::move(error), true, false};
        }
        diagnostics = cancelled.diagnostics();
    } catch (const boost::system::system_error& other) {
        if (!reason || !is_abort(other)) {
            return {std::move(error), false, true};
        }
    } catch (...) {
        return {std::move(error), false, true};
    }
    try {
        error = nullptr;
        if (timed_out) {
            error = std::make_exception_ptr(
                Timeout(Stage::total, limits_->limit, std::move(diagnostics))
            );
            return {std::move(error), false, true};
        }
        error = std::make_exception_ptr(Cancelled(*reason, std::move(diagnostics)));
        return {std::move(error), true, false};
    } catch (...) {
        return {std::current_exception(), false, true};
    }
}

void TaskCore::settle(Outcome outcome, bool last) noexcept {
    std::vector<Ended> when_ended;
    std::vector<ErrorHandler> on_error;
    std::shared_ptr<CallerQueue> caller;
    std::unique_ptr<Limits::StopCallback> stop;
    std::exception_ptr handled;
    std::exception_ptr unseen;
    {
        const std::lock_guard lock(mutex_);
        if (done()) {
            return;
        }
        cancelled_ = outcome.cancelled;
        error_ = std::move(outcome.error);
        on_error.swap(on_error_);
        if (outcome.failed && !on_error.empty()) {
            handled = error_;
        }
        if (!outcome.failed || handled) {
            looked_at_ = true;
        }
        phase_ = error_ ? Phase::failed : Phase::ended;
        // Whoever drops the last handle looks at the phase afterwards: one of both reports.
        if (handles_ == 0 && !looked_at_.exchange(true)) {
            unseen = std::move(error_);
        }
        when_ended.swap(when_ended_);
        caller = std::move(caller_);
        executor_ = asio::any_io_executor();
        if (limits_) {
            stop = std::move(limits_->stop);
        }
    }
    stop.reset();
    leave_loop();
    for (const Ended& ended : when_ended) {
        ended();
    }
    changed_.notify_all();
    if (caller) {
        caller->end();
    }
    if (handled) {
        for (const ErrorHandler& handler : on_error) {
            call(handler, handled);
        }
    }
    if (unseen) {
        report(std::move(unseen));
    }
    if (last) {
        end_.set_and_run();
    } else {
        end_.set();
    }
}

void TaskCore::call(const ErrorHandler& handler, std::exception_ptr error) const noexcept {
    try {
        handler(std::move(error));
    } catch (...) {
        report(std::current_exception());
    }
}

void TaskCore::report(std::exception_ptr error) const noexcept {
    if (const std::shared_ptr<LoopCore> loop = loop_.lock()) {
        loop->report(std::move(error), name());
    } else {
        log_line(LogLevel::error, "a task failed while its loop ended: " + name());
    }
}

const std::string& TaskCore::name() const noexcept {
    static const std::string none;
    return scope_ ? scope_->name : none;
}

bool TaskCore::done() const {
    return phase_.load(std::memory_order_acquire) >= Phase::ended;
}

bool TaskCore::cancelled() const {
    const std::lock_guard lock(mutex_);
    return cancelled_;
}

void TaskCore::when_ended(Ended ended) {
    {
        const std::lock_guard lock(mutex_);
        if (!done()) {
            when_ended_.push_back(std::move(ended));
            return;
        }
    }
    ended();
}

void TaskCore::on_error(ErrorHandler handler) {
    std::exception_ptr error;
    {
        const std::lock_guard lock(mutex_);
        if (!done()) {
            on_error_.push_back(std::move(handler));
            return;
        }
        if (!error_ || cancelled_) {
            return;
        }
        looked_at_ = true;
        error = error_;
    }
    auto handle = [core = shared_from_this(), handler, error] { core->call(handler, error); };
    try {
        if (const std::shared_ptr<LoopCore> loop = loop_.lock()) {
            loop->post(handle);
            return;
        }
    } catch (const LLMError&) {
        // The loop has ended.
    }
    handle();
}

std::exception_ptr TaskCore::error() {
    look_at();
    return done() ? error_ : nullptr;
}

std::exception_ptr TaskCore::take_error() noexcept {
    const std::lock_guard lock(mutex_);
    looked_at_ = true;
    return std::move(error_);
}

void TaskCore::look_at() noexcept {
    looked_at_.store(true, std::memory_order_relaxed);
}

bool TaskCore::wait_until(Clock::time_point limit) {
    std::unique_lock lock(mutex_);
    const auto ended = [this] { return done(); };
    if (limit == Clock::time_point::max()) {
        changed_.wait(lock, ended);
        return true;
    }
    return changed_.wait_until(lock, limit, ended);
}

void TaskCore::add_handle() noexcept {
    handles_.fetch_add(1, std::memory_order_relaxed);
}

void TaskCore::drop_handle() noexcept {
    if (handles_.fetch_sub(1) != 1 || phase_ != Phase::failed) {
        return;
    }
    // Nobody can ask for it any more: it dies here, where it may have been looked at, and not on
    // the loop, which may hold the task a little longer.
    std::exception_ptr error;
    {
        const std::lock_guard lock(mutex_);
        error = std::move(error_);
    }
    if (!looked_at_.exchange(true)) {
        report(std::move(error));
    }
}

asio::awaitable<void> TaskCore::wait() {
    return async::OneShot::wait(std::shared_ptr<async::OneShot>(shared_from_this(), &end_));
}

}  // namespace llmproc
