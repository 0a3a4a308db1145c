#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/openai_fields.hpp"
#include "providers/openai_responses.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

namespace {

UnknownBlock raw_block(std::string text) {
    return {std::string(openai_responses_name), RawJson::trusted(std::move(text))};
}

/// The members of an item that no block has a place for.
class Frame {
public:
    Frame() : json_(text_) { json_.begin_object(); }

    /// Keeps the member; `telling` = it says more than the blocks do.
    void keep(std::string_view name, JsonReader& reader, bool telling) {
        const std::string key(name);
        json_.key(key);
        json_.raw(reader.raw());
        telling_ = telling_ || telling;
    }

    void add_to(std::vector<ContentBlock>& blocks) {
        json_.end_object();
        if (telling_) {
            blocks.emplace_back(raw_block(std::move(text_)));
        }
    }

private:
    std::string text_;
    JsonWriter json_;
    bool telling_ = false;
};

// --- messages ------------------------------------------------------------------------------------

void read_part(std::string_view raw, std::vector<ContentBlock>& blocks) {
    JsonReader reader(raw);
    std::string type;
    std::string text;
    std::optional<RawJson> annotations;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "type") {
            type = read_string_or_empty(reader);
        } else if (key == "text" || key == "refusal") {
            text = read_string_or_empty(reader);
        } else if (key == "annotations" && reader.peek() == JsonKind::array) {
            annotations = RawJson::trusted(std::string(reader.raw()));
        } else {
            reader.skip();
        }
    }
    if (type == "refusal") {
        blocks.emplace_back(TextBlock::refused(std::move(text)));
    } else if (type == "output_text" || type == "text") {
        TextBlock block(std::move(text));
        JsonReader list(annotations ? std::string_view(annotations->text()) : "[]");
        list.begin_array();
        if (list.next_element()) {
            block.citations = std::move(annotations);
        }
        blocks.emplace_back(std::move(block));
    } else {
        blocks.emplace_back(raw_block("{\"content\":[" + std::string(raw) + "]}"));
    }
}

void read_content(JsonReader& reader, std::vector<ContentBlock>& blocks) {
    if (reader.peek() == JsonKind::string) {
        blocks.emplace_back(TextBlock(reader.string()));
    } else if (!reader.consume_null()) {
        reader.begin_array();
        while (reader.next_element()) {
            read_part(reader.raw(), blocks);
        }
    }
}

void read_message(std::string_view item, std::vector<ContentBlock>& blocks) {
    Frame frame;
    std::vector<ContentBlock> parts;
    JsonReader reader(item);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "content") {
            read_content(reader, parts);
        } else if (key == "created_by") {
            reader.skip();
        } else {
            const bool usual = key == "type" || key == "role" || key == "status";
            frame.keep(key, reader, !usual && reader.peek() != JsonKind::null);
        }
    }
    frame.add_to(blocks);
    for (ContentBlock& part : parts) {
        blocks.push_back(std::move(part));
    }
}

// --- reasoning -----------------------------------------------------------------------------------

/// Appends the `text` members of a list of parts, as paragraphs.
void append_paragraphs(JsonReader& reader, std::string& text) {
    if (reader.peek() != JsonKind::array) {
        reader.skip();
        return;
    }
    reader.begin_array();
    while (reader.next_element()) {
        const std::string part = string_member(reader.raw(), "text");
        if (!part.empty()) {
            text += text.empty() ? "" : "\n\n";
            text += part;
        }
    }
}

void read_reasoning(std::string_view item, std::vector<ContentBlock>& blocks) {
    std::string summary;
    std::string content;
    JsonReader reader(item);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "summary") {
            append_paragraphs(reader, summary);
        } else if (key == "content") {
            append_paragraphs(reader, content);
        } else {
            reader.skip();
        }
    }
    if (!summary.empty() && !content.empty()) {
        summary += "\n\n";
    }
    ThinkingBlock block(summary + content);
    block.opaque = RawJson::trusted(std::string(item));
    blocks.emplace_back(std::move(block));
}

// --- calls ---------------------------------------------------------------------------------------

void read_call(std::string_view item, std::vector<ContentBlock>& blocks) {
    CallHead head = read_call_head(item);
    if (head.name.empty() || head.id.empty()) {
        throw malformed_response("the reply", "a function_call lacks its name or call_id");
    }
    Frame frame;
    ToolCallBlock call(std::move(head.id), std::move(head.name), "");
    JsonReader reader(item);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "arguments") {
            call.arguments = read_arguments(reader);
        } else if (key == "name" || key == "created_by") {
            reader.skip();
        } else {
            const bool usual = key == "type" || key == "call_id" || key == "status";
            frame.keep(key, reader, !usual && reader.peek() != JsonKind::null);
        }
    }
    frame.add_to(blocks);
    blocks.emplace_back(std::move(call));
}

}  // namespace

CallHead read_call_head(std::string_view item) {
    CallHead head;
    std::string own_id;
    JsonReader reader(item);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "call_id") {
            head.id = read_string_or_empty(reader);
        } else if (key == "id") {
            own_id = read_string_or_empty(reader);
        } else if (key == "name") {
            head.name = read_string_or_empty(reader);
        } else {
            reader.skip();
        }
    }
    if (head.id.empty()) {
        head.id = std::move(own_id);
    }
    return head;
}

void read_output_item(std::string_view item, std::vector<ContentBlock>& blocks) {
    const std::string type = string_member(item, "type");
    if (type == "message") {
        read_message(item, blocks);
    } else if (type == "reasoning") {
        read_reasoning(item, blocks);
    } else if (type == "function_call") {
        read_call(item, blocks);
    } else if (type.empty()) {
        throw malformed_response("the reply", "an output item has no type");
    } else {
        blocks.emplace_back(raw_block(std::string(item)));
    }
}

}  // namespace llmproc::providers
