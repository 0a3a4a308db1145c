#include "core/log_line.hpp"
#include "runtime/loop_runner.hpp"
#include "runtime/loop_state.hpp"
#include "runtime/reaper.hpp"
#include "runtime/tick.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

/// Handlers that outlive the budget are given this long after the loop was stopped.
constexpr milliseconds stop_grace{500};
constexpr milliseconds last_budget{2000};

/// Says that the calling thread runs the loop; the caller has seen under the lock that none does.
class Turn {
public:
    explicit Turn(LoopCore::State& state) noexcept : state_(state) {
        state_.runner.store(std::this_thread::get_id());
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
        state_.runner.store(std::thread::id());
        const std::lock_guard lock(state_.mutex);
        state_.running = false;
        state_.changed.notify_all();
    }

private:
    LoopCore::State& state_;
};

bool goes_on(LoopRunner::Step last) noexcept {
    return last == LoopRunner::Step::ran || last == LoopRunner::Step::nothing;
}

void end_of_turn(LoopCore::State& state, LoopRunner::Step last) {
    if (last == LoopRunner::Step::died) {
        state.end_members(
            Errc::loop_died,
            "the event loop died: nothing but failures of its handlers; start a new one"
        );
    } else {
        state.end_members(Errc::loop_closed, "the event loop was shut down");
    }
    state.set_exited();
}

/// Runs a loop that nobody runs until it has exited; false when `limit` passed first.
bool drain_here(LoopCore::State& state, Clock::time_point limit) {
    const Turn turn(state);
    LoopRunner runner(state);
    auto last = LoopRunner::Step::ran;
    while (goes_on(last)) {
        last = runner.step(limit);
        if (last != LoopRunner::Step::ended && Clock::now() >= limit) {
            return false;
        }
    }
    end_of_turn(state, last);
    return true;
}

}  // namespace

void LoopCore::run_until(const std::function<bool()>& done) {
    State& state = *state_;
    state.check_process();
    if (state.kind == LoopKind::attached) {
        throw LLMError(
            Errc::not_supported,
            "run_until_complete: an attached loop is run by its io_context; call io.run() and use "
            "create_task"
        );
    }
    if (state.kind == LoopKind::thread || RunningHere::current() == &state) {
        throw LLMError(
            Errc::loop_running,
            "run_until_complete: the loop runs already; co_await there, or use run_sync from "
            "another thread"
        );
    }
    if (on_any_loop()) {
        throw WouldDeadlock(
            "run_until_complete would stop the event loop that this thread runs; co_await there"
        );
    }
    const std::shared_ptr<LoopCore> alive = shared_from_this();
    {
        const std::lock_guard lock(state.mutex);
        state.check_accepting();
        if (state.running) {
            throw LLMError(
                Errc::loop_running,
                "run_until_complete: another thread runs the loop; use create_task"
            );
        }
        state.running = true;
    }
    const Turn turn(state);
    LoopRunner runner(state);
    auto last = LoopRunner::Step::ran;
    while (goes_on(last) && !done()) {
        last = runner.run_until_woken();
    }
    if (!goes_on(last)) {
        end_of_turn(state, last);
    }
    const std::lock_guard lock(state.mutex);
    if (last == LoopRunner::Step::died) {
        state.check_accepting();
    }
    if (state.ending || last == LoopRunner::Step::ended) {
        throw LLMError(
            Errc::loop_stopped,
            "the event loop was shut down before run_until_complete had its result"
        );
    }
}

void LoopCore::wake() noexcept {
    if (state_->inherited() || state_->kind != LoopKind::on_caller) {
        return;
    }
    try {
        asio::post(*state_->io, [] { throw Woken(); });
    } catch (const std::exception&) {
        log_line(LogLevel::error, "no memory to wake an event loop");
    }
}

bool LoopCore::wait_exited(Clock::time_point limit) {
    State& state = *state_;
    std::unique_lock lock(state.mutex);
    const bool shared = state.kind == LoopKind::on_caller;
    for (;;) {
        const bool settled = state.changed.wait_until(lock, limit, [&state, shared] {
            return state.exited || (shared && !state.running);
        });
        if (!settled || state.exited) {
            return state.exited;
        }
        state.running = true;
        lock.unlock();
        if (!drain_here(state, limit)) {
            return false;
        }
        lock.lock();
    }
}

void LoopCore::join_thread(bool exited) {
    State& state = *state_;
    if (!state.thread.joinable()) {
        if (!exited && state.kind == LoopKind::on_caller) {
            KeptForParent::keep(state_);
        }
        return;
    }
    if (exited) {
        state.thread.join();
        return;
    }
    // A handler blocks for ever: the thread keeps what it uses, nobody waits for it.
    state.thread.detach();
    KeptForParent::keep(state_);
    log_line(LogLevel::warning, "an event loop was abandoned: a handler on it does not return");
}

ShutdownReport LoopCore::shutdown(milliseconds budget, CancelReason reason) {
    State& state = *state_;
    state.check_process();
    const Clock::time_point begin = Clock::now();
    state.begin_end(reason);
    if (running_in_this_thread()) {
        const std::lock_guard lock(state.mutex);
        return state.report_so_far;
    }
    const std::lock_guard one_at_a_time(state.joining);
    if (state.shut_down) {
        return state.report_so_far;
    }
    ShutdownReport report = state.report_so_far;
    report.drained = wait_exited(saturating_add(begin, budget));
    bool exited = report.drained;
    if (!report.drained) {
        report.abandoned = state.end_members(
            Errc::loop_closed,
            "the event loop was shut down and the call or task did not end in time"
        );
        if (state.io) {
            state.io->stop();
            exited = wait_exited(Clock::now() + stop_grace);
        }
    }
    join_thread(exited);
    report.elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
    const std::lock_guard lock(state.mutex);
    report.drained = report.drained && state.refusal != Errc::loop_died;
    state.shut_down = true;
    state.report_so_far = report;
    return report;
}

LoopCore::~LoopCore() {
    if (state_->inherited()) {
        KeptForParent::keep(std::move(state_));
        return;
    }
    if (state_->kind == LoopKind::attached) {
        // Its context has died, or it was never used.
        state_->context_died();
        return;
    }
    try {
        end_with_last_owner();
    } catch (const std::exception& error) {
        // No memory even for the end.
        log_line(LogLevel::error, error.what());
        KeptForParent::keep(std::move(state_));
    }
}

void LoopCore::end_with_last_owner() {
    if (running_in_this_thread()) {
        state_->begin_end(CancelReason::closed);
        // Weak: the thread is the last to hold the io_context, and so closes its sockets as it ends,
        // whenever it is joined.
        bury(std::move(state_->thread), [weak = std::weak_ptr(state_)](milliseconds budget) {
            const std::shared_ptr<State> state = weak.lock();
            if (!state) {
                return true;
            }
            std::unique_lock lock(state->mutex);
            return state->changed.wait_for(lock, budget, [&state] { return state->exited; });
        });
        return;
    }
    shutdown(last_budget);
    reap();
}

}  // namespace llmproc
