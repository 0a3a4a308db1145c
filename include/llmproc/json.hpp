/// @file
/// The JSON type in full. Heavy: include it only where documents are built or read.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/json_fwd.hpp>
#include <llmproc/raw_json.hpp>

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace llmproc {

/// Parses one JSON value. Throws LLMError{invalid_json} naming the offset.
LLMPROC_API Json parse_json(std::string_view text);
/// One line of JSON text; invalid UTF-8 is replaced by U+FFFD.
LLMPROC_API std::string dump_json(const Json& document);

}  // namespace llmproc
