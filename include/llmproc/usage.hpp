/// @file
/// Token counts with one meaning for all providers.
#pragma once

#include <llmproc/export.hpp>

#include <cstdint>
#include <string_view>

namespace llmproc {

/// What a call used. Every provider's numbers are converted to this one meaning:
/// `input_tokens` includes cached reads and cache writes, `output_tokens` includes reasoning.
struct Usage {
    std::int64_t input_tokens = 0;         ///< Everything the model read.
    std::int64_t output_tokens = 0;        ///< Everything the model wrote, reasoning included.
    std::int64_t cached_input_tokens = 0;  ///< Part of input that was read from the cache.
    std::int64_t cache_write_tokens = 0;   ///< Part of input that was written to the cache.
    std::int64_t reasoning_tokens = 0;     ///< Part of output that was reasoning.
    std::int64_t total_tokens = 0;         ///< input + output, or the provider's own total.
    bool reported = false;                 ///< Whether the provider said anything at all.

    /// Sums two calls; reported if either was.
    LLMPROC_API Usage& operator+=(const Usage& other) noexcept;
    friend bool operator==(const Usage&, const Usage&) = default;
};

/// What a call cost, by a table of prices.
struct Cost {
    double usd = 0;
    friend bool operator==(const Cost&, const Cost&) = default;
};

/// Where a token count comes from.
enum class TokenSource {
    provider,    ///< The provider's own counting endpoint; exact.
    last_usage,  ///< The provider's count of the last call; what was added since is estimated.
    estimate,    ///< A local estimate from the number of bytes.
};

LLMPROC_API std::string_view to_string(TokenSource source) noexcept;

/// How many tokens the conversation would cost as input now.
struct TokenCount {
    std::int64_t input_tokens = 0;
    bool exact = false;
    TokenSource source = TokenSource::estimate;
};

}  // namespace llmproc
