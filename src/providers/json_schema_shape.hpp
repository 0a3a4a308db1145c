/// @file
/// JSON Schemas rewritten into what a provider takes; only where that is asked for.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/raw_json.hpp>
#include "core/json_writer.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace llmproc::providers {

/// Whose rules a schema shall follow.
enum class SchemaRules {
    /// OpenAI's strict mode: objects are closed, all properties required (optional ones may be
    /// null instead), $ref and recursion stay. Source: "Structured Outputs", supported schemas.
    openai_strict,
    /// Anthropic's structured output and strict tools: objects are closed, $ref stays, recursion
    /// is an error. Source: "Structured outputs", JSON Schema limitations.
    anthropic,
    /// Gemini's fields for JSON Schema: $ref replaced, oneOf as anyOf.
    gemini,
};

/// The schema by those rules, in the order of its members and with its numbers as they stand.
///
/// Constraints that the provider does not know (lengths, patterns, ...) move into the description,
/// where the model still reads them. `what` names the schema in errors.
/// Throws LLMError: not_supported naming rule, place and remedy for what cannot be said; a schema
/// that grows without bound too. invalid_argument for what is no JSON.
std::string shape_schema(const RawJson& schema, SchemaRules rules, std::string_view what);

/// Writes the schema, shaped where `adapt` asks for it, else as it is.
void write_schema(
    JsonWriter& json,
    const RawJson& schema,
    std::optional<bool> adapt,
    SchemaRules rules,
    std::string_view what
);
/// The same for a tool: only a strict one is held to rules.
void write_tool_schema(
    JsonWriter& json,
    const ToolSpec& tool,
    std::optional<bool> adapt,
    SchemaRules rules
);
/// How errors name the schema of the answer.
inline constexpr std::string_view response_schema_name = "parameters.response_schema";

}  // namespace llmproc::providers
