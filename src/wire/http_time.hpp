/// @file
/// Times as they stand in HTTP headers.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace llmproc::wire {

/// RFC 9110, 5.6.7: IMF-fixdate and the obsolete RFC 850 and asctime forms; always GMT.
/// `now` resolves the two-digit years of RFC 850.
std::optional<std::chrono::system_clock::time_point> parse_http_date(
    std::string_view text,
    std::chrono::system_clock::time_point now
);

/// A duration as OpenAI's x-ratelimit-reset headers have it: "1h2m3.5s", "120ms", "6m0s", "0".
/// Nothing for a negative, incomplete or absurd (over 10 years) one.
std::optional<std::chrono::microseconds> parse_go_duration(std::string_view text);

}  // namespace llmproc::wire
