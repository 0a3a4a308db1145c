/// @file
/// The end of the program: loops end before OpenSSL and the C++ runtime clean up.
#pragma once

#include <memory>

namespace llmproc {

class LoopCore;

/// Whether exit() has begun to end the loops.
bool exiting() noexcept;

/// Throws LLMError{loop_closed} once the program is exiting.
void check_not_exiting();

/// To be called before anything that a loop needs is made: sees to it that loops end when the
/// program does, before OpenSSL's own cleanup. Throws as `check_not_exiting`.
void prepare_exit();

/// `loop` is shut down when the program exits, with the others and within one common budget of 2 s;
/// the thread that calls exit() never waits for itself. Forgotten with its last owner.
/// Throws as `check_not_exiting`.
void end_at_exit(const std::shared_ptr<LoopCore>& loop);

}  // namespace llmproc
