#include "core/json_writer.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_chat_parts.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llmproc::providers {

namespace {

void write_user_part(JsonWriter& json, const ContentBlock& block, Role role) {
    if (const auto* text = std::get_if<TextBlock>(&block)) {
        write_text_part(json, text->text);
    } else if (const auto* image = std::get_if<ImageBlock>(&block)) {
        write_image_part(json, *image);
    } else if (const auto* document = std::get_if<DocumentBlock>(&block)) {
        write_document_part(json, *document);
    } else if (const auto* audio = std::get_if<AudioBlock>(&block)) {
        write_audio_part(json, *audio);
    } else if (const auto* unknown = std::get_if<UnknownBlock>(&block)) {
        if (is_chat_block(*unknown)) {
            json.raw(unknown->raw.text());
        }
    } else if (std::holds_alternative<ToolCallBlock>(block)) {
        block_misplaced("tool call", role);
    } else if (!std::holds_alternative<ToolResultBlock>(block) && !is_cache_point(block)) {
        block_misplaced("thinking", role);
    }
}

bool is_result(const ContentBlock& block) {
    return std::holds_alternative<ToolResultBlock>(block);
}

/// Everything but tool results, as one message.
void write_plain_message(JsonWriter& json, const Message& message, std::string_view role_name) {
    const auto& blocks = message.content();
    json.begin_object();
    json.key("role");
    json.string(role_name);
    json.key("content");
    const auto said = std::find_if_not(blocks.begin(), blocks.end(), is_cache_point);
    if (said == blocks.end()) {
        json.string("");
    } else if (const auto* only = std::get_if<TextBlock>(&*said);
               only && count_said_blocks(message) == 1) {
        json.string(only->text);
    } else {
        json.begin_array();
        for (const ContentBlock& block : blocks) {
            write_user_part(json, block, message.role());
        }
        json.end_array();
    }
    json.end_object();
}

/// A result's own message holds text only; whether something else is left is returned.
bool write_tool_result(JsonWriter& json, const ToolResultBlock& result) {
    std::vector<const TextBlock*> texts;
    for (const ToolResultContent& part : result.content) {
        if (const auto* text = std::get_if<TextBlock>(&part)) {
            texts.push_back(text);
        }
    }
    const bool media = texts.size() != result.content.size();
    // The protocol has no error flag: the text must say it.
    const auto marked = [&](const std::string& text) {
        return result.is_error ? marked_as_error(text) : text;
    };
    json.begin_object();
    json.key("role");
    json.string("tool");
    json.key("tool_call_id");
    json.string(result.call_id);
    json.key("content");
    if (texts.empty()) {
        json.string(marked(media ? "The result follows in the next user message." : ""));
    } else if (texts.size() == 1) {
        json.string(marked(texts[0]->text));
    } else {
        json.begin_array();
        write_text_part(json, marked(texts[0]->text));
        std::for_each(texts.begin() + 1, texts.end(), [&](const TextBlock* text) {
            write_text_part(json, text->text);
        });
        json.end_array();
    }
    json.end_object();
    return media;
}

/// Images, documents and sound of results, for the user message behind the results.
void write_result_media(JsonWriter& json, const ToolResultBlock& result) {
    bool titled = false;
    for (const ToolResultContent& part : result.content) {
        if (std::holds_alternative<TextBlock>(part)) {
            continue;
        }
        if (!titled) {
            write_text_part(json, "Result of the tool call " + result.call_id + ":");
            titled = true;
        }
        if (const auto* image = std::get_if<ImageBlock>(&part)) {
            write_image_part(json, *image);
        } else if (const auto* document = std::get_if<DocumentBlock>(&part)) {
            write_document_part(json, *document);
        } else {
            write_audio_part(json, std::get<AudioBlock>(part));
        }
    }
}

void append_with_results(std::string& out, const Message& message) {
    JsonWriter json(out);
    bool media = false;
    Message rest(message.role(), std::vector<ContentBlock>());
    for (const ContentBlock& block : message.content()) {
        if (const auto* result = std::get_if<ToolResultBlock>(&block)) {
            media = write_tool_result(json, *result) || media;
        } else if (is_cache_point(block)) {
            continue;
        } else if (message.role() == Role::tool) {
            holds_only("tool results", Role::tool);
        } else {
            rest.add(block);
        }
    }
    if (media) {
        out.push_back('\0');
        JsonWriter later(out);
        later.begin_object();
        later.key("role");
        later.string("user");
        later.key("content");
        later.begin_array();
        for (const ContentBlock& block : message.content()) {
            if (const auto* result = std::get_if<ToolResultBlock>(&block)) {
                write_result_media(later, *result);
            }
        }
        later.end_array();
        later.end_object();
        if (!rest.content().empty()) {
            write_plain_message(later, rest, "user");
        }
    } else if (!rest.content().empty()) {
        write_plain_message(json, rest, "user");
    }
}

}  // namespace

void append_chat_message(std::string& out, const Message& message, bool developer_role) {
    if (message.role() == Role::assistant) {
        append_assistant_message(out, message);
        return;
    }
    const auto& blocks = message.content();
    if (message.role() == Role::tool || std::any_of(blocks.begin(), blocks.end(), is_result)) {
        if (message.role() == Role::system) {
            block_misplaced("tool result", Role::system);
        }
        append_with_results(out, message);
        return;
    }
    JsonWriter json(out);
    std::string_view role = to_string(message.role());
    if (message.role() == Role::system && developer_role) {
        role = "developer";
    }
    write_plain_message(json, message, role);
}

}  // namespace llmproc::providers
