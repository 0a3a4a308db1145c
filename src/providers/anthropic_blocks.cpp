#include "providers/anthropic_blocks.hpp"

#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/anthropic.hpp"
#include "providers/json_members.hpp"
#include "providers/openai_fields.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <utility>

namespace llmproc::providers {

namespace {

constexpr std::size_t max_blocks = 4096;

LLMError broken(std::string_view detail) {
    return malformed_anthropic("the stream", detail);
}

void emit(StreamEvent::Type type, std::string_view piece, StreamEvents& out) {
    if (!piece.empty()) {
        out.emplace_back(type, std::string(piece));
    }
}

void add_element(std::string& list, std::string_view element) {
    list.append(list.empty() ? "" : ",").append(element);
}

/// The members of a block's beginning that deltas go on with.
struct Start {
    std::string type;
    std::string text;
    std::string signature;
    std::string citations;
    std::string id;
    std::string name;
};

Start read_start(std::string_view raw) {
    Start start;
    JsonReader reader(raw);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "type") {
            start.type = read_string_or_empty(reader);
        } else if (key == "text" || key == "thinking") {
            start.text = read_string_or_empty(reader);
        } else if (key == "signature") {
            start.signature = read_string_or_empty(reader);
        } else if (key == "id") {
            start.id = read_string_or_empty(reader);
        } else if (key == "name") {
            start.name = read_string_or_empty(reader);
        } else if (key == "citations" && reader.peek() == JsonKind::array) {
            reader.begin_array();
            while (reader.next_element()) {
                add_element(start.citations, reader.raw());
            }
        } else {
            reader.skip();
        }
    }
    return start;
}

}  // namespace

AnthropicBlocks::Block& AnthropicBlocks::open_block(std::int64_t index) {
    // From the end: it is nearly always the last one.
    const auto found = std::find_if(blocks_.rbegin(), blocks_.rend(), [index](const Block& block) {
        return block.index == index;
    });
    if (found == blocks_.rend() || !found->open) {
        throw broken("an event belongs to no open content block");
    }
    return *found;
}

void AnthropicBlocks::start(std::int64_t index, std::string_view raw, StreamEvents& out) {
    const bool known = std::any_of(blocks_.begin(), blocks_.end(), [index](const Block& block) {
        return block.index == index;
    });
    if (known || index < 0) {
        throw broken("a content block has a number that is taken or negative");
    }
    if (blocks_.size() >= max_blocks) {
        throw broken("it has more than 4096 content blocks");
    }
    Start start = read_start(raw);
    if (start.type.empty()) {
        throw broken("a content block has no type");
    }
    Block& block = blocks_.emplace_back();
    block.index = index;
    block.type = std::move(start.type);
    block.start = raw;
    block.text = std::move(start.text);
    block.signature = std::move(start.signature);
    block.citations = std::move(start.citations);
    if (block.type == "text") {
        emit(StreamEvent::Type::text, block.text, out);
    } else if (block.type == "thinking") {
        emit(StreamEvent::Type::thinking, block.text, out);
    } else if (block.type == "tool_use") {
        begin_call(block, std::move(start.id), std::move(start.name), out);
    }
}

void AnthropicBlocks::begin_call(
    Block& block,
    std::string id,
    std::string name,
    StreamEvents& out
) {
    if (name.empty()) {
        throw broken("a tool call has no name");
    }
    if (id.empty()) {
        id = make_tool_call_id();
        block.start = merge_members(block.start, R"({"id":")" + id + R"("})");
    }
    block.call = calls_++;
    out.push_back(StreamEvent::tool_call(block.call, std::move(id), std::move(name)));
}

bool AnthropicBlocks::add(std::int64_t index, const AnthropicDelta& delta, StreamEvents& out) {
    Block& block = open_block(index);
    if (delta.type == "text_delta" && block.type == "text") {
        block.text += delta.text;
        emit(StreamEvent::Type::text, delta.text, out);
    } else if (delta.type == "thinking_delta" && block.type == "thinking") {
        block.text += delta.thinking;
        emit(StreamEvent::Type::thinking, delta.thinking, out);
    } else if (delta.type == "signature_delta" && block.type == "thinking") {
        block.signature = delta.signature;
    } else if (delta.type == "input_json_delta") {
        block.input += delta.partial_json;
        if (block.type == "tool_use" && !delta.partial_json.empty()) {
            std::string piece(delta.partial_json);
            out.push_back(StreamEvent::tool_arguments(block.call, std::move(piece)));
        }
    } else if (delta.type == "citations_delta" && block.type == "text") {
        if (!delta.citation.empty()) {
            add_element(block.citations, delta.citation);
            std::string raw = "{\"citation\":" + std::string(delta.citation) + "}";
            out.emplace_back(StreamEvent::Type::other, std::move(raw));
        }
    } else {
        return false;
    }
    return true;
}

void AnthropicBlocks::stop(std::int64_t index, StreamEvents& out) {
    Block& block = open_block(index);
    block.open = false;
    if (block.type == "tool_use") {
        finish_call(block, out);
        return;
    }
    if (block.type == "text") {
        finish_text(block);
        return;
    }
    std::string members;
    JsonWriter json(members);
    json.begin_object();
    if (block.type == "thinking") {
        json.key("thinking");
        json.string(block.text);
        json.key("signature");
        json.string(block.signature);
    } else if (!block.input.empty()) {
        json.key("input");
        write_anthropic_input(json, block.input);
    }
    json.end_object();
    const bool same = members == "{}";
    read_anthropic_block(same ? block.start : merge_members(block.start, members), block.content);
    block.start.clear();
    block.text.clear();
    if (!block.content.empty()) {
        if (const auto* unknown = std::get_if<UnknownBlock>(&block.content.back())) {
            out.emplace_back(StreamEvent::Type::other, unknown->raw.text());
        }
    }
}

void AnthropicBlocks::finish_text(Block& block) {
    block.start.clear();
    if (block.text.empty() && block.citations.empty()) {
        return;
    }
    TextBlock text(std::move(block.text));
    if (!block.citations.empty()) {
        text.citations = RawJson::trusted("[" + block.citations + "]");
    }
    block.content.emplace_back(std::move(text));
}

/// The arguments stay the exact text of the pieces; without any, the beginning has them.
void AnthropicBlocks::finish_call(Block& block, StreamEvents& out) {
    read_anthropic_block(block.start, block.content);
    auto& call = std::get<ToolCallBlock>(block.content.back());
    if (block.input.empty()) {
        out.push_back(StreamEvent::tool_arguments(block.call, call.arguments));
    } else {
        call.arguments = std::move(block.input);
    }
}

void AnthropicBlocks::finish() const {
    if (std::any_of(blocks_.begin(), blocks_.end(), [](const Block& block) {
            return block.open;
        })) {
        throw broken("a content block has no end");
    }
}

std::vector<ContentBlock> AnthropicBlocks::content() const {
    std::vector<ContentBlock> all;
    for (const Block& block : blocks_) {
        all.insert(all.end(), block.content.begin(), block.content.end());
    }
    return all;
}

}  // namespace llmproc::providers
