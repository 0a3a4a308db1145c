/// @file
/// Options of one call.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/timeouts.hpp>

#include <chrono>
#include <optional>
#include <stop_token>
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
    /// Cancels the call with CancelReason::user when stop is requested, from any thread.
    RunOptions& stop_token(std::stop_token token) {
        stop_token_ = std::move(token);
        return *this;
    }

    std::optional<std::chrono::milliseconds> timeout() const noexcept {
        return timeouts_.limit(Stage::total);
    }
    const Timeouts& timeouts() const noexcept { return timeouts_; }
    std::optional<int> max_attempts() const noexcept { return max_attempts_; }
    const std::stop_token& stop_token() const noexcept { return stop_token_; }

private:
    Timeouts timeouts_;
    std::optional<int> max_attempts_;
    std::stop_token stop_token_;
};

}  // namespace llmproc
