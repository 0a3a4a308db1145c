/// @file
/// A thread of an executor that waits in a blocking call.
#pragma once

namespace llmproc {

class WorkerPool;

/// Marks the calling thread as blocked in a call that waits for a loop, while it lives: if all
/// threads of an executor are, jobs that their own jobs have begun would wait for ever. Free of
/// cost on threads that belong to no executor.
/// Preconditions: made before what the call waits for begins.
class WorkerBlocked {
public:
    WorkerBlocked() noexcept { begin(); }
    WorkerBlocked(const WorkerBlocked&) = delete;
    WorkerBlocked& operator=(const WorkerBlocked&) = delete;
    ~WorkerBlocked() { end(); }

    /// For those that are such an object themselves.
    static void begin() noexcept {
        if (pool != nullptr && depth++ == 0) {
            enter();
        }
    }
    static void end() noexcept {
        if (pool != nullptr && --depth == 0) {
            leave();
        }
    }

private:
    friend class WorkerPool;
    static void enter() noexcept;
    static void leave() noexcept;

    /// The pool of the calling thread.
    static constinit thread_local WorkerPool* pool;
    static constinit thread_local unsigned depth;
};

}  // namespace llmproc
