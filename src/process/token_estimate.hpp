/// @file
/// How many tokens a text is likely to be.
#pragma once

#include <cstdint>

namespace llmproc {

/// Most tokenizers need one token for about four bytes of English text.
inline constexpr std::int64_t bytes_per_token = 4;

}  // namespace llmproc
