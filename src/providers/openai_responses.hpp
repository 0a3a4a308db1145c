/// @file
/// The parts of the openai_responses codec.
///
/// A reply is a list of items. An item becomes blocks, so that users see the same blocks from all
/// protocols; what the blocks have no place for (ids, status, phase) is kept beside them, in an
/// UnknownBlock of this protocol that is called a frame here, and joined again when the message is
/// sent back:
/// - {"type":"message",...} without "content": the text blocks that follow are its content;
/// - {"type":"function_call",...} without "name": the tool call that follows;
/// - {"content":[part]} without "type": a part of unknown kind, among the text blocks of a message.
/// Reasoning is a ThinkingBlock with the whole item in `opaque`; every other item is an UnknownBlock.
#pragma once

#include <llmproc/provider.hpp>
#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/openai_errors.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

inline constexpr std::string_view openai_responses_name = "openai_responses";
inline constexpr std::string_view openai_responses_words = "OpenAI Responses";
inline constexpr std::string_view openai_responses_api = "the Responses API";

// --- requests ------------------------------------------------------------------------------------

/// Appends the message as comma separated input items; nothing if no block means anything here.
/// Throws LLMError{not_supported, invalid_argument} for what the protocol cannot express.
void append_input_items(std::string& out, const Message& message, bool developer_role);

/// The same for a message of the assistant.
void append_assistant_items(std::string& out, const Message& message);

/// Throws LLMError{invalid_argument} for the raw value of an UnknownBlock that is no object.
void check_raw_item(std::string_view raw);

/// Writes an item that is kept raw, without the members that only answers may have.
void write_raw_item(JsonWriter& json, const RawJson& item);

/// The body of a request. Throws as `Codec::encode`.
std::string encode_responses_body(
    const ChatRequest& request,
    const Endpoint& endpoint,
    bool stream,
    EncodeCache& cache
);

/// The body for the counting endpoint, which refuses what does not change the input.
std::string encode_input_tokens_body(const ChatRequest& request, const Endpoint& endpoint);

// --- replies -------------------------------------------------------------------------------------

/// The error for an answer that is not what the protocol promises.
LLMError malformed_response(std::string_view what, std::string_view detail);

/// What a `function_call` item says before its arguments are complete.
struct CallHead {
    std::string id;  ///< `call_id`: results are paired by it, not by the item's own id.
    std::string name;
};
CallHead read_call_head(std::string_view item);

/// Appends the blocks of one output item. Throws LLMError{malformed_response, invalid_json}.
void read_output_item(std::string_view item, std::vector<ContentBlock>& blocks);

/// A `response` object.
struct ResponseObject {
    std::string id;
    std::string model;
    std::string status;
    std::string incomplete_reason;
    std::optional<ProviderError> error;
    Usage usage;
    std::optional<std::vector<ContentBlock>> output;  ///< None = there was no such array.
};

/// Throws LLMError{malformed_response, invalid_json}.
ResponseObject read_response_object(JsonReader& reader);

/// Throws the error of a response that failed, was cancelled or has not ended, though its HTTP
/// status is 200.
void throw_unless_ended(
    const ResponseObject& response,
    const Headers& headers,
    const std::string& request_id
);

/// Sets both forms of the stop reason from the response's status and the message's blocks.
void set_stop_reason(ChatReply& reply, const ResponseObject& response);
/// The same for a message that is not known as a whole.
void set_stop_reason(
    ChatReply& reply,
    const ResponseObject& response,
    bool has_calls,
    bool refused
);

/// A complete answer.
ChatReply decode_response(const HttpResponse& http, const std::string& request_id);

TokenCount decode_input_tokens(std::string_view body);

/// A decoder of one stream.
std::unique_ptr<StreamDecoder> make_responses_stream_decoder();

}  // namespace llmproc::providers
