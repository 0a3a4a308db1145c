/// @file
/// Tables of prices: TOML to PriceTable, and what a program makes of one.
#pragma once

#include <llmproc/cost.hpp>
#include "program/program_schema.hpp"
#include "program/program_settings.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace llmproc {

/// The text of src/program/prices.toml.
std::string_view builtin_prices_text() noexcept;

/// Reads a table. `name` stands for the file in errors.
/// Throws ConfigError for the first key, in the order of the text, that is unknown, missing, given
/// twice, or has a wrong value.
PriceTable read_prices(std::string_view text, const std::string& name);

/// The program's own table, else the built-in one. Lives as long as the pointer, never null.
std::shared_ptr<const PriceTable> prices_of(const ProgramSettings& program);

/// Throws ConfigError if costs are limited and the price of one of its models is not known.
void check_cost_limits(const ProgramDraft& draft);

}  // namespace llmproc
