#include <llmproc/error.hpp>
#include <llmproc/message.hpp>
#include "core/json_reader.hpp"
#include "model/message_json.hpp"

#include <array>
#include <cstddef>

namespace llmproc {

namespace {

/// A RawJson may use the reader's full depth, and a history wraps it a few levels deeper.
constexpr unsigned max_depth = 512 + 16;

constexpr std::string_view type_expected = R"(a content block with a string member "type")";

/// The "type" of the block that comes next; `reader` is a copy, so the block stays unread.
std::string block_type(JsonReader reader) {
    const JsonReader start = reader;
    std::string type;
    bool found = false;
    std::string_view key;
    if (reader.peek() != JsonKind::object) {
        start.fail(type_expected);
    }
    reader.begin_object();
    while (reader.next_key(key)) {
        if (key == "type" && reader.peek() == JsonKind::string) {
            type = reader.string();
            found = true;
        } else {
            reader.skip();
        }
    }
    if (!found) {
        start.fail(type_expected);
    }
    return type;
}

/// The members of one block or message, as they come; each kind takes those it knows.
struct Members {
    std::optional<std::string> text, id, name, arguments, call_id, data, signature, detail,
        provider, ttl;
    std::optional<RawJson> citations, opaque, raw;
    std::optional<MediaSource> source;
    std::optional<std::vector<ToolResultContent>> content;
    bool refusal = false;
    bool is_error = false;
};

/// A block's member of type string and where it goes.
struct StringMember {
    std::string_view name;
    std::optional<std::string> Members::*field;
};

constexpr std::array string_members = {
    StringMember{"text", &Members::text},
    StringMember{"id", &Members::id},
    StringMember{"name", &Members::name},
    StringMember{"arguments", &Members::arguments},
    StringMember{"call_id", &Members::call_id},
    StringMember{"data", &Members::data},
    StringMember{"signature", &Members::signature},
    StringMember{"detail", &Members::detail},
    StringMember{"provider", &Members::provider},
    StringMember{"ttl", &Members::ttl},
};

struct RawMember {
    std::string_view name;
    std::optional<RawJson> Members::*field;
};

constexpr std::array raw_members = {
    RawMember{"citations", &Members::citations},
    RawMember{"opaque", &Members::opaque},
    RawMember{"raw", &Members::raw},
};

/// Takes a member that a block must have.
template <class Value>
Value required(
    const JsonReader& reader,
    std::optional<Value>& member,
    std::string_view type,
    std::string_view name
) {
    if (!member.has_value()) {
        std::string expected = "a member \"";
        expected.append(name).append("\" in the ").append(type).append(" block before this place");
        reader.fail(expected);
    }
    return std::move(*member);
}

MediaSource::Kind read_kind(JsonReader& reader) {
    const JsonReader start = reader;
    const std::string kind = reader.string();
    if (kind == "base64") {
        return MediaSource::Kind::base64;
    }
    if (kind == "url") {
        return MediaSource::Kind::url;
    }
    if (kind != "file_id") {
        start.fail("a source kind (base64, url or file_id)");
    }
    return MediaSource::Kind::file_id;
}

MediaSource read_source(JsonReader& reader) {
    MediaSource source;
    bool has_kind = false;
    bool has_data = false;
    std::string_view key;
    reader.begin_object();
    while (reader.next_key(key)) {
        if (key == "kind") {
            source.kind = read_kind(reader);
            has_kind = true;
        } else if (key == "data") {
            source.data = reader.string();
            has_data = true;
        } else if (key == "media_type") {
            source.media_type = reader.string();
        } else {
            reader.skip();
        }
    }
    if (!has_kind || !has_data) {
        reader.fail(R"(members "kind" and "data" in the source before this place)");
    }
    return source;
}

template <class Table>
auto find_member(const Table& table, std::string_view name) -> decltype(table.data()) {
    for (const auto& row : table) {
        if (row.name == name) {
            return &row;
        }
    }
    return nullptr;
}

std::vector<ToolResultContent> read_result_content(JsonReader& reader);

Members read_members(JsonReader& reader) {
    Members members;
    std::string_view key;
    reader.begin_object();
    while (reader.next_key(key)) {
        if (const auto* const text = find_member(string_members, key)) {
            members.*(text->field) = reader.string();
        } else if (const auto* const raw = find_member(raw_members, key)) {
            members.*(raw->field) = RawJson::trusted(std::string(reader.raw()));
        } else if (key == "source") {
            members.source = read_source(reader);
        } else if (key == "content") {
            members.content = read_result_content(reader);
        } else if (key == "refusal") {
            members.refusal = reader.boolean();
        } else if (key == "is_error") {
            members.is_error = reader.boolean();
        } else {
            reader.skip();
        }
    }
    return members;
}

TextBlock text_block(const JsonReader& reader, Members& members) {
    TextBlock block(required(reader, members.text, "text", "text"));
    block.refusal = members.refusal;
    block.citations = std::move(members.citations);
    return block;
}

ImageBlock image_block(const JsonReader& reader, Members& members) {
    return ImageBlock(
        required(reader, members.source, "image", "source"),
        members.detail.value_or(std::string())
    );
}

DocumentBlock document_block(const JsonReader& reader, Members& members) {
    return DocumentBlock(
        required(reader, members.source, "document", "source"),
        members.name.value_or(std::string())
    );
}

AudioBlock audio_block(const JsonReader& reader, Members& members) {
    return AudioBlock(required(reader, members.source, "audio", "source"));
}

CachePointBlock cache_point_block(const JsonReader& /*reader*/, Members& members) {
    return CachePointBlock(members.ttl.value_or(std::string()));
}

ThinkingBlock thinking_block(const JsonReader& reader, Members& members) {
    ThinkingBlock block(
        required(reader, members.text, "thinking", "text"),
        members.signature.value_or(std::string())
    );
    block.opaque = std::move(members.opaque);
    return block;
}

RedactedThinkingBlock redacted_block(const JsonReader& reader, Members& members) {
    RedactedThinkingBlock block;
    block.data = required(reader, members.data, "redacted_thinking", "data");
    return block;
}

ToolCallBlock tool_call_block(const JsonReader& reader, Members& members) {
    ToolCallBlock block;
    block.id = required(reader, members.id, "tool_call", "id");
    block.name = required(reader, members.name, "tool_call", "name");
    block.arguments = members.arguments.value_or(std::string());
    return block;
}

ToolResultBlock tool_result_block(const JsonReader& reader, Members& members) {
    ToolResultBlock block;
    block.call_id = required(reader, members.call_id, "tool_result", "call_id");
    block.content = required(reader, members.content, "tool_result", "content");
    block.is_error = members.is_error;
    return block;
}

UnknownBlock unknown_block(const JsonReader& reader, Members& members) {
    UnknownBlock block;
    block.provider = members.provider.value_or(std::string());
    block.raw = required(reader, members.raw, "unknown", "raw");
    return block;
}

/// Makes one kind of block of its members.
template <auto Make>
ContentBlock make_block(const JsonReader& reader, Members& members) {
    return Make(reader, members);
}

struct BlockKind {
    std::string_view name;
    ContentBlock (*make)(const JsonReader& reader, Members& members);
};

constexpr std::array block_kinds = {
    BlockKind{"text", &make_block<&text_block>},
    BlockKind{"image", &make_block<&image_block>},
    BlockKind{"document", &make_block<&document_block>},
    BlockKind{"audio", &make_block<&audio_block>},
    BlockKind{"cache_point", &make_block<&cache_point_block>},
    BlockKind{"thinking", &make_block<&thinking_block>},
    BlockKind{"redacted_thinking", &make_block<&redacted_block>},
    BlockKind{"tool_call", &make_block<&tool_call_block>},
    BlockKind{"tool_result", &make_block<&tool_result_block>},
    BlockKind{"unknown", &make_block<&unknown_block>},
};

ContentBlock read_block(JsonReader& reader) {
    const std::string type = block_type(reader);
    const BlockKind* const kind = find_member(block_kinds, type);
    if (kind == nullptr) {
        return UnknownBlock(std::string(), RawJson::trusted(std::string(reader.raw())));
    }
    Members members = read_members(reader);
    return kind->make(reader, members);
}

ToolResultContent read_result_part(JsonReader& reader) {
    const JsonReader start = reader;
    const std::string type = block_type(reader);
    if (type != "text" && type != "image" && type != "document" && type != "audio") {
        start.fail("a text, image, document or audio block");
    }
    Members members = read_members(reader);
    if (type == "text") {
        return text_block(reader, members);
    }
    if (type == "image") {
        return image_block(reader, members);
    }
    if (type == "audio") {
        return audio_block(reader, members);
    }
    return document_block(reader, members);
}

std::vector<ToolResultContent> read_result_content(JsonReader& reader) {
    std::vector<ToolResultContent> content;
    reader.begin_array();
    while (reader.next_element()) {
        content.push_back(read_result_part(reader));
    }
    return content;
}

Role read_role(JsonReader& reader) {
    const JsonReader start = reader;
    const std::string name = reader.string();
    for (const Role role : {Role::system, Role::user, Role::assistant, Role::tool}) {
        if (name == to_string(role)) {
            return role;
        }
    }
    start.fail("a role (system, user, assistant or tool)");
}

std::vector<ContentBlock> read_content(JsonReader& reader) {
    std::vector<ContentBlock> content;
    if (reader.peek() == JsonKind::string) {
        content.emplace_back(TextBlock(reader.string()));
        return content;
    }
    reader.begin_array();
    while (reader.next_element()) {
        content.push_back(read_block(reader));
    }
    return content;
}

Message read_message(JsonReader& reader) {
    std::optional<Role> role;
    std::optional<std::vector<ContentBlock>> content;
    std::string_view key;
    reader.begin_object();
    while (reader.next_key(key)) {
        if (key == "role") {
            role = read_role(reader);
        } else if (key == "content") {
            content = read_content(reader);
        } else {
            reader.skip();
        }
    }
    if (!role.has_value() || !content.has_value()) {
        reader.fail(R"(members "role" and "content" in the message before this place)");
    }
    return {*role, std::move(*content)};
}

}  // namespace

bool reads_as_unknown(std::string_view block) {
    JsonReader reader(block, max_depth);
    try {
        return find_member(block_kinds, block_type(reader)) == nullptr;
    } catch (const LLMError&) {
        return false;
    }
}

Message Message::from_json(std::string_view text) {
    JsonReader reader(text, max_depth);
    Message message = read_message(reader);
    reader.finish();
    return message;
}

History history_from_json(std::string_view text) {
    JsonReader reader(text, max_depth);
    History history;
    reader.begin_array();
    while (reader.next_element()) {
        history.push_back(std::make_shared<const Message>(read_message(reader)));
    }
    reader.finish();
    return history;
}

}  // namespace llmproc
