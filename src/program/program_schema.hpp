/// @file
/// The keys of a program file: one row each.
#pragma once

#include <llmproc/error.hpp>
#include "program/config_field.hpp"
#include "program/program_settings.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc {

/// What the rows fill, before the keys are checked against each other. A fallback has one of its
/// own, which the rows of [model] and [parameters] fill.
struct ProgramDraft {
    ProgramSettings settings;
    std::string provider;
    std::string base_url;
    bool allow_inline_key = false;
    std::optional<ConfigPlace> credential_header;  ///< A header that carries a key.
    /// The places of the keys that were given, by their canonical names; sections too.
    std::map<std::string, ConfigPlace, std::less<>> given;

    bool is_fallback = false;
    std::vector<ProgramDraft> fallbacks;

    /// The place of a key that was given, or nullptr.
    const ConfigPlace* find(std::string_view key) const;
    /// The key or table as the file has it: those of a fallback are below "model.fallback".
    std::string written(std::string_view key) const;
};

/// One key that is known.
struct KeyRow {
    std::string_view key;       ///< "table.key", or "table" for a table of a later version.
    std::string_view alias_of;  ///< The key it is another name of; empty = none.
    /// Checks the value and keeps it; nullptr = alias, or known but not yet available.
    void (*set)(ProgramDraft& draft, const ConfigField& field);
    std::string_view hint;  ///< What to do until it is available.
};

/// All rows; docs/program_file.md describes them in the same order.
const std::vector<KeyRow>& key_rows();

/// A [[model.fallback]] with what it takes from [model]: without a provider of its own all that is
/// not the model's alone and not set anew. An address of its own does not get the key. Pure.
ConfigTable with_inherited(const ConfigTable& fallback, const ConfigTable& model);

/// Fills `draft` from a document.
/// Throws ConfigError for the first key, in the order of the text, that is unknown, not yet
/// available, given twice, or has a wrong value.
void apply_rows(const ConfigTable& document, const ConfigSource& source, ProgramDraft& draft);

}  // namespace llmproc
