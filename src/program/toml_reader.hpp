/// @file
/// TOML text to values with places; the only user of toml++.
#pragma once

#include "program/config_value.hpp"

#include <string>
#include <string_view>

namespace llmproc {

/// The document's members in the order of the text. `name` stands for the file in errors.
/// Throws ConfigError with the place for what is not TOML 1.0 and for nesting beyond 128 levels.
ConfigTable read_toml(std::string_view text, const std::string& name);

}  // namespace llmproc
