/// @file
/// Whether and when to repeat a failed request: pure, with clock and chance passed in.
#pragma once

#include <llmproc/http_message.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::wire {

/// How chance shortens the backoff; `random01` = 0 always gives the longest wait.
enum class Jitter {
    full,  ///< Anything down to 0: spreads many clients best.
    sdk,   ///< Down to 75 %, as the official SDKs do.
};

/// The settings of `[retry]`. The defaults are those of the OpenAI SDK, but for the jitter.
struct RetryPolicy {
    RetryPolicy() = default;

    int max_attempts = 3;  ///< Requests in all, the first included; 1 = never retry.
    std::chrono::milliseconds initial_delay{500};
    std::chrono::milliseconds max_delay{8000};
    /// A longer hint is not obeyed; the backoff is used instead.
    std::chrono::milliseconds max_retry_after{60000};
    Jitter jitter = Jitter::full;
};

/// What is known about a request that failed.
struct Failure {
    Failure() = default;

    std::optional<int> status;         ///< HTTP status; none when no answer came.
    const Headers* headers = nullptr;  ///< The answer's headers; may be null.
    bool connection_error = false;     ///< The network failed, or a limit of a stage passed.
    std::string provider_code;         ///< The provider's own error code, or its type.
    int attempt = 1;                   ///< Which attempt failed, counted from 1.
    bool delivered = false;            ///< Part of the answer already reached the user.
};

enum class RetryReason {
    retryable_status,    ///< 408, 409, 429 or 5xx.
    server_asks,         ///< x-should-retry: true.
    connection_error,    ///< No answer came.
    delivered,           ///< Not retried: the user would see text twice.
    quota,               ///< Not retried: waiting does not pay the bill.
    attempts_exhausted,  ///< Not retried: the last attempt failed.
    server_forbids,      ///< Not retried: x-should-retry: false.
    not_retryable,       ///< Not retried: the same request would fail again.
};

/// The reason in words, e.g. "attempts exhausted".
std::string_view to_string(RetryReason reason) noexcept;

struct RetryDecision {
    RetryDecision() = default;
    explicit RetryDecision(RetryReason why) noexcept : reason(why) {}

    bool retry = false;
    std::chrono::microseconds delay{0};  ///< Wait so long first; 0 = at once.
    bool hinted = false;                 ///< The delay is the server's, not the backoff.
    RetryReason reason = RetryReason::not_retryable;
};

/// The server's wish to wait: `retry-after-ms`, else `retry-after` as seconds or HTTP date.
/// Nothing if it is missing, negative, past or no finite number; no upper bound but ten years.
std::optional<std::chrono::microseconds> retry_after_hint(
    const Headers& headers,
    std::chrono::system_clock::time_point now
);

/// The wait before the next try when the server gives no hint; `retries_done` counts from 0.
std::chrono::microseconds backoff(const RetryPolicy& policy, int retries_done, double random01);

/// Decides as the OpenAI SDK does; in addition a spent quota is never retried.
/// The SDKs disagree: after a hint above the cap OpenAI for Python gives up and Anthropic waits
/// (it has no cap); `retry-after: 0` means "at once" here, and backoff for Anthropic.
RetryDecision decide(
    const RetryPolicy& policy,
    const Failure& failure,
    double random01,
    std::chrono::system_clock::time_point now
);

}  // namespace llmproc::wire
