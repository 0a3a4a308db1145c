#include "core/json_token.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <system_error>

namespace llmproc {

namespace {

/// Four digits that were validated before.
std::uint32_t hex4(const char* digits) noexcept {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
        value = value * 16 + static_cast<std::uint32_t>(hex_value(digits[i]));
    }
    return value;
}

void append_utf8(std::string& out, std::uint32_t code_point) {
    const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xc0 | (code_point >> 6));
        put(0x80 | (code_point & 0x3f));
    } else if (code_point < 0x10000) {
        put(0xe0 | (code_point >> 12));
        put(0x80 | ((code_point >> 6) & 0x3f));
        put(0x80 | (code_point & 0x3f));
    } else {
        put(0xf0 | (code_point >> 18));
        put(0x80 | ((code_point >> 12) & 0x3f));
        put(0x80 | ((code_point >> 6) & 0x3f));
        put(0x80 | (code_point & 0x3f));
    }
}

/// Decodes the \uXXXX at `at` (on its backslash) with its second half, if it has one; returns
/// the place behind it.
std::size_t append_unicode_escape(std::string& out, std::string_view content, std::size_t at) {
    constexpr std::uint32_t replacement = 0xfffd;
    std::uint32_t code_point = hex4(content.data() + at + 2);
    at += 6;
    if (code_point >= 0xdc00 && code_point <= 0xdfff) {
        code_point = replacement;
    } else if (code_point >= 0xd800 && code_point <= 0xdbff) {
        std::uint32_t low = 0;
        if (content.size() - at >= 6 && content[at] == '\\' && content[at + 1] == 'u') {
            low = hex4(content.data() + at + 2);
        }
        if (low >= 0xdc00 && low <= 0xdfff) {
            code_point = 0x10000 + ((code_point - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
        } else {
            code_point = replacement;
        }
    }
    append_utf8(out, code_point);
    return at;
}

char short_escape(char letter) noexcept {
    switch (letter) {
        case 'b': return '\b';
        case 'f': return '\f';
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        default: return letter;
    }
}

/// Whether a number that double cannot hold is too large rather than too small: the decimal
/// exponent of its first digit that is not 0.
bool is_huge(std::string_view number) noexcept {
    const std::size_t exponent_at = number.find_first_of("eE");
    std::string_view mantissa = number.substr(0, exponent_at);
    long long exponent = 0;
    if (exponent_at != std::string_view::npos) {
        std::string_view digits = number.substr(exponent_at + 1);
        if (digits.front() == '+') {
            digits.remove_prefix(1);
        }
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
        if (parsed.ec != std::errc()) {
            return digits.front() != '-';
        }
    }
    // Beyond any length of the digits, and the sum stays in range.
    constexpr long long farthest = 1LL << 62;
    exponent = std::clamp(exponent, -farthest, farthest);
    const std::size_t point = std::min(mantissa.find('.'), mantissa.size());
    const std::size_t leading = mantissa.find_first_of("123456789");
    return static_cast<long long>(point) - static_cast<long long>(leading) + exponent > 0;
}

}  // namespace

void append_unescaped(std::string& out, std::string_view content) {
    std::size_t at = 0;
    for (;;) {
        const std::size_t escape = content.find('\\', at);
        out.append(content, at, escape - at);
        if (escape == std::string_view::npos) {
            return;
        }
        if (content[escape + 1] == 'u') {
            at = append_unicode_escape(out, content, escape);
        } else {
            out.push_back(short_escape(content[escape + 1]));
            at = escape + 2;
        }
    }
}

double to_double(std::string_view number) noexcept {
    double value = 0;
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), value);
    if (parsed.ec == std::errc() && std::isfinite(value)) {
        return value;
    }
    if (is_huge(number)) {
        return std::numeric_limits<double>::infinity();
    }
    return number.front() == '-' ? -0.0 : 0.0;
}

}  // namespace llmproc
