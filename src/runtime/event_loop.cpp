#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include "core/log_line.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/reaper.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace llmproc {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

struct LoopCore::State {
    /// Work of the user that outlives the loop's budget is cut off after this long.
    static constexpr std::chrono::milliseconds stop_grace{500};

    mutable std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::shared_ptr<LoopWaiter>> pending;
    std::uint64_t calls = 0;
    bool accepting = true;
    bool running = false;
    bool exited = false;
    std::atomic<std::uint64_t> handler_exceptions{0};
    std::thread::id thread;

    // Last, so that frames destroyed with it still find the rest alive.
    asio::io_context io{1};
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard{
        asio::make_work_guard(io)};

    /// Refuses new calls and ends the pending ones. Returns how many that were.
    std::size_t refuse(Errc code, const std::string& why) {
        std::vector<std::shared_ptr<LoopWaiter>> ended;
        {
            const std::lock_guard lock(mutex);
            accepting = false;
            ended.swap(pending);
        }
        for (const std::shared_ptr<LoopWaiter>& waiter : ended) {
            waiter->loop_ended(std::make_exception_ptr(LLMError(code, why)));
        }
        return ended.size();
    }
};

namespace {

thread_local const void* current_loop = nullptr;

/// Blocks all signals that can be blocked sensibly while it lives, so that a thread started
/// meanwhile never takes the program's signals.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        for (const int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) {
            sigdelset(&all, own);
        }
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

std::string default_name() {
    static std::atomic<unsigned> count{0};
    return "llm-loop-" + std::to_string(++count);
}

LLMError no_resources(const std::string& reason) {
    return {
        Errc::limit_reached,
        "cannot start an event loop: " + reason +
            "; raise the limit of threads or descriptors (ulimit), or share one loop: "
            "SyncOptions().on(loop)"};
}

void report_escaped(std::atomic<std::uint64_t>& count) noexcept {
    count.fetch_add(1, std::memory_order_relaxed);
    try {
        throw;
    } catch (const std::exception& error) {
        log_line(LogLevel::error, std::string("exception escaped a handler: ") + error.what());
    } catch (...) {
        log_line(LogLevel::error, "exception of an unknown type escaped a handler");
    }
}

}  // namespace

LoopCore::LoopCore(const std::string& name) {
    reap();
    try {
        state_ = std::make_shared<State>();
        // Makes the reactor, whose descriptors Asio else takes only at the first use.
        const asio::steady_timer reactor(state_->io);
        const std::string title = name.empty() ? default_name() : name;
        const SignalsBlocked inherited;
        thread_ = std::thread([state = state_, title] { body(state, title); });
    } catch (const std::system_error& error) {
        throw no_resources(error.code().message());
    } catch (const boost::system::system_error& error) {
        throw no_resources(error.code().message());
    }
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [this] { return state_->running; });
}

void LoopCore::body(const std::shared_ptr<State>& state, const std::string& name) {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    current_loop = state.get();
    {
        const std::lock_guard lock(state->mutex);
        state->thread = std::this_thread::get_id();
        state->running = true;
    }
    state->changed.notify_all();
    for (;;) {
        try {
            state->io.run();
            break;
        } catch (...) {
            report_escaped(state->handler_exceptions);
        }
    }
    state->refuse(Errc::loop_closed, "the event loop ended while the call was in progress");
    {
        const std::lock_guard lock(state->mutex);
        state->exited = true;
    }
    state->changed.notify_all();
}

LoopCore::~LoopCore() {
    if (running_in_this_thread()) {
        state_->refuse(Errc::loop_closed, "the event loop was closed");
        state_->guard.reset();
        bury(std::move(thread_), [state = state_](std::chrono::milliseconds budget) {
            std::unique_lock lock(state->mutex);
            return state->changed.wait_for(lock, budget, [&state] { return state->exited; });
        });
        return;
    }
    shutdown(std::chrono::milliseconds(2000));
    reap();
}

asio::any_io_executor LoopCore::executor() const {
    return state_->io.get_executor();
}

std::thread::id LoopCore::thread_id() const noexcept {
    return state_->thread;
}

bool LoopCore::running_in_this_thread() const noexcept {
    return current_loop == state_.get();
}

bool LoopCore::on_any_loop() noexcept {
    return current_loop != nullptr;
}

EventLoopStats LoopCore::stats() const {
    const std::lock_guard lock(state_->mutex);
    EventLoopStats stats;
    stats.calls = state_->calls;
    stats.pending_calls = state_->pending.size();
    stats.handler_exceptions = state_->handler_exceptions.load(std::memory_order_relaxed);
    return stats;
}

void LoopCore::submit(
    const std::shared_ptr<LoopWaiter>& waiter,
    const asio::any_io_executor& executor,
    std::function<void()> start
) {
    const std::lock_guard lock(state_->mutex);
    if (!state_->accepting) {
        throw LLMError(Errc::loop_closed, "the event loop is closed; start a new process");
    }
    state_->pending.push_back(waiter);
    waiter->place_ = state_->pending.size() - 1;
    try {
        asio::post(executor, std::move(start));
    } catch (...) {
        state_->pending.pop_back();
        throw;
    }
    ++state_->calls;
}

void LoopCore::forget(const LoopWaiter& waiter) noexcept {
    std::shared_ptr<LoopWaiter> last;
    const std::lock_guard lock(state_->mutex);
    auto& pending = state_->pending;
    const std::size_t place = waiter.place_;
    if (place < pending.size() && pending[place].get() == &waiter) {
        last = std::move(pending[place]);
        if (place + 1 != pending.size()) {
            pending[place] = std::move(pending.back());
            pending[place]->place_ = place;
        }
        pending.pop_back();
    }
}

ShutdownReport LoopCore::shutdown(std::chrono::milliseconds budget) {
    const Clock::time_point begin = Clock::now();
    ShutdownReport report;
    report.cancelled_calls = state_->refuse(Errc::loop_closed, "the event loop was shut down");
    if (running_in_this_thread()) {
        state_->guard.reset();
        return report;
    }
    const std::lock_guard one_at_a_time(joining_);
    if (!thread_.joinable()) {
        report.drained = true;
        return report;
    }
    asio::post(state_->io, [state = state_.get()] { state->guard.reset(); });
    std::unique_lock lock(state_->mutex);
    const auto exited = [this] { return state_->exited; };
    report.drained = state_->changed.wait_for(lock, budget, exited);
    if (!report.drained) {
        state_->io.stop();
    }
    const bool ended = report.drained || state_->changed.wait_for(lock, State::stop_grace, exited);
    lock.unlock();
    if (ended) {
        thread_.join();
    } else {
        // A handler blocks for ever: the thread keeps what it uses, nobody waits for it.
        thread_.detach();
        log_line(LogLevel::warning, "an event loop was abandoned: a handler on it does not return");
    }
    report.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
    return report;
}

EventLoop::EventLoop() : core_(std::make_shared<LoopCore>(std::string())) {}

EventLoop::EventLoop(const std::string& name) : core_(std::make_shared<LoopCore>(name)) {}

const std::shared_ptr<LoopCore>& EventLoop::core() const {
    if (!core_) {
        throw LLMError(Errc::invalid_handle, "this event loop was moved from");
    }
    return core_;
}

asio::any_io_executor EventLoop::get_executor() const {
    return core()->executor();
}

std::thread::id EventLoop::thread_id() const {
    return core()->thread_id();
}

bool EventLoop::running_in_this_thread() const noexcept {
    return core_ && core_->running_in_this_thread();
}

EventLoopStats EventLoop::stats() const {
    return core()->stats();
}

// NOLINTNEXTLINE(readability-make-member-function-const): it changes the loop, if not the handle.
ShutdownReport EventLoop::shutdown(std::chrono::milliseconds budget) {
    return core()->shutdown(budget);
}

}  // namespace llmproc
