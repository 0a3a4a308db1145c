/// @file
/// Runs the handlers of a loop of ours on the calling thread.
#pragma once

#include "runtime/loop_state.hpp"

#include <chrono>
#include <cstddef>
#include <string>

namespace llmproc {

/// Thrown by a handler that ends a turn of `run_until_woken`.
class Woken {};

/// Catches what escapes from handlers. Nothing but failures, so many times in a row, is death.
class LoopRunner {
public:
    using Clock = std::chrono::steady_clock;
    enum class Step { ran, nothing, ended, died };

    explicit LoopRunner(LoopCore::State& state) noexcept : state_(state), here_(state) {}

    /// Until the loop has no work left; false if it died.
    bool run();
    /// One handler, or none before `limit`.
    Step step(Clock::time_point limit);
    /// Handlers until one of `LoopCore::wake`; one by one where each is looked at.
    Step run_until_woken();

private:
    static constexpr int deadly_failures = 1'000;

    std::size_t run_one(Clock::time_point limit);
    std::size_t run_one_watched(const LoopDebug& limits, Clock::time_point limit);
    bool survives() noexcept;

    LoopCore::State& state_;
    RunningHere here_;
    int failures_ = 0;  ///< In a row.
};

/// The body of a loop's own thread, which keeps `state` alive.
void run_loop_thread(LoopCore::State& state, const std::string& name) noexcept;

}  // namespace llmproc
