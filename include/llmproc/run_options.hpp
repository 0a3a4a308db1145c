/// @file
/// Options of one call.
#pragma once

#include <llmproc/export.hpp>

#include <chrono>
#include <optional>
#include <stop_token>
#include <utility>

namespace llmproc {

/// Options of one call; each setter returns the object: `RunOptions().timeout(30s)`.
class RunOptions {
public:
    RunOptions() = default;

    /// Bounds the whole call, waiting for earlier runs included; zero or less fails at once.
    /// Default: `connection.timeout` of the program, 600 s.
    RunOptions& timeout(std::chrono::milliseconds limit) {
        timeout_ = limit;
        return *this;
    }
    /// Cancels the call with CancelReason::user when stop is requested, from any thread.
    RunOptions& stop_token(std::stop_token token) {
        stop_token_ = std::move(token);
        return *this;
    }

    std::optional<std::chrono::milliseconds> timeout() const noexcept { return timeout_; }
    const std::stop_token& stop_token() const noexcept { return stop_token_; }

private:
    std::optional<std::chrono::milliseconds> timeout_;
    std::stop_token stop_token_;
};

}  // namespace llmproc
