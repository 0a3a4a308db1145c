/// @file
/// What is in progress on a loop and must not outlast it: a blocked caller, a stream, a task.
#pragma once

#include <llmproc/error.hpp>

#include <cstddef>
#include <exception>
#include <memory>

namespace llmproc {

class LoopMember;

/// Where members are linked. Outlives the LoopCore that is shutting down.
class MemberHome {
public:
    MemberHome() = default;
    MemberHome(const MemberHome&) = delete;
    MemberHome& operator=(const MemberHome&) = delete;
    /// Unlinks a member that has its outcome; without effect on others.
    virtual void forget(const LoopMember& member) noexcept = 0;

protected:
    ~MemberHome() = default;
};

/// Linked to its loop while it is in progress, so that the loop's end ends it.
class LoopMember {
public:
    LoopMember() = default;
    LoopMember(const LoopMember&) = delete;
    LoopMember& operator=(const LoopMember&) = delete;
    virtual ~LoopMember() = default;

    /// The loop is shutting down: end in order, soon. Called at most once, on any thread.
    /// Blocked callers have nothing to end; they get `loop_ended` at once.
    virtual void cancel(CancelReason /*reason*/) noexcept {}
    /// Whether the shutdown waits for it after `cancel`.
    virtual bool ends_in_order() const noexcept { return false; }
    /// Whether statistics and reports count it.
    virtual bool counted() const noexcept { return true; }
    /// The loop has ended or refuses to go on. Lets go of everything that belongs to the loop.
    /// Called at most once, on any thread.
    virtual void loop_ended(std::exception_ptr error) noexcept = 0;

    /// It has its outcome: the loop forgets it. Works while the last owner of the loop shuts it
    /// down, when a weak pointer to the LoopCore is empty already. Idempotent, from any thread.
    void leave_loop() noexcept {
        if (const std::shared_ptr<MemberHome> home = home_.lock()) {
            home->forget(*this);
        }
    }

private:
    friend class MemberList;
    std::weak_ptr<MemberHome> home_;  ///< Set once, before the member begins.
    std::size_t place_ = 0;           ///< Where the loop lists it.
};

}  // namespace llmproc
