/// @file
/// When a periodic callback is due.
#pragma once

#include <chrono>

namespace llmproc {

/// `time + delay`, at the clock's last moment if it would be beyond that; never before `time`.
inline std::chrono::steady_clock::time_point saturating_add(
    std::chrono::steady_clock::time_point time,
    std::chrono::milliseconds delay
) noexcept {
    using Clock = std::chrono::steady_clock;
    if (delay <= std::chrono::milliseconds::zero()) {
        return time;
    }
    const auto room = std::chrono::duration_cast<std::chrono::milliseconds>(
        Clock::time_point::max() - time
    );
    return delay < room ? time + delay : Clock::time_point::max();
}

/// The first multiple of `period` after `start` that lies after `now`: lateness does not add up,
/// and multiples that have passed meanwhile are skipped.
/// Preconditions: `period` is positive, `now` not before `start`.
inline std::chrono::steady_clock::time_point next_tick(
    std::chrono::steady_clock::time_point start,
    std::chrono::milliseconds period,
    std::chrono::steady_clock::time_point now
) noexcept {
    const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - start);
    return saturating_add(start + passed / period * period, period);
}

}  // namespace llmproc
