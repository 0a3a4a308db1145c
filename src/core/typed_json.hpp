/// @file
/// JSON and JSON Schema of C++ types, from their nodes.
#pragma once

#include <llmproc/detail/type_node.hpp>

#include <string>
#include <string_view>

namespace llmproc::detail {

enum class SchemaForm {
    plain,   ///< What `write_json` writes.
    answer,  ///< An object always, and one that names all members: maps are lists of entries.
};

std::string write_schema(const TypeNode& type, SchemaForm form);

/// Whether an answer of this type stands in `{"value": ...}`, since answers are objects.
bool is_wrapped(const TypeNode& type) noexcept;
/// Reads what follows `write_schema(type, SchemaForm::answer)`. Throws as `read_json`.
void read_answer(const TypeNode& type, void* value, std::string_view text);

/// What JSON of the type is, for messages: "an integer from 0 to 255".
std::string described(const TypeNode& type);

/// The member that `is_wrapped` means.
inline constexpr std::string_view wrapping_member = "value";
// Maps are objects, or arrays of objects with these members where a schema must name all members.
inline constexpr std::string_view entry_key = "key";
inline constexpr std::string_view entry_value = "value";

/// The node of what `type` says it is.
template <typename Node>
const Node& as(const TypeNode& type) noexcept {
    return static_cast<const Node&>(type);
}

}  // namespace llmproc::detail
