/// @file
/// Joins threads that could not be joined where their owner died.
#pragma once

#include <thread>

namespace llmproc {

/// Takes a thread that is about to end. It is joined by a later `reap` on another thread.
void bury(std::thread thread);
/// Joins all buried threads but the calling one. Called whenever a loop starts or ends.
void reap() noexcept;

}  // namespace llmproc
