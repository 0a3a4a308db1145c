/// @file
/// The provider-neutral conversation: messages made of content blocks.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/raw_json.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc {

/// Who speaks.
enum class Role { system, user, assistant, tool };

/// "system", "user", "assistant" or "tool".
LLMPROC_API std::string_view to_string(Role role) noexcept;

/// Plain text. `refusal` marks the model's words for declining.
struct LLMPROC_API TextBlock {
    TextBlock() = default;
    explicit TextBlock(std::string value) : text(std::move(value)) {}
    static TextBlock refused(std::string value);

    std::string text;
    bool refusal = false;
    std::optional<RawJson> citations;  ///< The provider's citations or annotations, kept raw.
    friend bool operator==(const TextBlock&, const TextBlock&) = default;
};

/// Where the bytes of an image, document or recording are.
struct LLMPROC_API MediaSource {
    enum class Kind { base64, url, file_id };
    MediaSource() = default;
    /// Bytes to be sent along; they are kept as base64.
    static MediaSource bytes(std::string_view data, std::string media_type);
    /// The bytes of a file, read at once; its media type by its first bytes, else by its name.
    /// Throws LLMError{invalid_argument}: unreadable, empty, larger than `max_file_bytes`, or of a
    /// kind that is not known (give that one as `bytes`).
    static MediaSource file(const std::string& path);
    /// Bytes that are already base64.
    static MediaSource base64(std::string data, std::string media_type);
    /// An address that the provider fetches.
    static MediaSource url(std::string address);
    /// A file that was uploaded to the provider before.
    static MediaSource file_id(std::string id);

    /// The largest file that `file` reads; providers take no larger requests.
    static constexpr std::size_t max_file_bytes = 32UL * 1024 * 1024;

    Kind kind = Kind::url;
    std::string data;        ///< base64 text, address or id, by `kind`.
    std::string media_type;  ///< e.g. "image/png"; only for base64.
    friend bool operator==(const MediaSource&, const MediaSource&) = default;
};

/// A picture.
struct LLMPROC_API ImageBlock {
    ImageBlock() = default;
    explicit ImageBlock(MediaSource from, std::string detail_level = std::string())
        : source(std::move(from)),
          detail(std::move(detail_level)) {}

    MediaSource source;
    std::string detail;  ///< OpenAI's level (auto, low, high); empty = not sent.
    friend bool operator==(const ImageBlock&, const ImageBlock&) = default;
};

/// A document such as a PDF.
struct LLMPROC_API DocumentBlock {
    DocumentBlock() = default;
    explicit DocumentBlock(MediaSource from, std::string file_name = std::string())
        : source(std::move(from)),
          name(std::move(file_name)) {}

    MediaSource source;
    std::string name;
    friend bool operator==(const DocumentBlock&, const DocumentBlock&) = default;
};

/// Recorded sound, for models that hear.
struct LLMPROC_API AudioBlock {
    AudioBlock() = default;
    explicit AudioBlock(MediaSource from) : source(std::move(from)) {}

    MediaSource source;
    friend bool operator==(const AudioBlock&, const AudioBlock&) = default;
};

/// What comes before it in the request may be cached by the provider, where caching is asked for
/// by hand (Anthropic's cache_control); elsewhere it says nothing.
struct LLMPROC_API CachePointBlock {
    CachePointBlock() = default;
    explicit CachePointBlock(std::string lifetime) : ttl(std::move(lifetime)) {}

    std::string ttl;  ///< How long, in the provider's words ("5m", "1h"); empty = its default.
    friend bool operator==(const CachePointBlock&, const CachePointBlock&) = default;
};

/// The model's reasoning. `signature` and `opaque` go back to the provider unchanged.
struct LLMPROC_API ThinkingBlock {
    ThinkingBlock() = default;
    explicit ThinkingBlock(std::string value, std::string sign = std::string())
        : text(std::move(value)),
          signature(std::move(sign)) {}

    std::string text;
    std::string signature;
    std::optional<RawJson> opaque;  ///< e.g. OpenRouter's reasoning_details.
    friend bool operator==(const ThinkingBlock&, const ThinkingBlock&) = default;
};

/// Reasoning that the provider shows only encrypted; it goes back unchanged.
struct LLMPROC_API RedactedThinkingBlock {
    RedactedThinkingBlock() = default;
    explicit RedactedThinkingBlock(std::string encrypted) : data(std::move(encrypted)) {}

    std::string data;
    friend bool operator==(const RedactedThinkingBlock&, const RedactedThinkingBlock&) = default;
};

/// A tool that the model wants called.
struct LLMPROC_API ToolCallBlock {
    ToolCallBlock() = default;
    ToolCallBlock(std::string call_id, std::string tool_name, std::string argument_text)
        : id(std::move(call_id)),
          name(std::move(tool_name)),
          arguments(std::move(argument_text)) {}

    std::string id;
    std::string name;
    /// The exact text that the model wrote, normally a JSON object. Models do write invalid JSON,
    /// so it is not checked; an empty text means no arguments.
    std::string arguments;
    friend bool operator==(const ToolCallBlock&, const ToolCallBlock&) = default;
};

/// A part of a tool's result.
using ToolResultContent = std::variant<TextBlock, ImageBlock, DocumentBlock, AudioBlock>;

/// What a tool answered to the call of the same id.
struct LLMPROC_API ToolResultBlock {
    ToolResultBlock() = default;
    ToolResultBlock(std::string id, std::string text, bool failed = false);
    ToolResultBlock(std::string id, std::vector<ToolResultContent> parts, bool failed = false);

    /// All text parts joined.
    std::string text() const;

    std::string call_id;
    std::vector<ToolResultContent> content;
    bool is_error = false;
    friend bool operator==(const ToolResultBlock&, const ToolResultBlock&) = default;
};

/// A block of a kind that this version does not know; kept and sent back as it is.
struct LLMPROC_API UnknownBlock {
    UnknownBlock() = default;
    UnknownBlock(std::string source, RawJson value)
        : provider(std::move(source)),
          raw(std::move(value)) {}

    std::string provider;  ///< Name of the wire protocol it came from; sent back only to that one.
    RawJson raw;
    friend bool operator==(const UnknownBlock&, const UnknownBlock&) = default;
};

using ContentBlock = std::variant<
    TextBlock,
    ImageBlock,
    DocumentBlock,
    AudioBlock,
    CachePointBlock,
    ThinkingBlock,
    RedactedThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    UnknownBlock>;

/// One turn of a conversation. A value: copy, compare, convert to and from JSON without loss.
class LLMPROC_API Message {
public:
    Message() = default;
    /// One block of text.
    Message(Role role, std::string text);
    Message(Role role, std::vector<ContentBlock> blocks);

    static Message user(std::string text);
    static Message user(std::vector<ContentBlock> blocks);
    static Message assistant(std::string text);
    static Message system(std::string text);
    /// The results of one or more tool calls.
    static Message tool_results(std::vector<ToolResultBlock> results);

    Role role() const noexcept { return role_; }
    const std::vector<ContentBlock>& content() const noexcept { return content_; }
    std::vector<ContentBlock>& content() noexcept { return content_; }
    /// Adds a block at the end; for building.
    Message& add(ContentBlock block);

    /// All text blocks joined, refusals included, thinking left out.
    std::string text() const;
    /// All thinking texts joined.
    std::string thinking() const;
    /// The tool calls in order.
    std::vector<ToolCallBlock> tool_calls() const;
    bool has_tool_calls() const noexcept;

    /// JSON text: {"role":...,"content":[{"type":...},...]}. See docs/design.md for the shape.
    /// It is one line unless a RawJson inside has line breaks; invalid UTF-8 becomes U+FFFD.
    std::string to_json() const;
    /// The reverse of `to_json`. Unknown block types are kept as UnknownBlock.
    /// Throws LLMError{invalid_json} naming the offset and what was expected.
    static Message from_json(std::string_view text);

    friend bool operator==(const Message&, const Message&) = default;

private:
    Role role_ = Role::user;
    std::vector<ContentBlock> content_;
};

/// A conversation: messages are immutable and shared, so copies and forks are cheap.
using History = std::vector<std::shared_ptr<const Message>>;

/// JSON text: an array of messages. Throws LLMError{invalid_argument} for a null pointer.
LLMPROC_API std::string to_json(const History& history);
/// The reverse. Throws LLMError{invalid_json}.
LLMPROC_API History history_from_json(std::string_view text);

}  // namespace llmproc
