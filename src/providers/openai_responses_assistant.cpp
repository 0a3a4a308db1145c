#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/json_members.hpp"
#include "providers/openai_fields.hpp"
#include "providers/openai_responses.hpp"
#include "providers/request_parts.hpp"
#include "providers/tool_names.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc::providers {

namespace {

/// What a raw value of this protocol is; see the head of openai_responses.hpp.
enum class RawKind { item, message_frame, call_frame, part };

RawKind kind_of(std::string_view raw) {
    check_raw_item(raw);
    bool content = false;
    bool name = false;
    std::string type;
    JsonReader reader(raw);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        content = content || key == "content";
        name = name || key == "name";
        if (key == "type" && reader.peek() == JsonKind::string) {
            type = reader.string();
        } else {
            reader.skip();
        }
    }
    if (type == "message" && !content) {
        return RawKind::message_frame;
    }
    if (type == "function_call" && !name) {
        return RawKind::call_frame;
    }
    return type.empty() && content ? RawKind::part : RawKind::item;
}

/// Puts the items of one message together again.
class AssistantItems {
public:
    explicit AssistantItems(std::string& out) : json_(out) {}

    void add(const ContentBlock& block);
    void finish() { close_message(); }

private:
    void add_unknown(const UnknownBlock& block);
    void add_thinking(const ThinkingBlock& thinking);
    void add_call(const ToolCallBlock& call);
    void close_message();
    void write_held();
    void write_part(const ContentBlock& part);

    JsonWriter json_;
    bool open_ = false;                       ///< A message item is being collected.
    const RawJson* frame_ = nullptr;          ///< Of the open message.
    std::vector<const ContentBlock*> parts_;  ///< Of the open message.
    const RawJson* call_frame_ = nullptr;     ///< Of the call that should come next.
    std::vector<const RawJson*> held_;        ///< Reasoning that nothing has followed yet.
};

void AssistantItems::add(const ContentBlock& block) {
    if (std::holds_alternative<TextBlock>(block)) {
        open_ = true;
        parts_.push_back(&block);
    } else if (const auto* unknown = std::get_if<UnknownBlock>(&block)) {
        if (!is_block_of(*unknown, openai_responses_name)) {
            return;
        }
        if (kind_of(unknown->raw.text()) == RawKind::part) {
            open_ = true;
            parts_.push_back(&block);
        } else {
            add_unknown(*unknown);
        }
    } else if (const auto* call = std::get_if<ToolCallBlock>(&block)) {
        add_call(*call);
    } else if (const auto* thinking = std::get_if<ThinkingBlock>(&block)) {
        add_thinking(*thinking);
    } else if (std::holds_alternative<ToolResultBlock>(block)) {
        block_misplaced("tool result", Role::assistant);
    } else if (!std::holds_alternative<RedactedThinkingBlock>(block) && !is_cache_point(block)) {
        part_not_supported(
            openai_responses_words,
            "media of the assistant",
            "move them to a user message"
        );
    }
}

void AssistantItems::add_unknown(const UnknownBlock& block) {
    close_message();
    switch (kind_of(block.raw.text())) {
        case RawKind::message_frame:
            open_ = true;
            frame_ = &block.raw;
            return;
        case RawKind::call_frame: call_frame_ = &block.raw; return;
        default:
            write_held();
            write_raw_item(json_, block.raw);
            return;
    }
}

/// Only reasoning items of this protocol go back, as they are, and only before what they led to:
/// one that a limit cut off would make every later request a 400.
void AssistantItems::add_thinking(const ThinkingBlock& thinking) {
    if (!thinking.opaque || JsonReader(thinking.opaque->text()).peek() != JsonKind::object ||
        string_member(thinking.opaque->text(), "type") != "reasoning") {
        return;
    }
    close_message();
    held_.push_back(&*thinking.opaque);
}

void AssistantItems::write_held() {
    for (const RawJson* item : held_) {
        json_.raw(item->text());
    }
    held_.clear();
}

void AssistantItems::add_call(const ToolCallBlock& call) {
    close_message();
    write_held();
    const RawJson* frame = std::exchange(call_frame_, nullptr);
    json_.begin_object();
    if (frame != nullptr && read_call_head(frame->text()).id == call.id) {
        write_members(json_, frame->text());
    } else {
        json_.key("type");
        json_.string("function_call");
        json_.key("call_id");
        json_.string(call.id);
    }
    json_.key("name");
    json_.string(wire_tool_name(call.name, strict_tool_names));
    json_.key("arguments");
    json_.string(call.arguments.empty() ? std::string_view("{}") : call.arguments);
    json_.end_object();
}

void AssistantItems::write_part(const ContentBlock& part) {
    if (const auto* unknown = std::get_if<UnknownBlock>(&part)) {
        for (const auto& [name, value] : read_members(unknown->raw.text())) {
            JsonReader elements(value);
            elements.begin_array();
            while (elements.next_element()) {
                json_.raw(elements.raw());
            }
        }
        return;
    }
    const auto& text = std::get<TextBlock>(part);
    json_.begin_object();
    json_.key("type");
    json_.string(text.refusal ? "refusal" : "output_text");
    json_.key(text.refusal ? "refusal" : "text");
    json_.string(text.text);
    if (!text.refusal) {
        json_.key("annotations");
        // Without a frame the citations may be another protocol's.
        const bool own = frame_ != nullptr && text.citations;
        json_.raw(own ? std::string_view(text.citations->text()) : std::string_view("[]"));
    }
    json_.end_object();
}

void AssistantItems::close_message() {
    if (!std::exchange(open_, false)) {
        return;
    }
    write_held();
    const auto* only = parts_.size() == 1 ? std::get_if<TextBlock>(parts_.front()) : nullptr;
    json_.begin_object();
    if (frame_ != nullptr) {
        write_members(json_, frame_->text());
    } else {
        json_.key("type");
        json_.string("message");
        json_.key("role");
        json_.string("assistant");
    }
    json_.key("content");
    if (frame_ == nullptr && only != nullptr && !only->refusal) {
        json_.string(only->text);
    } else {
        json_.begin_array();
        for (const ContentBlock* part : parts_) {
            write_part(*part);
        }
        json_.end_array();
    }
    json_.end_object();
    frame_ = nullptr;
    parts_.clear();
}

}  // namespace

void append_assistant_items(std::string& out, const Message& message) {
    AssistantItems items(out);
    for (const ContentBlock& block : message.content()) {
        items.add(block);
    }
    items.finish();
}

}  // namespace llmproc::providers
