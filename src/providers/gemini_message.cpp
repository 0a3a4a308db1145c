#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/gemini.hpp"
#include "providers/json_members.hpp"
#include "providers/openai_fields.hpp"
#include "providers/request_parts.hpp"
#include "providers/tool_names.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>

namespace llmproc::providers {

namespace {

constexpr unsigned max_json_depth = 64;  ///< The API's own limit of JSON.

[[noreturn]] void cannot_carry(std::string_view what, std::string_view remedy) {
    part_not_supported("Gemini", what, remedy);
}

void write_text(JsonWriter& json, std::string_view text) {
    json.begin_object();
    json.key("text");
    json.string(text);
    json.end_object();
}

void write_inline_data(JsonWriter& json, const MediaSource& source, std::string_view fallback) {
    json.key("inlineData");
    json.begin_object();
    json.key("mimeType");
    json.string(source.media_type.empty() ? fallback : std::string_view(source.media_type));
    json.key("data");
    json.string(source.data);
    json.end_object();
}

/// Bytes, or an address: an uploaded file is named by its URI too.
void write_media(JsonWriter& json, const MediaSource& source, std::string_view fallback) {
    json.begin_object();
    if (source.kind == MediaSource::Kind::base64) {
        write_inline_data(json, source, fallback);
    } else {
        json.key("fileData");
        json.begin_object();
        if (!source.media_type.empty()) {
            json.key("mimeType");
            json.string(source.media_type);
        }
        json.key("fileUri");
        json.string(source.data);
        json.end_object();
    }
    json.end_object();
}

constexpr std::string_view image_type = "image/png";
constexpr std::string_view document_type = "application/pdf";
constexpr std::string_view audio_type = "audio/wav";

/// The object under the only member `name` of a block of this protocol, else an empty view.
std::string_view kept_object(const ContentBlock& block, std::string_view name) {
    const auto* const unknown = std::get_if<UnknownBlock>(&block);
    if (unknown == nullptr || unknown->provider != gemini_name) {
        return {};
    }
    JsonReader reader(unknown->raw.text());
    if (reader.peek() != JsonKind::object) {
        return {};
    }
    reader.begin_object();
    std::string_view key;
    if (!reader.next_key(key) || key != name || reader.peek() != JsonKind::object) {
        return {};
    }
    return reader.raw();
}

/// A block of this protocol that is a part of its own; others' and kept members are left out.
void write_own_part(JsonWriter& json, const ContentBlock& block) {
    const auto& unknown = std::get<UnknownBlock>(block);
    const bool part = unknown.provider == gemini_name && kept_object(block, of_candidate).empty() &&
                      kept_object(block, of_previous_part).empty() &&
                      JsonReader(unknown.raw.text()).peek() == JsonKind::object;
    if (part) {
        json.raw(unknown.raw.text());
    }
}

void write_user_part(JsonWriter& json, const ContentBlock& block, Role role) {
    if (const auto* text = std::get_if<TextBlock>(&block)) {
        write_text(json, text->text);
    } else if (const auto* image = std::get_if<ImageBlock>(&block)) {
        write_media(json, image->source, image_type);
    } else if (const auto* document = std::get_if<DocumentBlock>(&block)) {
        write_media(json, document->source, document_type);
    } else if (const auto* audio = std::get_if<AudioBlock>(&block)) {
        write_media(json, audio->source, audio_type);
    } else if (std::holds_alternative<UnknownBlock>(block)) {
        write_own_part(json, block);
    } else if (std::holds_alternative<ToolCallBlock>(block)) {
        block_misplaced("tool call", role);
    } else if (!std::holds_alternative<ToolResultBlock>(block)) {
        block_misplaced("thinking", role);
    }
}

/// The API takes an object only: what a model wrote wrongly goes back as text inside one.
void write_arguments(JsonWriter& json, std::string_view arguments) {
    const std::string_view text = trimmed(arguments);
    if (text.empty()) {
        json.raw("{}");
    } else if (is_json(text, JsonKind::object, max_json_depth)) {
        json.raw(text);
    } else {
        json.begin_object();
        json.key("arguments");
        json.string(text);
        json.end_object();
    }
}

/// Whether these members of a part, an object or nothing, sign it.
bool is_signed(std::string_view extras) {
    if (extras.empty()) {
        return false;
    }
    JsonReader reader(extras);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "thoughtSignature") {
            return true;
        }
        reader.skip();
    }
    return false;
}

/// Writes the blocks of one model message.
class ModelParts {
public:
    explicit ModelParts(std::string& out) noexcept : out_(out), json_(out) {}

    /// `extras` is an object of members that belong into the same part; empty for none.
    void write(const ContentBlock& block, std::string_view extras) {
        if (const auto* text = std::get_if<TextBlock>(&block)) {
            write_said(text->text, false, extras);
        } else if (const auto* thinking = std::get_if<ThinkingBlock>(&block)) {
            // What others signed or encrypted means nothing here.
            if (thinking->signature.empty() && !thinking->opaque) {
                write_said(thinking->text, true, extras);
            }
        } else if (const auto* call = std::get_if<ToolCallBlock>(&block)) {
            write_call(*call, extras);
        } else if (const auto* image = std::get_if<ImageBlock>(&block)) {
            write_media(json_, image->source, image_type);
        } else if (const auto* document = std::get_if<DocumentBlock>(&block)) {
            write_media(json_, document->source, document_type);
        } else if (const auto* audio = std::get_if<AudioBlock>(&block)) {
            write_media(json_, audio->source, audio_type);
        } else if (std::holds_alternative<UnknownBlock>(block)) {
            write_own_part(json_, block);
        } else if (std::holds_alternative<ToolResultBlock>(block)) {
            block_misplaced("tool result", Role::assistant);
        }
    }

private:
    void write_said(std::string_view text, bool thought, std::string_view extras) {
        if (text.empty() && extras.empty()) {
            return;  // the API refuses a part without anything
        }
        json_.begin_object();
        json_.key("text");
        json_.string(text);
        if (thought) {
            json_.key("thought");
            json_.boolean(true);
        }
        write_members(json_, extras);
        json_.end_object();
    }

    void write_call(const ToolCallBlock& call, std::string_view extras) {
        json_.begin_object();
        json_.key("functionCall");
        json_.begin_object();
        if (!call.id.empty() && !call.id.starts_with(made_call_id)) {
            json_.key("id");
            json_.string(call.id);
        }
        json_.key("name");
        json_.string(wire_tool_name(call.name, gemini_tool_names));
        json_.key("args");
        write_arguments(json_, call.arguments);
        json_.end_object();
        write_members(json_, extras);
        // Only here: of calls in parallel the first is signed.
        if (!has_call_ && !is_signed(extras)) {
            out_.push_back('\0');
        }
        has_call_ = true;
        json_.end_object();
    }

    std::string& out_;
    JsonWriter json_;
    bool has_call_ = false;
};

/// A result's value: JSON as it is, so that the model sees its structure, all else as text.
void append_output(std::string& out, const ToolResultBlock& result) {
    const std::string text = result.text();
    const std::string_view value = trimmed(text);
    if (is_json(value, JsonKind::object, max_json_depth) ||
        is_json(value, JsonKind::array, max_json_depth)) {
        out += value;
    } else {
        append_json_string(out, text);
    }
}

void write_result_media(JsonWriter& json, const MediaSource& source, std::string_view fallback) {
    if (source.kind != MediaSource::Kind::base64) {
        cannot_carry(
            "an address or file id in a tool result",
            "send the bytes (MediaSource::file or bytes)"
        );
    }
    json.begin_object();
    write_inline_data(json, source, fallback);
    json.end_object();
}

void append_result_body(std::string& out, const ToolResultBlock& result) {
    out += result.is_error ? R"("response":{"error":)" : R"("response":{"output":)";
    append_output(out, result);
    out.push_back('}');
    const bool media = std::any_of(
        result.content.begin(),
        result.content.end(),
        [](const ToolResultContent& part) { return !std::holds_alternative<TextBlock>(part); }
    );
    if (!media) {
        return;
    }
    out += R"(,"parts":[)";
    JsonWriter json(out);
    for (const ToolResultContent& part : result.content) {
        if (const auto* image = std::get_if<ImageBlock>(&part)) {
            write_result_media(json, image->source, image_type);
        } else if (const auto* document = std::get_if<DocumentBlock>(&part)) {
            write_result_media(json, document->source, document_type);
        } else if (const auto* audio = std::get_if<AudioBlock>(&part)) {
            write_result_media(json, audio->source, audio_type);
        }
    }
    out.push_back(']');
}

}  // namespace

void append_user_parts(std::string& out, const Message& message) {
    JsonWriter json(out);
    for (const ContentBlock& block : message.content()) {
        if (is_cache_point(block)) {
            continue;
        }
        if (message.role() == Role::tool && !std::holds_alternative<ToolResultBlock>(block)) {
            holds_only("tool results", Role::tool);
        }
        write_user_part(json, block, message.role());
    }
}

void append_model_parts(std::string& out, const Message& message) {
    const auto& blocks = message.content();
    ModelParts parts(out);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const bool last = i + 1 == blocks.size();
        const std::string_view extras = last ? std::string_view()
                                             : kept_object(blocks[i + 1], of_previous_part);
        parts.write(blocks[i], extras);
    }
}

void append_result_bodies(std::string& out, const Message& message) {
    for (const ContentBlock& block : message.content()) {
        if (const auto* result = std::get_if<ToolResultBlock>(&block)) {
            append_result_body(out, *result);
            out.push_back('\0');
        }
    }
}

}  // namespace llmproc::providers
