#include "core/log_line.hpp"
#include "runtime/loop_state.hpp"
#include "runtime/scheduled_call.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace llmproc {

namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;

void tell(const LoopDebug& settings, const SlowCallback& slow) noexcept {
    try {
        if (settings.on_slow()) {
            settings.on_slow()(slow);
            return;
        }
        log_line(
            LogLevel::warning,
            "slow callback: " + slow.name + " kept its event loop busy for " +
                std::to_string(slow.took.count()) + " ms"
        );
    } catch (...) {
        log_line(LogLevel::error, "the report of a slow callback threw an exception");
    }
}

}  // namespace

std::shared_ptr<const LoopDebug> LoopCore::State::debug_settings() const {
    if (!watching.load(std::memory_order_relaxed)) {
        return nullptr;
    }
    const std::lock_guard lock(settings_mutex);
    return debug;
}

void LoopCore::State::note_duration(
    const LoopDebug& limits,
    const std::string& name,
    std::chrono::steady_clock::duration took
) noexcept {
    if (took < limits.slow_callback()) {
        return;
    }
    slow_callbacks.fetch_add(1, std::memory_order_relaxed);
    SlowCallback slow;
    slow.took = duration_cast<milliseconds>(took);
    try {
        slow.name = name.empty() ? "handler" : name;
    } catch (const std::exception&) {
        slow.name.clear();
    }
    tell(limits, slow);
}

void LoopCore::State::note_lag(std::chrono::steady_clock::duration lag) noexcept {
    const auto now = std::max<std::int64_t>(0, duration_cast<microseconds>(lag).count());
    lag_us.store(now, std::memory_order_relaxed);
    if (now > max_lag_us.load(std::memory_order_relaxed)) {
        max_lag_us.store(now, std::memory_order_relaxed);
    }
}

void LoopCore::debug(LoopDebug settings) {
    State& state = *state_;
    state.check_process();
    const milliseconds interval = settings.lag_interval();
    auto kept = std::make_shared<const LoopDebug>(std::move(settings));
    {
        const std::lock_guard lock(state.mutex);
        state.check_accepting();
    }
    // Only where a thread always runs the loop does lateness say something about it.
    ScheduledCall probe;
    if (state.kind == LoopKind::thread && interval > milliseconds::zero()) {
        probe = start_lag_probe(*this, interval);
    }
    {
        const std::lock_guard lock(state.settings_mutex);
        state.debug = std::move(kept);
        std::swap(state.lag_probe, probe);
        state.watching.store(true, std::memory_order_relaxed);
    }
    probe.cancel();
    if (state.kind == LoopKind::thread) {
        post([] { throw WatchBegins(); });
    }
}

void LoopCore::debug_off() {
    State& state = *state_;
    state.check_process();
    ScheduledCall probe;
    {
        const std::lock_guard lock(state.settings_mutex);
        state.watching.store(false, std::memory_order_relaxed);
        state.debug.reset();
        std::swap(state.lag_probe, probe);
    }
    probe.cancel();
}

bool LoopCore::debugging() const noexcept {
    return state_->watching.load(std::memory_order_relaxed);
}

}  // namespace llmproc
