/// @file
/// What the providers take of JSON Schema, as data.
#pragma once

#include "providers/json_schema_shape.hpp"
#include "providers/json_tree.hpp"

#include <string_view>
#include <vector>

namespace llmproc::providers {

struct SchemaDialect {
    std::string_view name;               ///< Ends the sentence "the schema has X at Y, which ...".
    std::vector<std::string_view> kept;  ///< Keywords that go over as they are.
    std::vector<std::string_view> formats;  ///< Known values of "format".
    bool closed = false;                    ///< Each object has additionalProperties: false.
    bool all_required = false;
    bool references = false;  ///< It knows $ref to $defs.
    bool recursion = false;
    bool typed = false;       ///< The root is an object and every schema has a type.
    bool limited = false;     ///< It counts properties, levels and values.
    bool some_items = false;  ///< Of minItems it knows 0 and 1 alone.
};

/// Lives for ever.
const SchemaDialect& schema_dialect(SchemaRules rules);

/// Whether the keyword goes over as it is.
bool keeps(const SchemaDialect& dialect, std::string_view keyword, const JsonTree& value);

/// Constraints on single values, which a model can follow by their words.
bool is_schema_constraint(std::string_view keyword);

}  // namespace llmproc::providers
