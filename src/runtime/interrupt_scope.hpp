/// @file
/// What an InterruptScope means to the blocking calls of its thread.
#pragma once

#include <stop_token>

namespace llmproc {

/// Stopped when the signal of the calling thread's InterruptScope comes; without an active one it
/// can never be stopped.
std::stop_token interrupt_token();

/// Throws Cancelled{signal} if that signal has come.
void throw_if_interrupted();

}  // namespace llmproc
