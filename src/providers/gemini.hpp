/// @file
/// The parts of the gemini codec.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "providers/openai_errors.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

inline constexpr std::string_view gemini_name = "gemini";
inline constexpr std::string_view gemini_words = "generateContent";

/// What a part has beside its text or call, above all its thoughtSignature, is kept in an
/// UnknownBlock behind the block: {"of_previous_part":{...}}. It goes back into the same part.
/// (The API's own names have no underscore, so this is no part of its own.)
inline constexpr std::string_view of_previous_part = "of_previous_part";
/// What a blocked answer says about itself, {"of_candidate":{...}}; it is never sent.
inline constexpr std::string_view of_candidate = "of_candidate";
/// Beginning of the ids that this library gives to calls without one; such ids are never sent.
inline constexpr std::string_view made_call_id = "call_gemini_";

/// Sent in the path where neither the endpoint nor its base URL names another.
inline constexpr std::string_view gemini_version = "v1beta";

/// Whether the last segment of a path is a version, like v1 or v1beta.
bool ends_with_version(std::string_view path) noexcept;

/// `models/x`, or the name itself where it says already what it is.
/// Throws LLMError{invalid_argument} for a name that would change the path.
std::string gemini_model_path(const std::string& model);

/// Appends the parts of a user's message but for tool results, comma separated.
/// Throws LLMError{not_supported, invalid_argument} for what the protocol cannot express.
void append_user_parts(std::string& out, const Message& message);
/// Appends the parts of the model's message, comma separated. A NUL byte marks where a signature
/// belongs if the first call came from another provider.
void append_model_parts(std::string& out, const Message& message);
/// Appends `"response":...` and `"parts":...` of each tool result, a NUL byte behind each.
void append_result_bodies(std::string& out, const Message& message);

/// Appends the array `contents`. Throws LLMError{invalid_argument} if there are none.
void append_contents(
    std::string& out,
    const History& messages,
    std::string_view model,
    EncodeCache& cache
);

/// The body of generateContent. Throws as `Codec::encode`.
std::string encode_gemini_body(
    const ChatRequest& request,
    const Endpoint& endpoint,
    EncodeCache& cache
);
/// The body of countTokens.
std::string encode_gemini_count(const ChatRequest& request, const Endpoint& endpoint);

/// A JSON Schema in the subset of `responseSchema` and `parameters`: $ref inlined, oneOf as anyOf,
/// null as `nullable`. `what` names the schema in errors.
/// Throws LLMError{not_supported} naming the place of what the subset lacks.
std::string gemini_schema(const RawJson& schema, std::string_view what);

/// A complete answer, or the JSON array that a stream without alt=sse is.
ChatReply decode_gemini_reply(const HttpResponse& response);
std::unique_ptr<StreamDecoder> make_gemini_stream_decoder();

TokenCount decode_gemini_count(std::string_view body);
ModelPage decode_gemini_models(std::string_view body);
std::string encode_gemini_embeddings(const EmbedRequest& request);
Embeddings decode_gemini_embeddings(std::string_view body);

/// The error that a body reports; `status` is none after HTTP 200. Google's details give the
/// time to wait and tell a bad key from a bad request.
LLMError make_gemini_error(
    std::optional<int> status,
    std::string_view body,
    const Headers& headers,
    std::string request_id
);
/// The error for an answer that is not what the protocol promises.
LLMError gemini_malformed(std::string_view what, std::string_view detail);

/// Runs `read`, bad JSON being a malformed `what`.
template <class Read>
auto reading(std::string_view what, Read read) {
    return read_answer(gemini_words, what, read);
}

}  // namespace llmproc::providers
