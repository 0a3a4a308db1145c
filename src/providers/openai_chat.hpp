/// @file
/// The parts of the openai_chat codec.
#pragma once

#include <llmproc/provider.hpp>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

inline constexpr std::string_view openai_chat_name = "openai_chat";
inline constexpr std::string_view openai_chat_words = "Chat Completions";

/// A call of a custom tool, whose input is free text, is a tool call with that text as arguments;
/// an UnknownBlock {"custom_call":"<id>"} of this protocol in the same message tells it from a
/// function's.
inline constexpr std::string_view custom_call_mark = "custom_call";
UnknownBlock marked_as_custom(const std::string& call_id);

/// Appends the message as comma separated JSON objects. Images and documents of tool results
/// follow as a user message behind a NUL byte, since they may only stand after all results.
/// Throws LLMError{not_supported, invalid_argument} for what the protocol cannot express.
void append_chat_message(std::string& out, const Message& message, bool developer_role);

/// The body of a request. Throws as `Codec::encode`.
std::string encode_chat_body(
    const ChatRequest& request,
    const Endpoint& endpoint,
    bool stream,
    EncodeCache& cache
);

/// A request without body: target below the base URL and the common headers. `deployment` is who
/// answers: older versions of Azure's API want that in the path. Empty = the server itself.
HttpRequest openai_request(
    std::string_view method,
    std::string_view path,
    const Endpoint& endpoint,
    const std::string& deployment = std::string()
);

/// A complete answer; only its first choice is read.
ChatReply decode_chat_reply(const HttpResponse& response);

/// A decoder of one stream.
std::unique_ptr<StreamDecoder> make_chat_stream_decoder();

/// The ids in a page of a list of models; `protocol` is named in errors.
ModelPage decode_model_list(std::string_view body, std::string_view protocol = "Chat Completions");
std::string encode_embeddings_body(const EmbedRequest& request);
/// Floats, or base64 of little-endian float32; in the order of `index`.
Embeddings decode_embedding_list(std::string_view body);

}  // namespace llmproc::providers
