#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_errors.hpp"
#include "providers/openai_fields.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

/// The members of a message; they become blocks in a fixed order whatever order they came in.
struct MessageParts {
    std::string thinking;
    std::optional<RawJson> reasoning_details;
    std::vector<ContentBlock> content;
    std::string refusal;
    bool refused = false;
    std::vector<ToolCallBlock> calls;
    std::optional<RawJson> annotations;
    std::vector<UnknownBlock> extras;
    std::vector<UnknownBlock> marks;  ///< Of calls that are no functions'.
};

UnknownBlock raw_block(std::string_view raw) {
    return {std::string(openai_chat_name), RawJson::trusted(std::string(raw))};
}

/// Text of a part whose value may be a string or again a list of text parts (Mistral).
std::string read_part_text(JsonReader& reader) {
    if (reader.peek() != JsonKind::array) {
        return read_string_or_empty(reader);
    }
    std::string text;
    reader.begin_array();
    while (reader.next_element()) {
        if (reader.peek() != JsonKind::object) {
            reader.skip();
            continue;
        }
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key == "text") {
                text += read_string_or_empty(reader);
            } else {
                reader.skip();
            }
        }
    }
    return text;
}

void read_content_part(JsonReader& reader, MessageParts& parts) {
    const std::string_view raw = reader.raw();
    JsonReader part(raw);
    std::string type;
    std::string text;
    part.begin_object();
    std::string_view key;
    while (part.next_key(key)) {
        if (key == "type") {
            type = read_string_or_empty(part);
        } else if (key == "text" || key == "refusal" || key == "thinking") {
            text = read_part_text(part);
        } else {
            part.skip();
        }
    }
    if (type == "text" || type == "output_text") {
        parts.content.emplace_back(TextBlock(std::move(text)));
    } else if (type == "refusal") {
        parts.refusal += text;
        parts.refused = true;
    } else if (type == "thinking") {
        parts.thinking += text;
    } else {
        parts.content.emplace_back(raw_block(raw));
    }
}

void read_content(JsonReader& reader, MessageParts& parts) {
    if (reader.consume_null()) {
        return;
    }
    if (reader.peek() == JsonKind::string) {
        std::string text = reader.string();
        if (!text.empty()) {
            parts.content.emplace_back(TextBlock(std::move(text)));
        }
        return;
    }
    reader.begin_array();
    while (reader.next_element()) {
        read_content_part(reader, parts);
    }
}

/// `function`, `custom` or the legacy `function_call`.
void read_function(JsonReader& reader, ToolCallBlock& call) {
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "name") {
            call.name = read_string_or_empty(reader);
        } else if (key == "arguments" || key == "input") {
            call.arguments = read_arguments(reader);
        } else {
            reader.skip();
        }
    }
}

void add_call(MessageParts& parts, ToolCallBlock call) {
    if (call.name.empty()) {
        throw malformed("the reply", "a tool call has no name");
    }
    if (call.id.empty()) {
        call.id = make_tool_call_id();
    }
    parts.calls.push_back(std::move(call));
}

void read_tool_calls(JsonReader& reader, MessageParts& parts) {
    if (reader.consume_null()) {
        return;
    }
    reader.begin_array();
    while (reader.next_element()) {
        ToolCallBlock call;
        bool custom = false;
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key == "id") {
                call.id = read_string_or_empty(reader);
            } else if (key == "function" || key == "custom") {
                custom = key == "custom";
                read_function(reader, call);
            } else {
                reader.skip();
            }
        }
        add_call(parts, std::move(call));
        if (custom) {
            parts.marks.push_back(marked_as_custom(parts.calls.back().id));
        }
    }
}

bool holds_something(std::string_view raw) {
    return raw != "null" && raw != "[]" && raw != "{}" && raw != "\"\"";
}

void read_message_member(JsonReader& reader, std::string_view key, MessageParts& parts) {
    if (key == "content") {
        read_content(reader, parts);
    } else if (key == "refusal") {
        if (!reader.consume_null()) {
            parts.refusal = reader.string();
            parts.refused = !parts.refusal.empty();
        }
    } else if (key == "tool_calls") {
        read_tool_calls(reader, parts);
    } else if (key == "reasoning" || key == "reasoning_content") {
        // Some servers send the same text under both names.
        std::string text = read_string_or_empty(reader);
        parts.thinking = parts.thinking.empty() ? std::move(text) : parts.thinking;
    } else if (key == "function_call") {
        if (!reader.consume_null()) {
            ToolCallBlock call;
            read_function(reader, call);
            add_call(parts, std::move(call));
        }
    } else {
        const std::string name(key);
        const std::string_view raw = reader.raw();
        if (!holds_something(raw)) {
            return;
        }
        if (name == "reasoning_details") {
            parts.reasoning_details = RawJson::trusted(std::string(raw));
        } else if (name == "annotations") {
            parts.annotations = RawJson::trusted(std::string(raw));
        } else if (name == "audio" || name == "images") {
            parts.extras.push_back(raw_block("{\"" + name + "\":" + std::string(raw) + "}"));
        }
    }
}

Message build_message(MessageParts parts) {
    std::vector<ContentBlock> blocks;
    if (!parts.thinking.empty() || parts.reasoning_details) {
        ThinkingBlock thinking(std::move(parts.thinking));
        thinking.opaque = std::move(parts.reasoning_details);
        blocks.emplace_back(std::move(thinking));
    }
    TextBlock* last_text = nullptr;
    blocks.reserve(blocks.size() + parts.content.size() + parts.calls.size() + 2);
    for (ContentBlock& block : parts.content) {
        blocks.push_back(std::move(block));
        auto* const text = std::get_if<TextBlock>(&blocks.back());
        last_text = text != nullptr ? text : last_text;
    }
    if (last_text != nullptr) {
        last_text->citations = std::move(parts.annotations);
    }
    if (parts.refused) {
        blocks.emplace_back(TextBlock::refused(std::move(parts.refusal)));
    }
    for (UnknownBlock& extra : parts.extras) {
        blocks.emplace_back(std::move(extra));
    }
    for (ToolCallBlock& call : parts.calls) {
        blocks.emplace_back(std::move(call));
    }
    for (UnknownBlock& mark : parts.marks) {
        blocks.emplace_back(std::move(mark));
    }
    return {Role::assistant, std::move(blocks)};
}

void read_choice(JsonReader& reader, ChatReply& reply) {
    MessageParts parts;
    bool has_message = false;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "message") {
            has_message = true;
            reader.begin_object();
            while (reader.next_key(key)) {
                read_message_member(reader, key, parts);
            }
        } else if (key == "finish_reason") {
            reply.raw_stop_reason = read_string_or_empty(reader);
        } else if (key == "error") {
            throw_if_reported(reader);
        } else {
            reader.skip();
        }
    }
    if (reply.raw_stop_reason == "error") {
        ProviderError error;
        error.message = "the reply ended with finish_reason error";
        throw_reported(std::move(error));
    }
    if (!has_message) {
        throw malformed("the reply", "its first choice has no message");
    }
    reply.stop_reason =
        openai_stop_reason(reply.raw_stop_reason, !parts.calls.empty(), parts.refused);
    reply.message = build_message(std::move(parts));
}

/// Only the first choice: this library never asks for more.
bool read_choices(JsonReader& reader, ChatReply& reply) {
    if (reader.consume_null()) {
        return false;
    }
    reader.begin_array();
    bool found = false;
    while (reader.next_element()) {
        if (found) {
            reader.skip();
        } else {
            read_choice(reader, reply);
            found = true;
        }
    }
    return found;
}

ChatReply read_reply(std::string_view body) {
    ChatReply reply;
    bool has_choice = false;
    JsonReader reader(body);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "choices") {
            has_choice = read_choices(reader, reply);
        } else if (key == "id") {
            reply.id = read_string_or_empty(reader);
        } else if (key == "model") {
            reply.model = read_string_or_empty(reader);
        } else if (key == "usage" && reader.peek() == JsonKind::object) {
            reply.usage = read_openai_usage(reader);
        } else if (key == "error") {
            throw_if_reported(reader);
        } else {
            reader.skip();
        }
    }
    reader.finish();
    if (!has_choice) {
        throw malformed("the reply", "it has no choices");
    }
    return reply;
}

}  // namespace

ChatReply decode_chat_reply(const HttpResponse& response) {
    return read_answer(openai_chat_words, "the reply", [&] { return read_reply(response.body); });
}

}  // namespace llmproc::providers
