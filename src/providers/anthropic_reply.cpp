#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/anthropic.hpp"
#include "providers/openai_fields.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

/// The members of a content block, as its type will need them.
struct BlockParts {
    std::string type;
    std::string text;  ///< `text`, `thinking` or `data`.
    std::string signature;
    std::string id;
    std::string name;
    std::string_view input;
    std::string_view citations;
    std::string others;  ///< Unknown members as JSON text, comma separated.
};

bool is_direct_caller(std::string_view raw) {
    JsonReader reader(raw);
    if (reader.peek() != JsonKind::object) {
        return false;
    }
    reader.begin_object();
    std::string_view key;
    return reader.next_key(key) && key == "type" && read_string_or_empty(reader) == "direct";
}

void read_other(JsonReader& reader, std::string_view key, BlockParts& parts) {
    const std::string name(key);
    const std::string_view raw = reader.raw();
    // The rule is not worth a block of its own.
    if (raw == "null" || (name == "caller" && is_direct_caller(raw))) {
        return;
    }
    parts.others += parts.others.empty() ? "" : ",";
    append_json_string(parts.others, name);
    parts.others.append(":").append(raw);
}

void read_member(JsonReader& reader, std::string_view key, BlockParts& parts) {
    if (key == "type") {
        parts.type = read_string_or_empty(reader);
    } else if (key == "text" || key == "thinking" || key == "data") {
        parts.text = read_string_or_empty(reader);
    } else if (key == "signature") {
        parts.signature = read_string_or_empty(reader);
    } else if (key == "id") {
        parts.id = read_string_or_empty(reader);
    } else if (key == "name") {
        parts.name = read_string_or_empty(reader);
    } else if (key == "input") {
        parts.input = reader.raw();
    } else if (key == "citations") {
        parts.citations = reader.raw();
    } else {
        read_other(reader, key, parts);
    }
}

BlockParts read_parts(std::string_view raw) {
    BlockParts parts;
    JsonReader reader(raw);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        read_member(reader, key, parts);
    }
    return parts;
}

void add_text(BlockParts parts, std::vector<ContentBlock>& out) {
    const bool cited = parts.citations.starts_with('[') &&
                       trimmed(parts.citations.substr(1)).front() != ']';
    if (parts.text.empty() && !cited) {
        return;
    }
    TextBlock text(std::move(parts.text));
    if (cited) {
        text.citations = RawJson::trusted(std::string(parts.citations));
    }
    out.emplace_back(std::move(text));
}

void add_tool_call(BlockParts parts, std::vector<ContentBlock>& out) {
    if (parts.name.empty()) {
        throw malformed_anthropic("the reply", "a tool call has no name");
    }
    if (!parts.others.empty()) {
        // Goes back with the call, which has no place for it.
        out.emplace_back(UnknownBlock(
            std::string(anthropic_name),
            RawJson::trusted("{\"tool_use\":{" + parts.others + "}}")
        ));
    }
    const bool empty = parts.input.empty() || parts.input == "null";
    out.emplace_back(ToolCallBlock(
        parts.id.empty() ? make_tool_call_id() : std::move(parts.id),
        std::move(parts.name),
        empty ? "{}" : std::string(parts.input)
    ));
}

void read_content(JsonReader& reader, std::vector<ContentBlock>& blocks) {
    reader.begin_array();
    while (reader.next_element()) {
        read_anthropic_block(reader.raw(), blocks);
    }
}

ChatReply read_reply(std::string_view body) {
    ChatReply reply;
    std::optional<std::vector<ContentBlock>> blocks;
    AnthropicStop stop;
    AnthropicCounts counts;
    JsonReader reader(body);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "content") {
            read_content(reader, blocks.emplace());
        } else if (key == "id") {
            reply.id = read_string_or_empty(reader);
        } else if (key == "model") {
            reply.model = read_string_or_empty(reader);
        } else if (key == "usage" && reader.peek() == JsonKind::object) {
            counts.read(reader);
        } else if (key == "error" && reader.peek() != JsonKind::null) {
            throw_anthropic_error(body);
        } else if (!stop.read(reader, key)) {
            reader.skip();
        }
    }
    reader.finish();
    if (!blocks) {
        throw malformed_anthropic("the reply", "it has no content");
    }
    reply.message = Message(Role::assistant, std::move(*blocks));
    stop.complete(reply.message);
    reply.stop_reason = stop.reason(reply.message.has_tool_calls());
    reply.raw_stop_reason = stop.word();
    reply.usage = counts.usage();
    return reply;
}

TokenCount read_count_body(std::string_view body) {
    std::optional<std::int64_t> tokens;
    JsonReader reader(body);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "input_tokens") {
            tokens = reader.integer();
        } else if (key == "error" && reader.peek() != JsonKind::null) {
            throw_anthropic_error(body);
        } else {
            reader.skip();
        }
    }
    reader.finish();
    if (!tokens || *tokens < 0) {
        throw malformed_anthropic("the token count", "it has no input_tokens");
    }
    TokenCount count;
    count.input_tokens = *tokens;
    count.exact = true;
    count.source = TokenSource::provider;
    return count;
}

}  // namespace

void read_anthropic_block(std::string_view raw, std::vector<ContentBlock>& out) {
    BlockParts parts = read_parts(raw);
    if (parts.type.empty()) {
        throw malformed_anthropic("the reply", "a content block has no type");
    }
    if (parts.type == "text") {
        add_text(std::move(parts), out);
    } else if (parts.type == "tool_use") {
        add_tool_call(std::move(parts), out);
    } else if (parts.type == "redacted_thinking") {
        out.emplace_back(RedactedThinkingBlock(std::move(parts.text)));
    } else if (parts.type == "thinking") {
        ThinkingBlock thinking(std::move(parts.text), std::move(parts.signature));
        // What a signature alone does not bring back exactly, the raw block does.
        if (!parts.others.empty() || thinking.signature.empty()) {
            thinking.opaque = RawJson::trusted(std::string(raw));
        }
        out.emplace_back(std::move(thinking));
    } else {
        out.emplace_back(
            UnknownBlock(std::string(anthropic_name), RawJson::trusted(std::string(raw)))
        );
    }
}

ChatReply decode_anthropic_reply(const HttpResponse& response) {
    return read_anthropic("the reply", [&] { return read_reply(response.body); });
}

TokenCount decode_anthropic_count(std::string_view body) {
    return read_anthropic("the token count", [&] { return read_count_body(body); });
}

}  // namespace llmproc::providers
