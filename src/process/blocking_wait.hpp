/// @file
/// What surrounds every wait of a thread that is blocked in a call of a process.
#pragma once

#include "async/call_context.hpp"
#include "runtime/interrupt_scope.hpp"
#include "runtime/loop_core.hpp"

#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

namespace llmproc {

/// While it lives, circles of waiting loops are noticed, and the signal of the thread's
/// InterruptScope cancels `call`, if that is not null.
class BlockingWait {
public:
    BlockingWait(const LoopCore& loop, std::shared_ptr<async::CallContext> call) : blocked_(loop) {
        std::stop_token interrupted = interrupt_token();
        if (call && interrupted.stop_possible()) {
            on_signal_.emplace(std::move(interrupted), Interrupt{std::move(call)});
        }
    }

private:
    struct Interrupt {
        std::shared_ptr<async::CallContext> call;
        void operator()() const noexcept { call->cancel_from_anywhere(CancelReason::signal); }
    };

    const BlockedOn blocked_;
    std::optional<std::stop_callback<Interrupt>> on_signal_;
};

}  // namespace llmproc
