#include "runtime/loop_state.hpp"
#include "runtime/worker_blocked.hpp"

#include <algorithm>
#include <mutex>

namespace llmproc {

namespace {

/// Guards `blocked_on` of all loops: chains cross them.
std::mutex& chains_mutex() {
    static constinit PerProcess<std::mutex> mutex;
    return mutex.get();
}

/// Whether `from` waits for `target`, itself or through others.
bool waits_for(const LoopCore::State& from, const LoopCore::State& target) {
    return &from == &target ||
           std::any_of(
               from.blocked_on.begin(),
               from.blocked_on.end(),
               [&target](const LoopCore::State* next) { return waits_for(*next, target); }
           );
}

void refuse_circle(const LoopCore::State& here, const LoopCore::State& target) {
    if (waits_for(target, here)) {
        throw WouldDeadlock(
            "this blocking call would never end: the loop that has to serve it waits, itself or "
            "through other loops, for the one that this thread runs; co_await it instead"
        );
    }
}

}  // namespace

bool LoopCore::on_any_loop() noexcept {
    return RunningHere::current() != nullptr;
}

void LoopCore::check_may_block(bool allowed) const {
    state_->check_process();
    if (running_in_this_thread()) {
        throw WouldDeadlock(
            "a blocking call on its own event loop's thread would wait for itself; use co_await "
            "there: the coroutine itself, or task.result()"
        );
    }
    const State* const here = RunningHere::current();
    if (here == nullptr) {
        return;
    }
    if (!allowed) {
        throw WouldDeadlock(
            "a blocking call would stop the event loop that this thread runs; use co_await there "
            "(the coroutine itself, or task.result()), or RunOptions().allow_blocking_loop()"
        );
    }
    const std::lock_guard lock(chains_mutex());
    refuse_circle(*here, *state_);
}

BlockedOn::BlockedOn(const LoopCore& target) : waiting_(RunningHere::current()) {
    if (waiting_ != nullptr) {
        const std::lock_guard lock(chains_mutex());
        refuse_circle(*waiting_, *target.state());
        waiting_->blocked_on.push_back(target.state().get());
    }
    WorkerBlocked::begin();
}

BlockedOn::~BlockedOn() {
    WorkerBlocked::end();
    if (waiting_ != nullptr) {
        const std::lock_guard lock(chains_mutex());
        waiting_->blocked_on.pop_back();
    }
}

}  // namespace llmproc
