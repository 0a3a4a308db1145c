/// @file
/// What blocking processes have linked to their loops, and how its calls end.
#pragma once

#include "process/process_core.hpp"
#include "process/stream_state.hpp"
#include "runtime/loop_member.hpp"
#include "runtime/sync_call.hpp"

#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

namespace llmproc {

/// Ends a blocking call on every way out: by its completion, or when that dies uncalled because
/// memory for the coroutine was missing.
class CallEnd {
public:
    explicit CallEnd(std::shared_ptr<SyncCall> call) noexcept : call_(std::move(call)) {}
    CallEnd(const CallEnd&) = delete;
    CallEnd& operator=(const CallEnd&) = delete;
    ~CallEnd() {
        if (!told_) {
            call_->finish(std::make_exception_ptr(std::bad_alloc()));
        }
    }
    void tell(std::exception_ptr error) noexcept {
        told_ = true;
        call_->finish(std::move(error));
    }

private:
    const std::shared_ptr<SyncCall> call_;
    bool told_ = false;
};

/// Ends a blocking stream with its loop.
class StreamWaiter final : public LoopMember {
public:
    explicit StreamWaiter(std::shared_ptr<StreamState> state) noexcept : state_(std::move(state)) {}
    void loop_ended(std::exception_ptr error) noexcept override {
        state_->finish(std::move(error), std::nullopt);
    }

private:
    std::shared_ptr<StreamState> state_;
};

/// Cancels what a process does when its loop ends: what it waits for would keep the loop busy.
class ProcessEnd final : public LoopMember {
public:
    explicit ProcessEnd(const std::shared_ptr<ProcessCore>& core) noexcept : core_(core) {}
    bool counted() const noexcept override { return false; }
    void loop_ended(std::exception_ptr /*error*/) noexcept override {
        if (const std::shared_ptr<ProcessCore> core = core_.lock()) {
            core->cancel_calls();
        }
    }

private:
    const std::weak_ptr<ProcessCore> core_;
};

}  // namespace llmproc
