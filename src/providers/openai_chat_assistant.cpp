#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_chat_parts.hpp"
#include "providers/request_parts.hpp"
#include "providers/tool_names.hpp"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llmproc::providers {

namespace {

/// What the blocks of an assistant message become.
struct AssistantParts {
    std::vector<const TextBlock*> texts;
    std::string refusal;
    bool refused = false;
    std::vector<const ToolCallBlock*> calls;
    std::vector<const RawJson*> reasoning;  ///< reasoning_details arrays
    std::vector<const RawJson*> parts;      ///< content parts kept raw
    std::vector<const RawJson*> fields;     ///< objects whose members are message fields
};

bool has_type_member(const RawJson& raw) {
    JsonReader reader(raw.text());
    if (reader.peek() != JsonKind::object) {
        return false;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "type") {
            return true;
        }
        reader.skip();
    }
    return false;
}

void sort_block(AssistantParts& parts, const ContentBlock& block) {
    if (const auto* text = std::get_if<TextBlock>(&block)) {
        if (text->refusal) {
            parts.refusal += text->text;
            parts.refused = true;
        } else {
            parts.texts.push_back(text);
        }
    } else if (const auto* call = std::get_if<ToolCallBlock>(&block)) {
        parts.calls.push_back(call);
    } else if (const auto* thinking = std::get_if<ThinkingBlock>(&block)) {
        // Only reasoning_details go back; they are an array, other protocols' values are not.
        if (thinking->opaque && JsonReader(thinking->opaque->text()).peek() == JsonKind::array) {
            parts.reasoning.push_back(&*thinking->opaque);
        }
    } else if (const auto* unknown = std::get_if<UnknownBlock>(&block)) {
        if (is_chat_block(*unknown)) {
            (has_type_member(unknown->raw) ? parts.parts : parts.fields).push_back(&unknown->raw);
        }
    } else if (std::holds_alternative<ToolResultBlock>(block)) {
        block_misplaced("tool result", Role::assistant);
    } else if (!std::holds_alternative<RedactedThinkingBlock>(block) && !is_cache_point(block)) {
        part_not_supported(
            openai_chat_words,
            "media of the assistant",
            "move them to a user message"
        );
    }
}

void write_assistant_content(JsonWriter& json, const AssistantParts& parts) {
    json.key("content");
    if (parts.parts.empty() && parts.texts.size() == 1) {
        json.string(parts.texts[0]->text);
    } else if (!parts.parts.empty() || !parts.texts.empty()) {
        json.begin_array();
        for (const TextBlock* text : parts.texts) {
            write_text_part(json, text->text);
        }
        for (const RawJson* part : parts.parts) {
            json.raw(part->text());
        }
        json.end_array();
    } else if (!parts.calls.empty() || parts.refused || !parts.fields.empty()) {
        json.null();
    } else {
        json.string("");
    }
}

void write_tool_calls(JsonWriter& json, const std::vector<const ToolCallBlock*>& calls) {
    json.key("tool_calls");
    json.begin_array();
    for (const ToolCallBlock* call : calls) {
        json.begin_object();
        json.key("id");
        json.string(call->id);
        json.key("type");
        json.string("function");
        json.key("function");
        json.begin_object();
        json.key("name");
        json.string(wire_tool_name(call->name, strict_tool_names));
        json.key("arguments");
        json.string(call->arguments.empty() ? std::string_view("{}") : call->arguments);
        json.end_object();
        json.end_object();
    }
    json.end_array();
}

void write_reasoning(JsonWriter& json, const std::vector<const RawJson*>& arrays) {
    json.key("reasoning_details");
    json.begin_array();
    for (const RawJson* array : arrays) {
        JsonReader reader(array->text());
        reader.begin_array();
        while (reader.next_element()) {
            json.raw(reader.raw());
        }
    }
    json.end_array();
}

/// An audio answer is named by its id in later requests; its bytes are not sent back.
bool write_audio_id(JsonWriter& json, std::string_view audio) {
    JsonReader reader(audio);
    if (reader.peek() != JsonKind::object) {
        return false;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "id") {
            json.key("audio");
            json.begin_object();
            json.key("id");
            json.raw(reader.raw());
            json.end_object();
            return true;
        }
        reader.skip();
    }
    return false;
}

void write_fields(JsonWriter& json, const RawJson& object) {
    JsonReader reader(object.text());
    if (reader.peek() != JsonKind::object) {
        return;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        const std::string name(key);
        const std::string_view value = reader.raw();
        if (name != "audio" || !write_audio_id(json, value)) {
            json.key(name);
            json.raw(value);
        }
    }
}

}  // namespace

void append_assistant_message(std::string& out, const Message& message) {
    AssistantParts parts;
    for (const ContentBlock& block : message.content()) {
        sort_block(parts, block);
    }
    JsonWriter json(out);
    json.begin_object();
    json.key("role");
    json.string("assistant");
    write_assistant_content(json, parts);
    if (parts.refused) {
        json.key("refusal");
        json.string(parts.refusal);
    }
    if (!parts.calls.empty()) {
        write_tool_calls(json, parts.calls);
    }
    if (!parts.reasoning.empty()) {
        write_reasoning(json, parts.reasoning);
    }
    for (const RawJson* object : parts.fields) {
        write_fields(json, *object);
    }
    json.end_object();
}

}  // namespace llmproc::providers
