/// @file
/// Somebody on another thread who waits for something on a loop.
#pragma once

#include <cstddef>
#include <exception>

namespace llmproc {

/// Linked to its loop while it waits, so that the loop's end ends the wait.
class LoopWaiter {
public:
    LoopWaiter() = default;
    LoopWaiter(const LoopWaiter&) = delete;
    LoopWaiter& operator=(const LoopWaiter&) = delete;
    virtual ~LoopWaiter() = default;

    /// The loop has ended or refuses to go on. Called at most once, on any thread.
    virtual void loop_ended(std::exception_ptr error) noexcept = 0;

private:
    friend class LoopCore;
    std::size_t place_ = 0;  ///< Where the loop lists it.
};

}  // namespace llmproc
