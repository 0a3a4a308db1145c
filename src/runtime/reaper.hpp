/// @file
/// Joins threads that could not be joined where their owner died.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace llmproc {

/// Waits until the thread is about to return, at most so long; says whether it is.
using EndsWithin = std::function<bool(std::chrono::milliseconds)>;

/// Takes a thread that is expected to end. It is joined by a later `reap`, at the latest when the
/// program exits; one that does not end then is left running.
void bury(std::thread thread, EndsWithin ends);
/// Joins those of the buried threads that have ended. Called whenever a loop starts or ends.
void reap() noexcept;
/// The same, and waits at most so long for those that have not ended; see exit_hook.hpp.
void reap_within(std::chrono::milliseconds budget) noexcept;

}  // namespace llmproc
