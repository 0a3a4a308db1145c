/// @file
/// What the requests of several protocols have in common.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/http_message.hpp>
#include <llmproc/message.hpp>
#include <llmproc/provider.hpp>
#include "core/json_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

/// Throws LLMError{invalid_argument}.
[[noreturn]] void invalid_request(const std::string& text);
/// Throws LLMError{not_supported}.
[[noreturn]] void part_not_supported(std::string_view what, std::string_view remedy);
/// Throws LLMError{invalid_argument}: such a block has no place in a message of that role.
[[noreturn]] void block_misplaced(std::string_view block, Role role);

/// The request's model or else the program's. Throws LLMError{invalid_argument} if neither is set.
const std::string& model_of(const ChatRequest& request, const Endpoint& endpoint);
/// Throws LLMError{invalid_argument} for a name or value that no header can carry.
void add_extra_headers(HttpRequest& request, const SamplingParams& params);

/// Whether the block came from this protocol; others mean nothing here and are left out.
bool is_block_of(const UnknownBlock& block, std::string_view protocol);

/// A data: URL of base64 bytes; `fallback_type` where the source names no media type.
std::string data_url(const MediaSource& source, std::string_view fallback_type);
/// A failed tool's text for protocols without an error flag: "error: " and the text, unless it
/// says so itself.
std::string marked_as_error(const std::string& text);

void write_integer(JsonWriter& json, std::string_view name, std::optional<std::int64_t> value);
void write_number(JsonWriter& json, std::string_view name, std::optional<double> value);

/// Writes "auto", "none" or "required" and returns true; false for a tool, whose form differs.
/// Throws LLMError{invalid_argument} for a tool without a name.
bool write_choice_mode(JsonWriter& json, const ToolChoice& choice);
/// Throws LLMError{invalid_argument} if the choice demands a call; for requests without tools.
void refuse_forced_call(const std::optional<ToolChoice>& choice);

/// Members of an object in order, values as exact text. Lifetime: views into `object`.
using Members = std::vector<std::pair<std::string, std::string_view>>;
Members read_members(std::string_view object);

/// `body` with the members of `extra` in place of those of the same name.
std::string merge_extra(const std::string& body, const RawJson& extra);

using AppendMessage = void (*)(std::string& out, const Message& message, bool developer_role);
/// Encodes what the cache lacks and returns the size of all encoded messages.
/// Throws LLMError{invalid_argument} for a null pointer, and what `append` throws.
std::size_t fill_encode_cache(const History& messages, EncodeCache& cache, AppendMessage append);

}  // namespace llmproc::providers
