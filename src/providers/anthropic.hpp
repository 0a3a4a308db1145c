/// @file
/// The parts of the anthropic codec.
/// Source: https://platform.claude.com/docs/en/api/messages, versions 2023-06-01 and 2026-10-21.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/openai_errors.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

inline constexpr std::string_view anthropic_name = "anthropic";
inline constexpr std::string_view anthropic_words = "Anthropic Messages";
/// Sent where neither the endpoint nor the request's header anthropic-version names another.
inline constexpr std::string_view anthropic_version = "2026-10-21";
/// The same in a body for Google Cloud.
inline constexpr std::string_view anthropic_vertex_version = "vertex-2023-10-16";
/// Sent where max_tokens is not set, since the protocol demands one: within the limits of every
/// current model, and below those at which a reply without streaming takes ten minutes.
inline constexpr std::int64_t anthropic_max_tokens = 16384;

/// What a body is for: counting takes fewer members.
enum class AnthropicCall { reply, stream, count };

/// The body of a request. Throws as `Codec::encode`.
std::string encode_anthropic_body(
    const ChatRequest& request,
    const Endpoint& endpoint,
    AnthropicCall call,
    std::string_view version,
    EncodeCache& cache
);

/// Encodes what the cache lacks and returns the size of all encoded messages.
/// Throws LLMError{invalid_argument} also for a null pointer and for a message without content.
std::size_t fill_anthropic_cache(const History& messages, EncodeCache& cache);

/// Appends `system` and `messages`; all messages are in the cache. `system_allowed` says whether
/// the API's version knows system messages between others.
/// Throws LLMError{not_supported} if it does not and there is one.
void write_anthropic_messages(
    std::string& body,
    const ChatRequest& request,
    const EncodeCache& cache,
    bool system_allowed
);

/// The content of one message, as it is cached: tool results, a NUL byte, then everything else.
/// Without results there is no NUL byte. Each part is comma separated blocks, or, if the message
/// is nothing but one text, a JSON string. Empty: there is nothing that could be sent.
/// Throws LLMError{not_supported, invalid_argument} for what the protocol cannot express.
std::string encode_anthropic_content(const Message& message);

/// The value of cache_control; an empty `ttl` is the provider's default.
std::string anthropic_cache_control(std::string_view ttl);

/// A cache point before all blocks of a message, at the beginning of its encoded content: the byte
/// 1, cache_control's value, the byte 1. (JSON text has no such byte.)
inline constexpr char anthropic_point_mark = '\1';

/// Takes such a beginning off `content` and returns cache_control's value; empty if there is none.
std::string_view take_first_point(std::string_view& content);
/// Puts cache_control on the last of some comma separated blocks.
/// Throws LLMError{invalid_argument} if there are none.
void mark_cache_point(std::string& blocks, std::string_view control);
/// Throws that error.
[[noreturn]] void misplaced_cache_point();

/// Writes arguments as the object that `input` has to be. What is none goes back as
/// {"INVALID_JSON": text}, the form that the API's documentation names.
void write_anthropic_input(JsonWriter& json, std::string_view arguments);

/// Appends one block of a reply. What the model's types cannot hold is kept in an UnknownBlock.
/// Throws LLMError{malformed_response, invalid_json}.
void read_anthropic_block(std::string_view raw, std::vector<ContentBlock>& out);

/// Token counts as they come: later ones are totals and replace earlier ones.
class AnthropicCounts {
public:
    /// Reads a usage object; members that are null or absent change nothing.
    void read(JsonReader& reader);
    Usage usage() const;

private:
    void read_details(JsonReader& reader);

    std::int64_t input_ = 0;
    std::int64_t cache_read_ = 0;
    std::int64_t cache_write_ = 0;
    std::int64_t output_ = 0;
    std::int64_t thinking_ = 0;
    bool reported_ = false;
};

/// Why and how a reply ended.
class AnthropicStop {
public:
    /// Reads the member `key` if it is one of these; else consumes nothing and returns false.
    bool read(JsonReader& reader, std::string_view key);
    const std::string& word() const noexcept { return word_; }
    StopReason reason(bool has_tool_calls) const;
    /// The provider's words for a refusal; empty if there are none.
    std::string explanation() const;
    /// Adds the explanation, and a block with what has no place in a reply: it is not sent back.
    void complete(Message& message) const;

private:
    std::string word_;
    std::string sequence_;  ///< JSON text, as the next two; empty = null or absent.
    std::string details_;
    std::string container_;
};

/// Whether the message is the rest of a refused turn, which must not be sent again.
bool is_anthropic_refusal(const Message& message);

/// The error for an answer that is not what the protocol promises.
LLMError malformed_anthropic(std::string_view what, std::string_view detail);
/// What `read` gives; bad JSON inside becomes malformed_response.
template <class Read>
auto read_anthropic(std::string_view what, Read read) {
    return read_answer(anthropic_words, what, read);
}
/// Throws the error that a body or an event after HTTP 200 reports.
[[noreturn]] void throw_anthropic_error(std::string_view body);

ChatReply decode_anthropic_reply(const HttpResponse& response);
TokenCount decode_anthropic_count(std::string_view body);

/// A decoder of one stream.
std::unique_ptr<StreamDecoder> make_anthropic_stream_decoder();

}  // namespace llmproc::providers
