/// @file
/// Where a provider's key comes from.
#pragma once

#include <llmproc/secret.hpp>
#include "program/program_settings.hpp"

#include <functional>
#include <optional>
#include <string>

namespace llmproc {

/// A variable of the environment, or none.
using VariableLookup = std::function<std::optional<std::string>(const std::string&)>;

/// The key: the one of the file, else of the variable, else the literal one; empty if the source
/// names none or the key is not needed and not there.
/// Throws ConfigError: missing_api_key, invalid_config (an unreadable file, a key that cannot stand
/// in a header). No text holds the key.
Secret resolve_key(const KeySource& source, const VariableLookup& variable);

}  // namespace llmproc
