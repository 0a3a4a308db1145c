#include "wire/rate_limit_headers.hpp"

#include "wire/field_text.hpp"
#include "wire/http_time.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>

namespace llmproc::wire {
namespace {

using std::chrono::microseconds;
using std::chrono::system_clock;

/// Removes `prefix` (lower case) from the front of a header's name, in any case.
bool take_prefix(std::string_view& name, std::string_view prefix) noexcept {
    if (name.size() < prefix.size()) {
        return false;
    }
    const bool same = std::equal(prefix.begin(), prefix.end(), name.begin(), [](char a, char b) {
        return a == lower(b);
    });
    if (same) {
        name.remove_prefix(prefix.size());
    }
    return same;
}

/// The same at its end.
bool take_suffix(std::string_view& name, std::string_view suffix) noexcept {
    if (name.size() < suffix.size()) {
        return false;
    }
    std::string_view end = name.substr(name.size() - suffix.size());
    if (!take_prefix(end, suffix)) {
        return false;
    }
    name.remove_suffix(suffix.size());
    return true;
}

bool is(std::string_view name, std::string_view expected) noexcept {
    return take_prefix(name, expected) && name.empty();
}

/// Digits at the front of a text, which are then removed; nothing unless there are exactly `count`.
std::optional<int> take_digits(std::string_view& text, std::size_t count) noexcept {
    if (text.size() < count) {
        return std::nullopt;
    }
    int value = 0;
    for (const char c : text.substr(0, count)) {
        if (c < '0' || c > '9') {
            return std::nullopt;
        }
        value = value * 10 + (c - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take_one_of(std::string_view& text, std::string_view allowed) noexcept {
    const bool good = !text.empty() && allowed.find(text.front()) != std::string_view::npos;
    if (good) {
        text.remove_prefix(1);
    }
    return good;
}

/// "12:34" in minutes.
std::optional<std::chrono::minutes> take_hours_minutes(std::string_view& text) noexcept {
    const auto hours = take_digits(text, 2);
    const bool colon = take_one_of(text, ":");
    const auto minutes = take_digits(text, 2);
    if (!hours || !colon || !minutes || *hours > 23 || *minutes > 59) {
        return std::nullopt;
    }
    return std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
}

std::optional<std::chrono::sys_days> take_date(std::string_view& text) noexcept {
    const auto year = take_digits(text, 4);
    const bool first = take_one_of(text, "-");
    const auto month = take_digits(text, 2);
    const bool second = take_one_of(text, "-");
    const auto day = take_digits(text, 2);
    if (!year || !first || !month || !second || !day || *year < 1970 || *year > 2200) {
        return std::nullopt;
    }
    const std::chrono::year_month_day date{
        std::chrono::year(*year),
        std::chrono::month(static_cast<unsigned>(*month)),
        std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) {
        return std::nullopt;
    }
    return std::chrono::sys_days(date);
}

/// ":59.123" as time; nothing if there are no seconds or the point has no digits.
std::optional<microseconds> take_seconds(std::string_view& text) noexcept {
    const bool colon = take_one_of(text, ":");
    const auto seconds = take_digits(text, 2);
    if (!colon || !seconds || *seconds > 60) {  // 60 is a leap second.
        return std::nullopt;
    }
    microseconds time = std::chrono::seconds(*seconds);
    if (!take_one_of(text, ".")) {
        return time;
    }
    microseconds unit(100'000);
    auto digit = take_digits(text, 1);
    if (!digit) {
        return std::nullopt;
    }
    for (; digit; digit = take_digits(text, 1)) {
        time += *digit * unit;
        unit /= 10;
    }
    return time;
}

std::optional<std::chrono::minutes> take_offset(std::string_view& text) noexcept {
    if (take_one_of(text, "Zz")) {
        return std::chrono::minutes(0);
    }
    const bool west = text.starts_with('-');
    if (!take_one_of(text, "+-")) {
        return std::nullopt;
    }
    const auto offset = take_hours_minutes(text);
    if (!offset) {
        return std::nullopt;
    }
    return west ? -*offset : *offset;
}

std::optional<std::int64_t> parse_count(std::string_view text) noexcept {
    text = trimmed(text);
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (text.empty() || parsed.ec != std::errc() || parsed.ptr != end || value < 0) {
        return std::nullopt;
    }
    return value;
}

/// Reads the headers in one pass: answers carry some twenty, most of them of no interest here.
class Collector {
public:
    Collector(const Headers& headers, system_clock::time_point now) noexcept
        : headers_(headers),
          now_(now) {}

    RateLimitInfo collect() {
        for (const auto& [name, value] : headers_) {
            std::string_view rest = name;
            if (take_prefix(rest, "x-ratelimit-")) {
                openai(rest, value);
            } else if (take_prefix(rest, "anthropic-ratelimit-")) {
                anthropic(rest, value);
            }
        }
        RateLimitInfo info;
        info.requests = scarcest(windows_[openai_requests], windows_[anthropic_requests]);
        info.tokens = scarcest(windows_[openai_tokens], windows_[anthropic_tokens]);
        info.tokens = scarcest(info.tokens, windows_[anthropic_input]);
        info.tokens = scarcest(info.tokens, windows_[anthropic_output]);
        return info;
    }

private:
    enum Budget : std::size_t {
        openai_requests,
        openai_tokens,
        anthropic_requests,
        anthropic_tokens,
        anthropic_input,
        anthropic_output,
        budgets
    };

    /// "remaining-tokens"
    void openai(std::string_view rest, std::string_view value) {
        if (take_suffix(rest, "-requests")) {
            field(windows_[openai_requests], rest, value);
        } else if (take_suffix(rest, "-tokens")) {
            field(windows_[openai_tokens], rest, value);
        }
    }

    /// "tokens-remaining"
    void anthropic(std::string_view rest, std::string_view value) {
        if (take_prefix(rest, "requests-")) {
            field(windows_[anthropic_requests], rest, value);
        } else if (take_prefix(rest, "tokens-")) {
            field(windows_[anthropic_tokens], rest, value);
        } else if (take_prefix(rest, "input-tokens-")) {
            field(windows_[anthropic_input], rest, value);
        } else if (take_prefix(rest, "output-tokens-")) {
            field(windows_[anthropic_output], rest, value);
        }
    }

    /// Of repeated headers the first that can be read counts.
    void field(RateLimitWindow& window, std::string_view which, std::string_view value) {
        if (!window.limit && is(which, "limit")) {
            window.limit = parse_count(value);
        } else if (!window.remaining && is(which, "remaining")) {
            window.remaining = parse_count(value);
        } else if (!window.reset && is(which, "reset")) {
            window.reset = parse_reset(trimmed(value));
        }
    }

    std::optional<microseconds> parse_reset(std::string_view text) const {
        if (const auto duration = parse_go_duration(text)) {
            return duration;
        }
        const auto time = parse_rfc3339(text);
        if (!time) {
            return std::nullopt;
        }
        const auto date = headers_.get("date");
        const auto sent = date ? parse_http_date(trimmed(*date), now_) : std::nullopt;
        const auto left = std::chrono::ceil<microseconds>(*time - sent.value_or(now_));
        return std::max(left, microseconds(0));
    }

    /// The window that will be the first to stop us.
    static const RateLimitWindow& scarcest(const RateLimitWindow& a, const RateLimitWindow& b) {
        if (!a.remaining || !b.remaining) {
            return a.remaining || !b.known() ? a : b;
        }
        if (*a.remaining != *b.remaining) {
            return *a.remaining < *b.remaining ? a : b;
        }
        return a.reset >= b.reset ? a : b;
    }

    const Headers& headers_;
    system_clock::time_point now_;
    std::array<RateLimitWindow, budgets> windows_;
};

}  // namespace

std::optional<system_clock::time_point> parse_rfc3339(std::string_view text) {
    const auto date = take_date(text);
    const bool separated = take_one_of(text, "Tt ");
    const auto hours_minutes = take_hours_minutes(text);
    const auto seconds = take_seconds(text);
    const auto offset = take_offset(text);
    if (!date || !separated || !hours_minutes || !seconds || !offset || !text.empty()) {
        return std::nullopt;
    }
    return *date + *hours_minutes + *seconds - *offset;
}

RateLimitInfo parse_rate_limits(const Headers& headers, system_clock::time_point now) {
    return Collector(headers, now).collect();
}

}  // namespace llmproc::wire
