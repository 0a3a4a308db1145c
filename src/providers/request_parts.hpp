/// @file
/// Parts of requests that all protocols share.
#pragma once

#include <llmproc/provider.hpp>
#include "core/json_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

/// Throws LLMError{invalid_argument}.
[[noreturn]] void invalid_request(const std::string& text);

/// A request without body and key: target below the base URL and the common headers.
/// Throws LLMError{invalid_argument} for a base URL that is none.
HttpRequest json_request(std::string_view method, std::string_view path, const Endpoint& endpoint);

/// Adds the endpoint's key, behind `scheme`, if there is one.
/// Throws LLMError{invalid_argument} for a key that no header can carry.
void add_key_header(
    HttpRequest& request,
    std::string_view name,
    std::string_view scheme,
    const Endpoint& endpoint
);

/// Sets the user's own headers; a bearer token among them replaces a key in x-api-key, since
/// servers take one of them. Throws LLMError{invalid_argument}.
void add_extra_headers(HttpRequest& request, const SamplingParams& params);

/// A text as the value of a query, percent-encoded.
std::string query_value(std::string_view text);

/// The model to ask. Throws LLMError{invalid_argument} if none is named.
const std::string& model_of(const ChatRequest& request, const Endpoint& endpoint);

/// The name that the server knows the model by: the endpoint's deployment, where it has one and the
/// request asks for no other model. Throws as `model_of`.
const std::string& wire_model(const ChatRequest& request, const Endpoint& endpoint);

/// The path of the endpoint's base URL, without query and trailing slashes.
/// Lifetime: a view into `endpoint`.
std::string_view base_path(const Endpoint& endpoint) noexcept;

/// `name`, which is to stand in the path of an address. `what` names it in errors.
/// Throws LLMError{invalid_argument} for a name that would change the path.
const std::string& path_name(std::string_view what, const std::string& name);

void write_integer(JsonWriter& json, std::string_view name, std::optional<std::int64_t> value);
void write_number(JsonWriter& json, std::string_view name, std::optional<double> value);

/// Throws LLMError{not_supported}: "<protocol> cannot carry <what>; <remedy>".
[[noreturn]] void part_not_supported(
    std::string_view protocol,
    std::string_view what,
    std::string_view remedy
);
/// What to do where a protocol has no sound.
inline constexpr std::string_view sound_remedy =
    "send its transcript as text, or ask a model that hears by provider = \"openai_chat\" or "
    "\"gemini\"";
/// Throws LLMError{invalid_argument}: such a block has no place in a message of that role.
[[noreturn]] void block_misplaced(std::string_view block, Role role);
/// Throws LLMError{invalid_argument}: a message of that role holds `what`, e.g. "tool results",
/// alone.
[[noreturn]] void holds_only(std::string_view what, Role role);
/// Whether the block came from this protocol; others mean nothing here and are left out.
bool is_block_of(const UnknownBlock& block, std::string_view protocol);

/// A data: URL of base64 bytes; `fallback_type` where the source names no media type.
std::string data_url(const MediaSource& source, std::string_view fallback_type);
/// A failed tool's text for protocols without an error flag: "error: " and the text, unless it
/// says so itself.
std::string marked_as_error(const std::string& text);

/// Writes "auto", "none" or "required" and returns true; false for a tool, whose form differs.
/// Throws LLMError{invalid_argument} for a tool without a name.
bool write_choice_mode(JsonWriter& json, const ToolChoice& choice);
/// Throws LLMError{invalid_argument} if the choice demands a call; for requests without tools.
void refuse_forced_call(const std::optional<ToolChoice>& choice);
/// Whether results of tools may be in the message, as blocks of their own or as raw ones.
bool may_hold_results(const Message& message);
/// How many blocks say something: cache points are one provider's alone.
std::size_t count_said_blocks(const Message& message);
bool is_cache_point(const ContentBlock& block);

using AppendMessage = void (*)(std::string& out, const Message& message, bool developer_role);
/// Encodes what the cache lacks and returns the size of all encoded messages.
/// Throws LLMError{invalid_argument} for a null pointer, and what `append` throws.
std::size_t fill_encode_cache(const History& messages, EncodeCache& cache, AppendMessage append);

}  // namespace llmproc::providers
