#include "runtime/loop_runner.hpp"

#include "async/handler_watch.hpp"
#include "runtime/scheduled_call.hpp"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace llmproc {

namespace {

/// Reports a handler that took too long, also one that threw.
class TimedHandler {
public:
    using Clock = LoopRunner::Clock;

    TimedHandler(LoopCore::State& state, const LoopDebug& limits) noexcept
        : state_(state),
          limits_(limits) {}
    TimedHandler(const TimedHandler&) = delete;
    TimedHandler& operator=(const TimedHandler&) = delete;
    ~TimedHandler() {
        if (!ran_) {
            return;
        }
        const Clock::time_point ended = Clock::now();
        // Without a mark the wait before the handler may be part of it: that much is forgiven.
        const Clock::duration took = watch_.began ? ended - *watch_.began
                                                  : ended - begun_ - waited_at_most_;
        state_.note_duration(limits_, watch_.name, took);
    }

    void nothing_ran() noexcept { ran_ = false; }
    void may_wait(std::chrono::milliseconds at_most) noexcept { waited_at_most_ = at_most; }

private:
    LoopCore::State& state_;
    const LoopDebug& limits_;
    async::HandlerWatch watch_;
    const Clock::time_point begun_ = Clock::now();
    Clock::duration waited_at_most_{0};
    bool ran_ = true;  ///< Also if it threw.
};

}  // namespace

// NOLINTBEGIN(clang-analyzer-core.StackAddressEscape): the watch takes its address back
std::size_t LoopRunner::run_one_watched(const LoopDebug& limits, Clock::time_point limit) {
    TimedHandler timed(state_, limits);
    if (state_.io->poll_one() != 0) {
        return 1;
    }
    if (state_.io->stopped()) {
        timed.nothing_ran();
        return 0;
    }
    // Asio does not say when its wait ended, so it waits in pieces.
    const std::chrono::milliseconds piece = std::clamp(
        limits.slow_callback() / 4,
        std::chrono::milliseconds(1),
        std::chrono::milliseconds(100)
    );
    timed.may_wait(piece);
    const std::size_t ran = state_.io->run_one_until(std::min(limit, Clock::now() + piece));
    if (ran == 0) {
        timed.nothing_ran();
    }
    return ran;
}
// NOLINTEND(clang-analyzer-core.StackAddressEscape)

std::size_t LoopRunner::run_one(Clock::time_point limit) {
    if (const std::shared_ptr<const LoopDebug> limits = state_.debug_settings()) {
        return run_one_watched(*limits, limit);
    }
    if (limit == Clock::time_point::max()) {
        return state_.io->run_one();
    }
    return state_.io->run_one_until(limit);
}

LoopRunner::Step LoopRunner::step(Clock::time_point limit) {
    try {
        if (run_one(limit) == 0) {
            return state_.io->stopped() ? Step::ended : Step::nothing;
        }
        failures_ = 0;
    } catch (const WatchBegins&) {
        return Step::ran;
    } catch (const Woken&) {
        return Step::ran;
    } catch (...) {
        return survives() ? Step::ran : Step::died;
    }
    return Step::ran;
}

LoopRunner::Step LoopRunner::run_until_woken() {
    if (failures_ != 0 || state_.watching.load(std::memory_order_relaxed)) {
        return step(Clock::time_point::max());
    }
    try {
        // Asio keeps its memory for handlers as long as one call of `run` lasts.
        state_.io->run();
        return Step::ended;
    } catch (const WatchBegins&) {
        return Step::ran;
    } catch (const Woken&) {
        return Step::ran;
    } catch (...) {
        return survives() ? Step::ran : Step::died;
    }
}

bool LoopRunner::run() {
    Step done = Step::ran;
    while (done != Step::ended && done != Step::died) {
        done = run_until_woken();
    }
    return done == Step::ended;
}

bool LoopRunner::survives() noexcept {
    state_.handler_exceptions.fetch_add(1, std::memory_order_relaxed);
    state_.report(std::current_exception(), "handler");
    return ++failures_ < deadly_failures;
}

void run_loop_thread(LoopCore::State& state, const std::string& name) noexcept {
    // By the thread itself: for another one the kernel goes through /proc, which takes its time.
    pthread_setname_np(pthread_self(), name.c_str());
    state.runner.store(std::this_thread::get_id());
    LoopRunner runner(state);
    if (runner.run()) {
        state.end_members(Errc::loop_closed, "the event loop ended while the call was in progress");
    } else {
        state.end_members(
            Errc::loop_died,
            "the event loop died: nothing but failures of its handlers; start a new one"
        );
    }
    state.set_exited();
}

}  // namespace llmproc
