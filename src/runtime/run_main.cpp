#include <llmproc/error.hpp>
#include <llmproc/run_main.hpp>
#include "async/call_context.hpp"
#include "core/log_line.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/signal_trap.hpp"
#include "runtime/task_core.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <csignal>
#include <exception>
#include <optional>
#include <string>
#include <system_error>

namespace llmproc::detail {

namespace asio = boost::asio;
using async::Clock;

namespace {

/// What a program returns that signal `n` ended, as a shell reports it.
constexpr int signal_exit_base = 128;

bool is_cancellation(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const Cancelled&) {
        return true;
    } catch (const boost::system::system_error& failure) {
        return failure.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

/// One run of `run_main`.
class MainRun {
public:
    explicit MainRun(const MainOptions& options)
        : options_(options),
          trap_(options.handle_signals() ? SignalTrap::set({SIGINT, SIGTERM}) : nullptr),
          loop_(EventLoop::on_caller()) {}

    int run(asio::awaitable<void> body);

private:
    void watch_signals();
    void on_signal();
    /// Runs the loop until the coroutine has ended or is given up.
    void run_main_task();
    void end_loop();

    const MainOptions& options_;
    std::unique_ptr<SignalTrap> trap_;
    EventLoop loop_;
    std::shared_ptr<TaskCore> main_;
    bool given_up_ = false;
    Clock::time_point end_of_patience_ = Clock::time_point::max();

    // Parts of the loop: they go first.
    std::optional<asio::posix::stream_descriptor> signals_;
    std::optional<asio::steady_timer> patience_;
};

void MainRun::watch_signals() {
    signals_.emplace(loop_.get_executor(), trap_->descriptor());
    const auto readable = [this](const boost::system::error_code& error) {
        if (!error && signals_) {
            on_signal();
        }
    };
    signals_->async_wait(asio::posix::descriptor_base::wait_read, readable);
}

void MainRun::on_signal() {
    end_of_patience_ = async::after(options_.shutdown_timeout());
    main_->cancel(CancelReason::signal);
    patience_.emplace(loop_.get_executor(), end_of_patience_);
    patience_->async_wait([this](const boost::system::error_code& error) {
        if (!error && patience_) {
            given_up_ = true;
            loop_.core()->wake();
        }
    });
}

void MainRun::run_main_task() {
    main_->when_ended([loop = std::weak_ptr(loop_.core())] {
        if (const std::shared_ptr<LoopCore> live = loop.lock()) {
            live->wake();
        }
    });
    if (trap_) {
        watch_signals();
    }
    loop_.core()->run_until([this] { return given_up_ || main_->done(); });
}

void MainRun::end_loop() {
    if (signals_) {
        // The trap owns it.
        signals_->release();
        signals_.reset();
    }
    patience_.reset();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::min(end_of_patience_, async::after(options_.shutdown_timeout())) - Clock::now()
    );
    const ShutdownReport report =
        loop_.core()->shutdown(std::max(left, left.zero()), CancelReason::shutdown);
    if (report.abandoned != 0) {
        log_line(
            LogLevel::warning,
            "run_main: " + std::to_string(report.abandoned) +
                " task(s) did not end within the shutdown timeout of " +
                std::to_string(options_.shutdown_timeout().count()) +
                " ms and were abandoned; MainOptions::shutdown_timeout gives them more"
        );
    }
}

int MainRun::run(asio::awaitable<void> body) {
    main_ = TaskCore::begin(loop_.core(), std::move(body), "main", RunOptions(), nullptr);
    std::exception_ptr error;
    try {
        run_main_task();
    } catch (...) {
        // The coroutine may have shut down its loop; then only its own outcome is of interest.
        error = std::current_exception();
    }
    end_loop();
    if (!given_up_ && main_->done()) {
        error = main_->take_error();
    }
    main_->drop_handle();
    const int signal = trap_ ? trap_->caught() : 0;
    trap_.reset();
    if (error && !(signal != 0 && is_cancellation(error))) {
        std::rethrow_exception(std::move(error));
    }
    return signal == 0 ? 0 : signal_exit_base + signal;
}

}  // namespace

int run_program(asio::awaitable<void> body, const MainOptions& options) {
    if (LoopCore::on_any_loop()) {
        throw LLMError(
            Errc::loop_running,
            "run_main on an event loop's own thread; await the coroutine there, or begin it with "
            "create_task"
        );
    }
    return MainRun(options).run(std::move(body));
}

}  // namespace llmproc::detail
