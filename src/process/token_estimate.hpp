/// @file
/// How many tokens a text is likely to be.
#pragma once

#include <algorithm>
#include <cstdint>

namespace llmproc {

/// Most tokenizers need one token for about four bytes of English text.
inline constexpr std::int64_t bytes_per_token = 4;

/// A limit of tokens, less where sums of such limits would overflow.
constexpr std::int64_t summable_tokens(std::int64_t limit) noexcept {
    constexpr std::int64_t most = std::int64_t{1} << 48;
    return std::clamp<std::int64_t>(limit, 0, most);
}

}  // namespace llmproc
