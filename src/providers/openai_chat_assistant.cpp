#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/json_members.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_chat_parts.hpp"
#include "providers/openai_fields.hpp"
#include "providers/request_parts.hpp"
#include "providers/tool_names.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llmproc::providers {

namespace {

/// What the blocks of an assistant message become.
struct AssistantParts {
    std::vector<const ContentBlock*> content;  ///< Texts, and parts that were kept raw.
    std::string refusal;
    bool refused = false;
    std::vector<const ToolCallBlock*> calls;
    std::vector<std::string> custom_calls;  ///< Ids of those that are no functions.
    std::vector<const RawJson*> reasoning;  ///< reasoning_details arrays
    std::vector<const RawJson*> fields;     ///< objects whose members are message fields
};

/// The members of a raw value; none if it is no object.
Members read_object(const RawJson& raw) {
    return JsonReader(raw.text()).peek() == JsonKind::object ? read_members(raw.text()) : Members();
}

void add_unknown(AssistantParts& parts, const ContentBlock& block, const RawJson& raw) {
    const Members members = read_object(raw);
    if (has_member(members, "type")) {
        parts.content.push_back(&block);
    } else if (members.size() == 1 && members.front().first == custom_call_mark) {
        JsonReader id(members.front().second);
        parts.custom_calls.push_back(read_string_or_empty(id));
    } else {
        parts.fields.push_back(&raw);
    }
}

void sort_block(AssistantParts& parts, const ContentBlock& block) {
    if (const auto* text = std::get_if<TextBlock>(&block)) {
        if (text->refusal) {
            parts.refusal += text->text;
            parts.refused = true;
        } else {
            parts.content.push_back(&block);
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
            add_unknown(parts, block, unknown->raw);
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
    const auto* const only = parts.content.size() == 1
                                 ? std::get_if<TextBlock>(parts.content.front())
                                 : nullptr;
    if (only != nullptr) {
        json.string(only->text);
    } else if (!parts.content.empty()) {
        json.begin_array();
        for (const ContentBlock* part : parts.content) {
            if (const auto* text = std::get_if<TextBlock>(part)) {
                write_text_part(json, text->text);
            } else {
                json.raw(std::get<UnknownBlock>(*part).raw.text());
            }
        }
        json.end_array();
    } else if (!parts.calls.empty() || parts.refused || !parts.fields.empty()) {
        json.null();
    } else {
        json.string("");
    }
}

void write_tool_calls(JsonWriter& json, const AssistantParts& parts) {
    const std::vector<std::string>& custom_calls = parts.custom_calls;
    json.key("tool_calls");
    json.begin_array();
    for (const ToolCallBlock* call : parts.calls) {
        const bool custom = std::find(custom_calls.begin(), custom_calls.end(), call->id) !=
                            custom_calls.end();
        const std::string_view kind = custom ? "custom" : "function";
        const bool none = call->arguments.empty() && !custom;
        json.begin_object();
        json.key("id");
        json.string(call->id);
        json.key("type");
        json.string(kind);
        json.key(kind);
        json.begin_object();
        json.key("name");
        json.string(wire_tool_name(call->name, strict_tool_names));
        json.key(custom ? "input" : "arguments");
        json.string(none ? std::string_view("{}") : call->arguments);
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

UnknownBlock marked_as_custom(const std::string& call_id) {
    std::string raw;
    JsonWriter json(raw);
    json.begin_object();
    json.key(custom_call_mark);
    json.string(call_id);
    json.end_object();
    return {std::string(openai_chat_name), RawJson::trusted(std::move(raw))};
}

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
        write_tool_calls(json, parts);
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
