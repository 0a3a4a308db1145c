/// @file
/// A budget per minute: pure, with the clock passed in.
#pragma once

#include "wire/rate_limit_headers.hpp"

#include <chrono>
#include <cstdint>

namespace llmproc::wire {

/// Fills evenly and holds one minute's worth; starts full. So no stretch of `m` minutes sees more
/// than `m` + 1 times the limit taken. What is larger than the whole bucket may be taken when it is
/// full; the debt is then paid off before anything else. A limit of 0 is none: then only the
/// provider's word counts, and only when it says that nothing remains.
///
/// A clock that goes back a little, as between threads, does no harm.
class TokenBucket {
public:
    using Clock = std::chrono::steady_clock;

    /// The longest wait for a provider's reset; a budget per day would have us wait for hours
    /// where a try a minute tells the truth.
    static constexpr std::chrono::seconds max_hold{60};

    /// Negative limits count as 0.
    TokenBucket(std::int64_t per_minute, Clock::time_point now) noexcept;

    std::int64_t limit() const noexcept { return limit_; }
    /// Another limit; what has been used stays used.
    void set_limit(std::int64_t per_minute, Clock::time_point now) noexcept;

    /// What could be taken now, rounded down; negative = debt, the largest number = no limit.
    std::int64_t available(Clock::time_point now) const noexcept;
    /// How long until `n` can be taken if nobody else takes anything; 0 = now.
    Clock::duration time_until(std::int64_t n, Clock::time_point now) const noexcept;
    /// Takes `n`, or nothing and returns false.
    bool take(std::int64_t n, Clock::time_point now) noexcept;
    /// The actual use was larger than what was taken, by `difference`; or smaller, if negative.
    void correct(std::int64_t difference, Clock::time_point now) noexcept;
    /// What the provider sees: it lowers what we think remains and never raises it. When nothing
    /// remains nothing can be taken until the reset.
    void observe(const RateLimitWindow& window, Clock::time_point now) noexcept;

    /// Whether nothing would be lost with this bucket: it is full and waits for no reset.
    bool untouched(Clock::time_point now) const noexcept;

private:
    double level(Clock::time_point now) const noexcept;
    void set_level(double level, Clock::time_point now) noexcept;

    std::int64_t limit_;
    double burst_;  ///< Size: the limit, or less if the provider's own is smaller.
    double level_;  ///< At `measured_`.
    Clock::time_point measured_;
    Clock::time_point hold_until_ = Clock::time_point::min();
};

}  // namespace llmproc::wire
