/// @file
/// Tools that the provider runs itself, as each protocol writes them.
#pragma once

#include <llmproc/chat.hpp>
#include "core/json_writer.hpp"

#include <string_view>

namespace llmproc::providers {

/// Each writes one element of `tools`: the protocol's own entry for the kinds that HostedTool names,
/// any other kind as the provider's own type, its options as further members.
/// Throws LLMError: not_supported for a kind that the protocol has not, with the remedy;
/// invalid_argument for options that are no object.
void write_anthropic_tool(JsonWriter& json, const HostedTool& tool);
void write_responses_tool(JsonWriter& json, const HostedTool& tool);
void write_gemini_tool(JsonWriter& json, const HostedTool& tool);

/// Chat Completions searches by a member of the request, `web_search_options`; other kinds are
/// elements of `tools`, where a compatible server has some.
void write_chat_tool(JsonWriter& json, const HostedTool& tool);
bool is_chat_search(const HostedTool& tool);
/// The value of web_search_options.
void write_chat_search(JsonWriter& json, const HostedTool& tool);

}  // namespace llmproc::providers
