/// @file
/// Members of JSON objects as exact text.
#pragma once

#include <llmproc/raw_json.hpp>
#include "core/json_reader.hpp"
#include "core/json_writer.hpp"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

/// Members of an object in order, values as exact text. Lifetime: views into `object`.
using Members = std::vector<std::pair<std::string, std::string_view>>;
Members read_members(std::string_view object);
/// Writes the members of `object` into the open object; none if the text is empty.
void write_members(JsonWriter& json, std::string_view object);
/// Whether the text is one JSON value of that kind, nested at most so deep.
bool is_json(std::string_view text, JsonKind kind, unsigned max_depth = 512);
bool has_member(const Members& members, std::string_view name);
/// The members of `object` that are among `names`; what is no object is given back as it is.
RawJson kept_members(const RawJson& object, std::span<const std::string_view> names);

/// The JSON object `body` with the members of `extra` in place of those of the same name.
std::string merge_members(std::string_view body, std::string_view extra);

}  // namespace llmproc::providers
