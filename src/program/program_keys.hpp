/// @file
/// The rows of the key table by the tables of a program file, and what their setters share.
#pragma once

#include "program/program_schema.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace llmproc {

constexpr std::int64_t no_upper_limit = std::numeric_limits<std::int64_t>::max();

std::vector<KeyRow> connection_rows();
std::vector<KeyRow> retry_rows();
std::vector<KeyRow> rate_limit_rows();

/// The value as the name of an environment variable; may be empty.
/// Throws ConfigError with `problem`; the value is not shown, it may be a secret.
const std::string& variable_name(const ConfigField& field, const std::string& problem);

}  // namespace llmproc
