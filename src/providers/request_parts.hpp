/// @file
/// Parts of requests that all protocols share.
#pragma once

#include <llmproc/provider.hpp>
#include "core/json_writer.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

/// Sets the user's own headers. Throws LLMError{invalid_argument}.
void add_extra_headers(HttpRequest& request, const SamplingParams& params);

/// The model to ask. Throws LLMError{invalid_argument} if none is named.
const std::string& model_of(const ChatRequest& request, const Endpoint& endpoint);

void write_integer(JsonWriter& json, std::string_view name, std::optional<std::int64_t> value);
void write_number(JsonWriter& json, std::string_view name, std::optional<double> value);

/// The JSON object `body` with the members of `extra` in place of those of the same name.
std::string merge_members(std::string_view body, std::string_view extra);

/// `body` with `extra_body`. Throws LLMError{invalid_argument} if that is no object.
std::string merge_extra(const std::string& body, const RawJson& extra);

}  // namespace llmproc::providers
