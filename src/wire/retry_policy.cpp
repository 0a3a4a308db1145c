#include "wire/retry_policy.hpp"

#include "wire/field_text.hpp"
#include "wire/http_time.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <system_error>

namespace llmproc::wire {
namespace {

using std::chrono::microseconds;
using std::chrono::system_clock;

constexpr double max_hint_us = 10.0 * 366.0 * 86400e6;

// JavaScript's parseFloat, which the SDK applies: the longest number at the front counts, so
// "5 s" is 5 and "0x10" is 0. Infinity comes back as infinity, no number as nothing.
std::optional<double> parse_leading_number(std::string_view text) noexcept {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) {
        text.remove_prefix(1);
    }
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (text.starts_with("Infinity")) {
        return negative ? -infinity : infinity;
    }
    // from_chars also takes inf and nan in any case, which parseFloat does not.
    if (text.empty() || (text.front() != '.' && (text.front() < '0' || text.front() > '9'))) {
        return std::nullopt;
    }
    double number = 0.0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec == std::errc::result_out_of_range) {
        number = infinity;
    } else if (parsed.ec != std::errc()) {
        return std::nullopt;
    }
    return negative ? -number : number;
}

std::optional<microseconds> usable(double us) noexcept {
    if (!std::isfinite(us) || us < 0.0 || us > max_hint_us) {
        return std::nullopt;
    }
    return microseconds(std::llround(us));
}

bool is_retryable_status(int status) noexcept {
    return status == 408 || status == 409 || status == 429 || status >= 500;
}

bool is_quota_code(std::string_view code) noexcept {
    return code == "insufficient_quota" || code == "credit_balance_exhausted";
}

RetryReason classify(const Failure& failure) {
    const auto wish = failure.headers != nullptr ? failure.headers->get("x-should-retry")
                                                 : std::nullopt;
    if (wish) {
        const auto value = trimmed(*wish);
        if (value == "true") {
            return RetryReason::server_asks;
        }
        if (value == "false") {
            return RetryReason::server_forbids;
        }
    }
    if (failure.status) {
        return is_retryable_status(*failure.status) ? RetryReason::retryable_status
                                                    : RetryReason::not_retryable;
    }
    return failure.connection_error ? RetryReason::connection_error : RetryReason::not_retryable;
}

bool is_worth_retrying(RetryReason reason) noexcept {
    return reason == RetryReason::server_asks || reason == RetryReason::retryable_status ||
           reason == RetryReason::connection_error;
}

}  // namespace

std::string_view to_string(RetryReason reason) noexcept {
    switch (reason) {
        case RetryReason::retryable_status: return "retryable status";
        case RetryReason::server_asks: return "the server asks for it";
        case RetryReason::connection_error: return "connection error";
        case RetryReason::delivered: return "part of the answer was delivered";
        case RetryReason::quota: return "quota exhausted";
        case RetryReason::attempts_exhausted: return "attempts exhausted";
        case RetryReason::server_forbids: return "the server forbids it";
        case RetryReason::not_retryable: return "not retryable";
    }
    return "unknown";
}

std::optional<microseconds> retry_after_hint(const Headers& headers, system_clock::time_point now) {
    if (const auto header = headers.get("retry-after-ms")) {
        // Only text that is no number at all lets the other header speak.
        if (const auto number = parse_leading_number(trimmed(*header))) {
            return usable(*number * 1e3);
        }
    }
    const auto header = headers.get("retry-after");
    if (!header) {
        return std::nullopt;
    }
    const auto text = trimmed(*header);
    if (const auto number = parse_leading_number(text)) {
        return usable(*number * 1e6);
    }
    const auto date = parse_http_date(text, now);
    if (!date || *date < now) {
        return std::nullopt;
    }
    const std::chrono::duration<double, std::micro> wait = *date - now;
    return usable(wait.count());
}

microseconds backoff(const RetryPolicy& policy, int retries_done, double random01) {
    const double initial = std::max(0.0, static_cast<double>(policy.initial_delay.count())) * 1e3;
    const double longest = std::max(0.0, static_cast<double>(policy.max_delay.count())) * 1e3;
    // 2^60 times a millisecond is past any limit already.
    const double grown = std::min(std::ldexp(initial, std::clamp(retries_done, 0, 60)), longest);
    // Written so that NaN counts as 0, too.
    const double chance = random01 > 0.0 ? std::min(random01, 1.0) : 0.0;
    const double span = policy.jitter == Jitter::full ? 1.0 : 0.25;
    const double wait = std::min(grown * (1.0 - span * chance), max_hint_us);
    return microseconds(std::llround(wait));
}

RetryDecision decide(
    const RetryPolicy& policy,
    const Failure& failure,
    double random01,
    system_clock::time_point now
) {
    if (failure.delivered) {
        return RetryDecision(RetryReason::delivered);
    }
    if (is_quota_code(failure.provider_code)) {
        return RetryDecision(RetryReason::quota);
    }
    RetryDecision decision(classify(failure));
    if (!is_worth_retrying(decision.reason)) {
        return decision;
    }
    if (failure.attempt >= policy.max_attempts) {
        return RetryDecision(RetryReason::attempts_exhausted);
    }
    decision.retry = true;
    if (failure.headers != nullptr) {
        const auto hint = retry_after_hint(*failure.headers, now);
        if (hint && *hint <= policy.max_retry_after) {
            decision.delay = *hint;
            decision.hinted = true;
            return decision;
        }
    }
    decision.delay = backoff(policy, failure.attempt - 1, random01);
    return decision;
}

}  // namespace llmproc::wire
