/// @file
/// "Did you mean": the known name closest to what was written.
#pragma once

#include "program/config_field.hpp"

#include <cstddef>
#include <string_view>
#include <vector>

namespace llmproc {

/// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
std::size_t edit_distance(std::string_view left, std::string_view right);

/// The candidate within two edits (one for short words), or one that begins with `word` or that
/// `word` begins with; empty if nothing is close.
std::string_view closest(std::string_view word, const std::vector<std::string_view>& candidates);

/// Refuses the key of `field`, which is called `name` in its table; `known` are those that the table
/// may have, and `document` lists them.
[[noreturn]] void fail_unknown_key(
    const ConfigField& field,
    std::string_view name,
    const std::vector<std::string_view>& known,
    std::string_view document
);

}  // namespace llmproc
