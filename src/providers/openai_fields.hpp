/// @file
/// Small readers that the OpenAI protocols share.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/usage.hpp>
#include "core/json_reader.hpp"

#include <string>
#include <string_view>

namespace llmproc::providers {

/// A token count, at most 2^48; anything but a positive integer counts as 0.
std::int64_t read_count(JsonReader& reader);

/// Reads a usage object; members of an unexpected kind count as absent.
Usage read_openai_usage(JsonReader& reader);

/// Meaning of a chat `finish_reason`. The presence of tool calls decides, since compatible servers
/// say "stop" beside them; a cut by length or policy stays what it is, the calls may be incomplete.
StopReason openai_stop_reason(std::string_view reason, bool has_tool_calls, bool has_refusal);

/// An id for a call that the server gave none: "call_" and 24 random letters and digits.
std::string make_tool_call_id();

/// The next value if it is a string, else an empty one; anything is consumed.
std::string read_string_or_empty(JsonReader& reader);

/// The member `name` of an object if it is a string, else an empty text; what stands behind it is
/// not looked at. Empty also for what is no object.
std::string string_member(std::string_view object, std::string_view name);

/// Arguments of a tool call as the text that they are; a server that sends an object gets its exact
/// text kept.
std::string read_arguments(JsonReader& reader);

/// Text without blanks and line ends around it.
std::string_view trimmed(std::string_view text) noexcept;

}  // namespace llmproc::providers
