/// @file
/// What a server says about how long it keeps a connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace llmproc::wire {

/// The value of a `Keep-Alive` header; what is not set was not said.
struct KeepAlive {
    KeepAlive() = default;

    std::optional<std::chrono::seconds> timeout;  ///< The server closes when idle for so long.
    std::optional<std::uint32_t> max;             ///< Further requests that it will answer.
};

/// Reads "timeout=5, max=100" (RFC 2068, 19.7.1.1; draft-thomson-hybi-http-timeout).
/// Names in any case, values bare or quoted, parted by commas or semicolons; other parameters and
/// values that are no whole number are passed over; of two the smaller counts. Fractions are cut
/// off, timeouts beyond ten years are ten years.
KeepAlive parse_keep_alive(std::string_view value) noexcept;

}  // namespace llmproc::wire
