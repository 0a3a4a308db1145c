/// @file
/// Work that no fork() may interrupt.
#pragma once

#include <llmproc/export.hpp>

#include <chrono>

namespace llmproc {

/// How long a fork() waits for threads that hold it off.
inline constexpr std::chrono::milliseconds fork_wait_limit{1'000};

/// Holds fork() off while this thread is inside a library whose locks do not survive one (OpenSSL):
/// a child has only the thread that forked, so a lock that another one had taken stays taken.
///
/// May be nested. Short work only, without callbacks of users: a fork waits for it, and while a fork
/// waits or runs nobody new gets in.
/// Thread safety: any thread. Exported for llmproc::testing alone.
class LLMPROC_API ForkHold {
public:
    ForkHold() noexcept;
    ForkHold(const ForkHold&) = delete;
    ForkHold& operator=(const ForkHold&) = delete;
    ~ForkHold();
};

/// Lets forks through while such work asks a user something.
class ForkHoldPause {
public:
    ForkHoldPause() noexcept;
    ForkHoldPause(const ForkHoldPause&) = delete;
    ForkHoldPause& operator=(const ForkHoldPause&) = delete;
    ~ForkHoldPause();

private:
    const unsigned depth_;
};

/// Throws LLMError{forked_process} in a child whose fork() did not wait: it was called within such
/// work, or `fork_wait_limit` was over.
void check_forked_in_order();

}  // namespace llmproc
