/// @file
/// Options of one call.
#pragma once

#include <llmproc/context_map.hpp>
#include <llmproc/timeouts.hpp>

#include <any>
#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

namespace llmproc {

/// Options of one call; each setter returns the object: `RunOptions().timeout(30s)`.
class RunOptions {
public:
    RunOptions() = default;

    /// Bounds the whole call, all attempts and waiting for earlier runs included; zero or less
    /// fails at once. Default: `connection.timeout` of the program, none.
    RunOptions& timeout(std::chrono::milliseconds limit) {
        timeouts_.total(limit);
        return *this;
    }
    /// Limits by stage; those that are set prevail over the program's.
    RunOptions& timeouts(const Timeouts& limits) {
        timeouts_ = limits.over(timeouts_);
        return *this;
    }
    /// How often a request is tried in all; 1 = no retry. Default: `retry.max_attempts`, 3.
    RunOptions& max_attempts(int attempts) {
        max_attempts_ = attempts;
        return *this;
    }
    /// How often `run_as` may send the model its invalid answer and what is wrong with it; 0 =
    /// never. Default: 1.
    RunOptions& reasks(int times) {
        reasks_ = times;
        return *this;
    }
    /// Cancels the call with CancelReason::user when stop is requested, from any thread.
    RunOptions& stop_token(std::stop_token token) {
        stop_token_ = std::move(token);
        return *this;
    }
    /// One more value that accompanies the call: seen by its coroutines, callbacks, events and log
    /// lines. Without any the calling thread's or coroutine's own context accompanies it.
    RunOptions& context(std::string key, std::any value) {
        context_ = context_.with(std::move(key), std::move(value));
        return *this;
    }
    RunOptions& context(ContextMap context) {
        context_ = std::move(context);
        return *this;
    }
    /// Lets a blocking call block another loop's thread (default: WouldDeadlock). A chain of such
    /// calls that would wait for itself is still refused.
    RunOptions& allow_blocking_loop(bool allow = true) {
        allow_blocking_loop_ = allow;
        return *this;
    }

    std::optional<std::chrono::milliseconds> timeout() const noexcept {
        return timeouts_.limit(Stage::total);
    }
    const Timeouts& timeouts() const noexcept { return timeouts_; }
    std::optional<int> max_attempts() const noexcept { return max_attempts_; }
    int reasks() const noexcept { return reasks_; }
    const std::stop_token& stop_token() const noexcept { return stop_token_; }
    const ContextMap& context() const noexcept { return context_; }
    bool allow_blocking_loop() const noexcept { return allow_blocking_loop_; }

private:
    Timeouts timeouts_;
    std::optional<int> max_attempts_;
    std::stop_token stop_token_;
    ContextMap context_;
    bool allow_blocking_loop_ = false;
    int reasks_ = 1;
};

}  // namespace llmproc
