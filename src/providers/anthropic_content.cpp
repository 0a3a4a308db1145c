#include "core/base64.hpp"
#include "core/json_reader.hpp"
#include "providers/anthropic.hpp"
#include "providers/json_members.hpp"
#include "providers/openai_fields.hpp"
#include "providers/request_parts.hpp"
#include "providers/tool_names.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace llmproc::providers {

namespace {

[[noreturn]] void not_supported(std::string_view what, std::string_view remedy) {
    part_not_supported(anthropic_words, what, remedy);
}

std::string type_of(std::string_view raw) {
    return string_member(raw, "type");
}

void begin_block(JsonWriter& json, std::string_view type) {
    json.begin_object();
    json.key("type");
    json.string(type);
}

void member(JsonWriter& json, std::string_view name, std::string_view value) {
    json.key(name);
    json.string(value);
}

void write_source(JsonWriter& json, const MediaSource& source, std::string_view fallback_type) {
    json.key("source");
    switch (source.kind) {
        case MediaSource::Kind::url:
            begin_block(json, "url");
            member(json, "url", source.data);
            break;
        case MediaSource::Kind::file_id:
            begin_block(json, "file");
            member(json, "file_id", source.data);
            break;
        case MediaSource::Kind::base64:
            begin_block(json, "base64");
            member(
                json,
                "media_type",
                source.media_type.empty() ? fallback_type : std::string_view(source.media_type)
            );
            member(json, "data", source.data);
            break;
    }
    json.end_object();
}

/// base64 is for PDF only; texts go as what they are.
void write_text_source(JsonWriter& json, const MediaSource& source) {
    const std::optional<std::string> text = base64_decode(source.data);
    if (!text) {
        invalid_request("a document's data is not base64; make it with MediaSource::bytes");
    }
    json.key("source");
    begin_block(json, "text");
    member(json, "media_type", "text/plain");
    member(json, "data", *text);
    json.end_object();
}

void write_text(JsonWriter& json, const TextBlock& text) {
    if (text.text.empty()) {
        return;  // the API refuses empty text blocks
    }
    begin_block(json, "text");
    member(json, "text", text.text);
    json.end_object();
}

void write_image(JsonWriter& json, const ImageBlock& image) {
    begin_block(json, "image");
    write_source(json, image.source, "image/png");
    json.end_object();
}

void write_document(JsonWriter& json, const DocumentBlock& document) {
    const MediaSource& source = document.source;
    begin_block(json, "document");
    if (source.kind == MediaSource::Kind::base64 && source.media_type.starts_with("text/")) {
        write_text_source(json, source);
    } else {
        write_source(json, source, "application/pdf");
    }
    if (!document.name.empty()) {
        member(json, "title", document.name);
    }
    json.end_object();
}

void write_result(JsonWriter& json, const ToolResultBlock& result) {
    begin_block(json, "tool_result");
    member(json, "tool_use_id", result.call_id);
    if (result.is_error) {
        json.key("is_error");
        json.boolean(true);
    }
    const auto* const only = result.content.size() == 1
                                 ? std::get_if<TextBlock>(&result.content.front())
                                 : nullptr;
    if (only != nullptr) {
        member(json, "content", only->text);
    } else if (!result.content.empty()) {
        json.key("content");
        json.begin_array();
        for (const ToolResultContent& part : result.content) {
            if (const auto* text = std::get_if<TextBlock>(&part)) {
                write_text(json, *text);
            } else if (const auto* image = std::get_if<ImageBlock>(&part)) {
                write_image(json, *image);
            } else if (const auto* document = std::get_if<DocumentBlock>(&part)) {
                write_document(json, *document);
            } else {
                not_supported("sound in a tool result", sound_remedy);
            }
        }
        json.end_array();
    }
    json.end_object();
}

/// Citations of other protocols have other types.
std::string own_citations(const RawJson& citations) {
    constexpr std::string_view own = "_location";
    std::string list;
    JsonReader reader(citations.text());
    if (reader.peek() != JsonKind::array) {
        return list;
    }
    reader.begin_array();
    while (reader.next_element()) {
        const std::string_view raw = reader.raw();
        if (type_of(raw).ends_with(own)) {
            list.append(list.empty() ? "" : ",").append(raw);
        }
    }
    return list;
}

void write_own_text(JsonWriter& json, const TextBlock& text) {
    const std::string citations = text.citations ? own_citations(*text.citations) : std::string();
    if (citations.empty()) {
        write_text(json, text);
        return;
    }
    begin_block(json, "text");
    member(json, "text", text.text);
    json.key("citations");
    json.raw("[" + citations + "]");
    json.end_object();
}

/// Whether a block that nothing follows is thinking which a limit cut off before its signature: the
/// API refuses to see it again. What else has no type is about the reply and is not sent either.
bool is_cut_off(const ContentBlock& block) {
    if (const auto* thinking = std::get_if<ThinkingBlock>(&block)) {
        return thinking->signature.empty();
    }
    const auto* const unknown = std::get_if<UnknownBlock>(&block);
    return unknown != nullptr &&
           (unknown->provider != anthropic_name || type_of(unknown->raw.text()).empty());
}

/// Blocks of the assistant, in their order: changed or moved thinking is refused by the API.
class AssistantContent {
public:
    explicit AssistantContent(std::string& out) : out_(out), json_(out) {}

    void add(const ContentBlock& block) {
        if (const auto* text = std::get_if<TextBlock>(&block)) {
            write_own_text(json_, *text);
        } else if (const auto* thinking = std::get_if<ThinkingBlock>(&block)) {
            add_thinking(*thinking);
        } else if (const auto* redacted = std::get_if<RedactedThinkingBlock>(&block)) {
            begin_block(json_, "redacted_thinking");
            member(json_, "data", redacted->data);
            json_.end_object();
        } else if (const auto* call = std::get_if<ToolCallBlock>(&block)) {
            add_call(*call);
        } else if (const auto* unknown = std::get_if<UnknownBlock>(&block)) {
            add_unknown(*unknown);
        } else if (const auto* point = std::get_if<CachePointBlock>(&block)) {
            mark_cache_point(out_, anthropic_cache_control(point->ttl));
        } else if (std::holds_alternative<ToolResultBlock>(block)) {
            block_misplaced("tool result", Role::assistant);
        } else {
            not_supported("media of the assistant", "move them to a user message");
        }
    }

private:
    /// Thinking without a signature of ours means nothing to this provider.
    void add_thinking(const ThinkingBlock& thinking) {
        if (thinking.opaque) {
            if (type_of(thinking.opaque->text()) == "thinking") {
                json_.raw(thinking.opaque->text());
            }
        } else if (!thinking.signature.empty()) {
            begin_block(json_, "thinking");
            member(json_, "thinking", thinking.text);
            member(json_, "signature", thinking.signature);
            json_.end_object();
        }
    }

    void add_call(const ToolCallBlock& call) {
        std::string block;
        JsonWriter json(block);
        begin_block(json, "tool_use");
        member(json, "id", call.id);
        member(json, "name", wire_tool_name(call.name, strict_tool_names));
        json.key("input");
        write_anthropic_input(json, call.arguments);
        json.end_object();
        json_.raw(call_members_.empty() ? block : merge_members(block, call_members_));
        call_members_.clear();
    }

    void add_unknown(const UnknownBlock& unknown) {
        if (!is_block_of(unknown, anthropic_name)) {
            return;
        }
        if (!type_of(unknown.raw.text()).empty()) {
            json_.raw(unknown.raw.text());
            return;
        }
        // Members of the tool call that follows; anything else belongs to the reply, not to it.
        JsonReader reader(unknown.raw.text());
        std::string_view key;
        if (reader.peek() == JsonKind::object) {
            reader.begin_object();
            if (reader.next_key(key) && key == "tool_use") {
                call_members_ = reader.raw();
            }
        }
    }

    std::string& out_;
    JsonWriter json_;
    std::string call_members_;
};

/// Blocks of a user, tool or system message: results first, whatever their order was.
class UserContent {
public:
    explicit UserContent(Role role) noexcept : role_(role) {}

    void add(const ContentBlock& block) {
        if (const auto* result = std::get_if<ToolResultBlock>(&block)) {
            if (role_ == Role::system) {
                block_misplaced("tool result", role_);
            }
            write_result(results_json_, *result);
        } else if (const auto* point = std::get_if<CachePointBlock>(&block)) {
            add_point(*point);
        } else if (role_ == Role::tool) {
            holds_only("tool results", role_);
        } else if (const auto* text = std::get_if<TextBlock>(&block)) {
            write_text(rest_json_, *text);
        } else if (const auto* unknown = std::get_if<UnknownBlock>(&block)) {
            add_unknown(*unknown);
        } else if (std::holds_alternative<ToolCallBlock>(block)) {
            block_misplaced("tool call", role_);
        } else {
            add_media(block);
        }
    }

    std::string take() {
        if (results_.empty()) {
            return first_ + rest_;
        }
        results_.push_back('\0');
        return first_ + results_ + rest_;
    }

private:
    /// Behind everything before it: the blocks are sent with the results first.
    void add_point(const CachePointBlock& point) {
        if (results_.empty() && rest_.empty()) {
            first_ = anthropic_point_mark + anthropic_cache_control(point.ttl) +
                     anthropic_point_mark;
        } else {
            mark_cache_point(rest_.empty() ? results_ : rest_, anthropic_cache_control(point.ttl));
        }
    }

    void add_media(const ContentBlock& block) {
        if (role_ == Role::system) {
            not_supported("anything but text in a system message", "move it to a user message");
        }
        if (const auto* image = std::get_if<ImageBlock>(&block)) {
            write_image(rest_json_, *image);
        } else if (const auto* document = std::get_if<DocumentBlock>(&block)) {
            write_document(rest_json_, *document);
        } else if (std::holds_alternative<AudioBlock>(block)) {
            not_supported("sound", sound_remedy);
        } else {
            block_misplaced("thinking", role_);
        }
    }

    void add_unknown(const UnknownBlock& unknown) {
        if (is_block_of(unknown, anthropic_name)) {
            const bool result = type_of(unknown.raw.text()) == "tool_result";
            (result ? results_json_ : rest_json_).raw(unknown.raw.text());
        }
    }

    Role role_;
    std::string first_;  ///< A cache point before all blocks.
    std::string results_;
    std::string rest_;
    JsonWriter results_json_{results_};
    JsonWriter rest_json_{rest_};
};

}  // namespace

void write_anthropic_input(JsonWriter& json, std::string_view arguments) {
    const std::string_view text = trimmed(arguments);
    if (text.empty()) {
        json.raw("{}");
    } else if (is_json(text, JsonKind::object)) {
        json.raw(text);
    } else {
        json.begin_object();
        json.key("INVALID_JSON");
        json.string(text);
        json.end_object();
    }
}

std::string encode_anthropic_content(const Message& message) {
    const auto& blocks = message.content();
    std::string out;
    if (message.role() == Role::assistant) {
        if (!is_anthropic_refusal(message)) {
            AssistantContent content(out);
            const auto end = std::find_if_not(blocks.rbegin(), blocks.rend(), is_cut_off).base();
            std::for_each(blocks.begin(), end, [&](const auto& block) { content.add(block); });
        }
        return out;
    }
    if (blocks.size() == 1 && message.role() != Role::tool) {
        if (const auto* only = std::get_if<TextBlock>(&blocks.front())) {
            if (!only->text.empty()) {
                append_json_string(out, only->text);
            }
            return out;
        }
    }
    UserContent content(message.role());
    std::for_each(blocks.begin(), blocks.end(), [&](const auto& block) { content.add(block); });
    return content.take();
}

}  // namespace llmproc::providers
