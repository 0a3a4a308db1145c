#include <llmproc/error.hpp>
#include <llmproc/message.hpp>
#include "core/json_writer.hpp"
#include "model/message_json.hpp"

namespace llmproc {

namespace {

std::string_view kind_name(MediaSource::Kind kind) noexcept {
    switch (kind) {
        case MediaSource::Kind::base64: return "base64";
        case MediaSource::Kind::url: return "url";
        case MediaSource::Kind::file_id: return "file_id";
    }
    return "url";
}

void begin_block(JsonWriter& writer, std::string_view type) {
    writer.begin_object();
    writer.key("type");
    writer.string(type);
}

void string_member(JsonWriter& writer, std::string_view name, std::string_view value) {
    writer.key(name);
    writer.string(value);
}

void optional_string(JsonWriter& writer, std::string_view name, std::string_view value) {
    if (!value.empty()) {
        string_member(writer, name, value);
    }
}

void optional_raw(JsonWriter& writer, std::string_view name, const std::optional<RawJson>& value) {
    if (value.has_value()) {
        writer.key(name);
        writer.raw(value->text());
    }
}

void write_source(JsonWriter& writer, const MediaSource& source) {
    writer.key("source");
    writer.begin_object();
    string_member(writer, "kind", kind_name(source.kind));
    optional_string(writer, "media_type", source.media_type);
    string_member(writer, "data", source.data);
    writer.end_object();
}

/// One overload per kind of block.
class BlockWriter {
public:
    explicit BlockWriter(JsonWriter& writer) noexcept : writer_(writer) {}

    void operator()(const TextBlock& block) {
        begin_block(writer_, "text");
        string_member(writer_, "text", block.text);
        if (block.refusal) {
            writer_.key("refusal");
            writer_.boolean(true);
        }
        optional_raw(writer_, "citations", block.citations);
        writer_.end_object();
    }

    void operator()(const ImageBlock& block) {
        begin_block(writer_, "image");
        write_source(writer_, block.source);
        optional_string(writer_, "detail", block.detail);
        writer_.end_object();
    }

    void operator()(const DocumentBlock& block) {
        begin_block(writer_, "document");
        write_source(writer_, block.source);
        optional_string(writer_, "name", block.name);
        writer_.end_object();
    }

    void operator()(const AudioBlock& block) {
        begin_block(writer_, "audio");
        write_source(writer_, block.source);
        writer_.end_object();
    }

    void operator()(const CachePointBlock& block) {
        begin_block(writer_, "cache_point");
        optional_string(writer_, "ttl", block.ttl);
        writer_.end_object();
    }

    void operator()(const ThinkingBlock& block) {
        begin_block(writer_, "thinking");
        string_member(writer_, "text", block.text);
        optional_string(writer_, "signature", block.signature);
        optional_raw(writer_, "opaque", block.opaque);
        writer_.end_object();
    }

    void operator()(const RedactedThinkingBlock& block) {
        begin_block(writer_, "redacted_thinking");
        string_member(writer_, "data", block.data);
        writer_.end_object();
    }

    void operator()(const ToolCallBlock& block) {
        begin_block(writer_, "tool_call");
        string_member(writer_, "id", block.id);
        string_member(writer_, "name", block.name);
        string_member(writer_, "arguments", block.arguments);
        writer_.end_object();
    }

    void operator()(const ToolResultBlock& block) {
        begin_block(writer_, "tool_result");
        string_member(writer_, "call_id", block.call_id);
        writer_.key("content");
        writer_.begin_array();
        for (const ToolResultContent& part : block.content) {
            std::visit(*this, part);
        }
        writer_.end_array();
        writer_.key("is_error");
        writer_.boolean(block.is_error);
        writer_.end_object();
    }

    void operator()(const UnknownBlock& block) {
        if (block.provider.empty() && reads_as_unknown(block.raw.text())) {
            writer_.raw(block.raw.text());
            return;
        }
        begin_block(writer_, "unknown");
        string_member(writer_, "provider", block.provider);
        writer_.key("raw");
        writer_.raw(block.raw.text());
        writer_.end_object();
    }

private:
    JsonWriter& writer_;
};

void write_message(JsonWriter& writer, const Message& message) {
    BlockWriter block_writer(writer);
    writer.begin_object();
    string_member(writer, "role", to_string(message.role()));
    writer.key("content");
    writer.begin_array();
    for (const ContentBlock& block : message.content()) {
        std::visit(block_writer, block);
    }
    writer.end_array();
    writer.end_object();
}

}  // namespace

std::string Message::to_json() const {
    std::string text;
    JsonWriter writer(text);
    write_message(writer, *this);
    return text;
}

std::string to_json(const History& history) {
    std::string text;
    JsonWriter writer(text);
    writer.begin_array();
    for (const std::shared_ptr<const Message>& message : history) {
        if (message == nullptr) {
            throw LLMError(
                Errc::invalid_argument,
                "the history holds a null message: remove it first"
            );
        }
        write_message(writer, *message);
    }
    writer.end_array();
    return text;
}

}  // namespace llmproc
