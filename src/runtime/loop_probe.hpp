/// @file
/// Asks a loop for a sign of life.
#pragma once

#include <llmproc/error.hpp>
#include "runtime/loop_core.hpp"

#include <atomic>
#include <memory>

namespace llmproc {

/// Lets `async::wait_while_loop_lives` ask a loop.
class LoopProbe {
public:
    explicit LoopProbe(LoopCore& loop) noexcept : loop_(loop) {}

    std::shared_ptr<const std::atomic<bool>> sign_of_life_from_anywhere() {
        auto alive = std::make_shared<std::atomic<bool>>(false);
        try {
            loop_.post([alive] { alive->store(true, std::memory_order_release); });
        } catch (const LLMError&) {
            // It is ending: what waits for it gets its end from there.
            alive->store(true, std::memory_order_release);
        }
        return alive;
    }

private:
    LoopCore& loop_;
};

}  // namespace llmproc
