/// @file
/// What the two halves of the messages' JSON form share.
#pragma once

#include <string_view>

namespace llmproc {

/// Whether this JSON value, as a content block, would be read as an UnknownBlock of its own text:
/// an object whose "type" is a string that names no known kind.
bool reads_as_unknown(std::string_view block);

}  // namespace llmproc
