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
std::vector<KeyRow> spending_rows();

std::vector<KeyRow> tool_rows();

/// The table [model.rules]: its keys are the members of ModelRules.
void set_model_rules(ProgramDraft& draft, const ConfigField& field);
/// "off", "adaptive" or a number of tokens.
void set_thinking(ProgramDraft& draft, const ConfigField& field);
/// An array of names, and tables of a `kind` and the provider's own options.
void set_hosted_tools(ProgramDraft& draft, const ConfigField& field);

/// The value as the name of an environment variable; may be empty.
/// Throws ConfigError with `problem`; the value is not shown, it may be a secret.
const std::string& variable_name(const ConfigField& field, const std::string& problem);

}  // namespace llmproc
