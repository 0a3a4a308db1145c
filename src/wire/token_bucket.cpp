#include "wire/token_bucket.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmproc::wire {
namespace {

using std::chrono::nanoseconds;

constexpr double minute_ns = 60e9;
/// Far above the rounding of what is added up, far below one token.
constexpr double slack = 1e-6;
/// In minutes: who is that wrong must not be locked out for ever.
constexpr double max_debt = 60.0;

}  // namespace

TokenBucket::TokenBucket(std::int64_t per_minute, Clock::time_point now) noexcept
    : limit_(std::max<std::int64_t>(per_minute, 0)),
      burst_(static_cast<double>(limit_)),
      level_(burst_),
      measured_(now) {}

void TokenBucket::set_limit(std::int64_t per_minute, Clock::time_point now) noexcept {
    const double used = std::max(burst_ - level(now), 0.0);
    limit_ = std::max<std::int64_t>(per_minute, 0);
    burst_ = static_cast<double>(limit_);
    set_level(burst_ - used, now);
}

double TokenBucket::level(Clock::time_point now) const noexcept {
    const auto passed = std::max(nanoseconds(now - measured_), nanoseconds(0));
    const double gained = static_cast<double>(passed.count()) * static_cast<double>(limit_) /
                          minute_ns;
    return std::min(level_ + gained, burst_);
}

void TokenBucket::set_level(double level, Clock::time_point now) noexcept {
    level_ = std::clamp(level, -max_debt * static_cast<double>(limit_), burst_);
    measured_ = std::max(measured_, now);
}

std::int64_t TokenBucket::available(Clock::time_point now) const noexcept {
    const bool held = now < hold_until_;
    if (limit_ == 0) {
        return held ? 0 : std::numeric_limits<std::int64_t>::max();
    }
    const auto left = static_cast<std::int64_t>(std::floor(level(now) + slack));
    return held ? std::min<std::int64_t>(left, 0) : left;
}

TokenBucket::Clock::duration TokenBucket::time_until(std::int64_t n, Clock::time_point now)
    const noexcept {
    const Clock::duration held = now < hold_until_ ? hold_until_ - now : Clock::duration(0);
    if (limit_ == 0) {
        return held;
    }
    const double wanted = std::min(static_cast<double>(std::max<std::int64_t>(n, 0)), burst_);
    const double missing = wanted - level(now);
    if (missing <= slack) {
        return held;
    }
    const double wait = std::ceil(missing * minute_ns / static_cast<double>(limit_));
    return std::max<Clock::duration>(held, nanoseconds(std::llround(wait)));
}

bool TokenBucket::take(std::int64_t n, Clock::time_point now) noexcept {
    if (time_until(n, now) > Clock::duration(0)) {
        return false;
    }
    correct(std::max<std::int64_t>(n, 0), now);
    return true;
}

void TokenBucket::correct(std::int64_t difference, Clock::time_point now) noexcept {
    if (limit_ != 0) {
        set_level(level(now) - static_cast<double>(difference), now);
    }
}

void TokenBucket::observe(const RateLimitWindow& window, Clock::time_point now) noexcept {
    if (window.exhausted()) {
        // Never shortened: while we hold, only answers to older requests come in.
        const auto hold = std::min<Clock::duration>(*window.reset, max_hold);
        hold_until_ = std::max(hold_until_, now + hold);
    }
    if (limit_ == 0) {
        return;
    }
    const double own = level(now);
    if (window.limit && *window.limit > 0) {
        burst_ = static_cast<double>(std::min(limit_, *window.limit));
    }
    const double theirs = window.remaining ? static_cast<double>(*window.remaining) : own;
    set_level(std::min(own, theirs), now);
}

bool TokenBucket::untouched(Clock::time_point now) const noexcept {
    return now >= hold_until_ && level(now) + slack >= burst_;
}

}  // namespace llmproc::wire
