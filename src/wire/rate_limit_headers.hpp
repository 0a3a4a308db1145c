/// @file
/// What a provider says about its rate limits, in the headers of its answers.
#pragma once

#include <llmproc/http_message.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace llmproc::wire {

/// One budget as the provider sees it; what is not set is unknown.
struct RateLimitWindow {
    RateLimitWindow() = default;

    std::optional<std::int64_t> limit;               ///< What there is when nothing has been used.
    std::optional<std::int64_t> remaining;           ///< What is left now.
    std::optional<std::chrono::microseconds> reset;  ///< Until all of it is there again.

    bool known() const noexcept { return limit || remaining || reset; }
    /// Nothing is left, and it is known when there will be something again.
    bool exhausted() const noexcept { return remaining == 0 && reset && reset->count() > 0; }
};

struct RateLimitInfo {
    RateLimitInfo() = default;

    RateLimitWindow requests;
    RateLimitWindow tokens;

    bool known() const noexcept { return requests.known() || tokens.known(); }
    bool exhausted() const noexcept { return requests.exhausted() || tokens.exhausted(); }
};

/// Reads `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` (OpenAI and those who copy it) and
/// `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}`.
/// Of several budgets for tokens the one with least left counts. What cannot be read is unknown.
/// A reset given as a time is held against the answer's `Date`, or `now` where that is missing, so
/// that a wrong clock does not matter.
RateLimitInfo parse_rate_limits(const Headers& headers, std::chrono::system_clock::time_point now);

/// RFC 3339: "2026-01-31T12:00:00Z", with any fraction and offset. Nothing for a year before 1970
/// or after 2200.
std::optional<std::chrono::system_clock::time_point> parse_rfc3339(std::string_view text);

}  // namespace llmproc::wire
