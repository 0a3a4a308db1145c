/// @file
/// Blocking waits without a deadline, which must not outlast a loop that is stuck.
#pragma once

#include "async/call_context.hpp"

#include <atomic>
#include <chrono>
#include <memory>

namespace llmproc::async {

/// How long a loop may take to answer before a blocked caller gives it up.
inline constexpr std::chrono::milliseconds stuck_loop_limit{60'000};

/// Waits by `wait_until(time_point)`, which returns whether the wait is over, in rounds. From the
/// second round on the loop of `call`, a CallContext or the like, is asked for a sign of life in
/// each; without one the wait is given up. Returns whether the wait is over.
///
/// A call that ends within the first round pays nothing.
template <typename Call, typename WaitUntil>
bool wait_while_loop_lives(
    Call& call,
    WaitUntil wait_until,
    std::chrono::milliseconds round = stuck_loop_limit
) {
    if (wait_until(Clock::now() + round)) {
        return true;
    }
    for (;;) {
        const std::shared_ptr<const std::atomic<bool>> alive = call.sign_of_life_from_anywhere();
        if (wait_until(Clock::now() + round)) {
            return true;
        }
        if (!alive->load(std::memory_order_acquire)) {
            return false;
        }
    }
}

}  // namespace llmproc::async
