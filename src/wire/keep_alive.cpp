#include "wire/keep_alive.hpp"

#include "wire/field_text.hpp"

#include <algorithm>
#include <limits>

namespace llmproc::wire {

namespace {

constexpr std::uint32_t ten_years = 10U * 365U * 24U * 3600U;  // In seconds.

/// Digits, perhaps with a fraction, perhaps in quotes; too large a number is the largest.
std::optional<std::uint32_t> number(std::string_view text) noexcept {
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
        text = trimmed(text.substr(1, text.size() - 2));
    }
    constexpr std::uint64_t largest = std::numeric_limits<std::uint32_t>::max();
    const std::string_view whole = text.substr(0, text.find('.'));
    const std::string_view fraction = text.substr(std::min(whole.size() + 1, text.size()));
    if (whole.empty() || !std::all_of(fraction.begin(), fraction.end(), is_digit)) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    for (const char c : whole) {
        if (!is_digit(c)) {
            return std::nullopt;
        }
        value = std::min(value * 10 + static_cast<std::uint64_t>(c - '0'), largest);
    }
    return static_cast<std::uint32_t>(value);
}

template <class Value>
void reduce(std::optional<Value>& known, Value said) noexcept {
    known = known ? std::min(*known, said) : said;
}

void read_parameter(std::string_view text, KeepAlive& hint) noexcept {
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) {
        return;
    }
    const std::string_view name = trimmed(text.substr(0, equals));
    const std::optional<std::uint32_t> value = number(trimmed(text.substr(equals + 1)));
    if (!value) {
        return;
    }
    if (same_word(name, "timeout")) {
        reduce(hint.timeout, std::chrono::seconds(std::min(*value, ten_years)));
    } else if (same_word(name, "max")) {
        reduce(hint.max, *value);
    }
}

}  // namespace

KeepAlive parse_keep_alive(std::string_view value) noexcept {
    KeepAlive hint;
    while (!value.empty()) {
        const std::size_t end = std::min(value.find_first_of(",;"), value.size());
        read_parameter(value.substr(0, end), hint);
        value.remove_prefix(std::min(end + 1, value.size()));
    }
    return hint;
}

}  // namespace llmproc::wire
