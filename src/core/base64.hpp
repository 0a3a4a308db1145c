/// @file
/// Base64 as RFC 4648 section 4 has it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace llmproc {

/// Encodes bytes, with padding, without line breaks.
std::string base64_encode(std::string_view bytes);

/// The bytes of a text in canonical form: padded, nothing but the alphabet, unused bits 0;
/// none if it is not that.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace llmproc
