#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/json_members.hpp"
#include "providers/openai_fields.hpp"
#include "providers/openai_responses.hpp"
#include "providers/request_parts.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llmproc::providers {

namespace {

void write_input_text(JsonWriter& json, std::string_view text) {
    json.begin_object();
    json.key("type");
    json.string("input_text");
    json.key("text");
    json.string(text);
    json.end_object();
}

void write_input_image(JsonWriter& json, const ImageBlock& image) {
    json.begin_object();
    json.key("type");
    json.string("input_image");
    switch (image.source.kind) {
        case MediaSource::Kind::file_id:
            json.key("file_id");
            json.string(image.source.data);
            break;
        case MediaSource::Kind::url:
            json.key("image_url");
            json.string(image.source.data);
            break;
        case MediaSource::Kind::base64:
            json.key("image_url");
            json.string(data_url(image.source, "image/png"));
            break;
    }
    if (!image.detail.empty()) {
        json.key("detail");
        json.string(image.detail);
    }
    json.end_object();
}

void write_input_file(JsonWriter& json, const DocumentBlock& document) {
    json.begin_object();
    json.key("type");
    json.string("input_file");
    switch (document.source.kind) {
        case MediaSource::Kind::file_id:
            json.key("file_id");
            json.string(document.source.data);
            break;
        case MediaSource::Kind::url:
            json.key("file_url");
            json.string(document.source.data);
            break;
        case MediaSource::Kind::base64:
            // The API refuses file_data without a name.
            json.key("filename");
            json.string(document.name.empty() ? std::string_view("document") : document.name);
            json.key("file_data");
            json.string(data_url(document.source, "application/pdf"));
            break;
    }
    json.end_object();
}

void write_result_part(JsonWriter& json, const ToolResultContent& part) {
    if (const auto* text = std::get_if<TextBlock>(&part)) {
        write_input_text(json, text->text);
    } else if (const auto* image = std::get_if<ImageBlock>(&part)) {
        write_input_image(json, *image);
    } else if (const auto* document = std::get_if<DocumentBlock>(&part)) {
        write_input_file(json, *document);
    } else {
        part_not_supported(openai_responses_words, "sound in a tool result", sound_remedy);
    }
}

/// The protocol has no error flag: the first text must say it.
void write_output(JsonWriter& json, const ToolResultBlock& result) {
    const auto& parts = result.content;
    const auto* first = parts.empty() ? nullptr : std::get_if<TextBlock>(&parts.front());
    if (parts.empty() || (first != nullptr && parts.size() == 1)) {
        const std::string text = first == nullptr ? std::string() : first->text;
        json.string(result.is_error ? marked_as_error(text) : text);
        return;
    }
    json.begin_array();
    if (result.is_error) {
        write_input_text(json, marked_as_error(first == nullptr ? "the tool failed" : first->text));
    } else {
        write_result_part(json, parts.front());
    }
    for (std::size_t i = result.is_error && first == nullptr ? 0 : 1; i < parts.size(); ++i) {
        write_result_part(json, parts[i]);
    }
    json.end_array();
}

void write_tool_output(JsonWriter& json, const ToolResultBlock& result) {
    json.begin_object();
    json.key("type");
    json.string("function_call_output");
    json.key("call_id");
    json.string(result.call_id);
    json.key("output");
    write_output(json, result);
    json.end_object();
}

/// Raw values of users may be content parts ("input_...") as well as items.
bool is_input_part(const UnknownBlock& block) {
    return string_member(block.raw.text(), "type").starts_with("input_");
}

/// Writes what is an item of its own and says whether the block was one.
bool write_own_item(JsonWriter& json, const ContentBlock& block, Role role) {
    if (const auto* result = std::get_if<ToolResultBlock>(&block)) {
        if (role == Role::system) {
            block_misplaced("tool result", role);
        }
        write_tool_output(json, *result);
        return true;
    }
    if (const auto* unknown = std::get_if<UnknownBlock>(&block)) {
        if (!is_block_of(*unknown, openai_responses_name)) {
            return true;
        }
        check_raw_item(unknown->raw.text());
        if (!is_input_part(*unknown)) {
            write_raw_item(json, unknown->raw);
            return true;
        }
    }
    return false;
}

void write_part(JsonWriter& json, const ContentBlock& block, Role role) {
    if (role == Role::tool) {
        holds_only("tool results", role);
    } else if (const auto* text = std::get_if<TextBlock>(&block)) {
        write_input_text(json, text->text);
    } else if (const auto* image = std::get_if<ImageBlock>(&block)) {
        write_input_image(json, *image);
    } else if (const auto* document = std::get_if<DocumentBlock>(&block)) {
        write_input_file(json, *document);
    } else if (const auto* unknown = std::get_if<UnknownBlock>(&block)) {
        json.raw(unknown->raw.text());
    } else if (std::holds_alternative<ToolCallBlock>(block)) {
        block_misplaced("tool call", role);
    } else if (std::holds_alternative<AudioBlock>(block)) {
        part_not_supported(openai_responses_words, "sound", sound_remedy);
    } else {
        block_misplaced("thinking", role);
    }
}

}  // namespace

void check_raw_item(std::string_view raw) {
    if (JsonReader(raw).peek() != JsonKind::object) {
        invalid_request(
            "an UnknownBlock of openai_responses is no JSON object; its raw value must be a whole "
            "item of the Responses API, as a reply had it"
        );
    }
}

void write_raw_item(JsonWriter& json, const RawJson& item) {
    constexpr std::string_view answer_only = "created_by";
    // Nearly always the exact text; the member is looked for only where the word stands.
    if (item.text().find(answer_only) == std::string::npos) {
        json.raw(item.text());
        return;
    }
    json.begin_object();
    for (const auto& [name, value] : read_members(item.text())) {
        if (name != answer_only) {
            json.key(name);
            json.raw(value);
        }
    }
    json.end_object();
}

void append_input_items(std::string& out, const Message& message, bool developer_role) {
    const Role role = message.role();
    if (role == Role::assistant) {
        append_assistant_items(out, message);
        return;
    }
    JsonWriter json(out);
    std::vector<const ContentBlock*> parts;
    for (const ContentBlock& block : message.content()) {
        if (!is_cache_point(block) && !write_own_item(json, block, role)) {
            parts.push_back(&block);
        }
    }
    if (parts.empty() && (role == Role::tool || !message.content().empty())) {
        return;
    }
    json.begin_object();
    json.key("type");
    json.string("message");
    json.key("role");
    json.string(role == Role::system && developer_role ? "developer" : to_string(role));
    json.key("content");
    const auto* only = parts.size() == 1 ? std::get_if<TextBlock>(parts.front()) : nullptr;
    if (only != nullptr && role != Role::tool) {
        json.string(only->text);
    } else if (parts.empty()) {
        json.string("");
    } else {
        json.begin_array();
        for (const ContentBlock* part : parts) {
            write_part(json, *part, role);
        }
        json.end_array();
    }
    json.end_object();
}

}  // namespace llmproc::providers
