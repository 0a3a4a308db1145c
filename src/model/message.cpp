#include <llmproc/message.hpp>
#include "core/base64.hpp"

#include <algorithm>

namespace llmproc {

std::string_view to_string(Role role) noexcept {
    switch (role) {
        case Role::system: return "system";
        case Role::user: return "user";
        case Role::assistant: return "assistant";
        case Role::tool: return "tool";
    }
    return "unknown";
}

TextBlock TextBlock::refused(std::string value) {
    TextBlock block(std::move(value));
    block.refusal = true;
    return block;
}

MediaSource MediaSource::bytes(std::string_view data, std::string media_type) {
    return base64(base64_encode(data), std::move(media_type));
}

MediaSource MediaSource::base64(std::string data, std::string media_type) {
    MediaSource source;
    source.kind = Kind::base64;
    source.data = std::move(data);
    source.media_type = std::move(media_type);
    return source;
}

MediaSource MediaSource::url(std::string address) {
    MediaSource source;
    source.kind = Kind::url;
    source.data = std::move(address);
    return source;
}

MediaSource MediaSource::file_id(std::string id) {
    MediaSource source;
    source.kind = Kind::file_id;
    source.data = std::move(id);
    return source;
}

ToolResultBlock::ToolResultBlock(std::string id, std::string text, bool failed)
    : call_id(std::move(id)),
      is_error(failed) {
    content.emplace_back(TextBlock(std::move(text)));
}

ToolResultBlock::ToolResultBlock(std::string id, std::vector<ToolResultContent> parts, bool failed)
    : call_id(std::move(id)),
      content(std::move(parts)),
      is_error(failed) {}

std::string ToolResultBlock::text() const {
    std::string joined;
    for (const ToolResultContent& part : content) {
        if (const auto* const block = std::get_if<TextBlock>(&part)) {
            joined += block->text;
        }
    }
    return joined;
}

Message::Message(Role role, std::string text) : role_(role) {
    content_.emplace_back(TextBlock(std::move(text)));
}

Message::Message(Role role, std::vector<ContentBlock> blocks)
    : role_(role),
      content_(std::move(blocks)) {}

Message Message::user(std::string text) {
    return {Role::user, std::move(text)};
}

Message Message::user(std::vector<ContentBlock> blocks) {
    return {Role::user, std::move(blocks)};
}

Message Message::assistant(std::string text) {
    return {Role::assistant, std::move(text)};
}

Message Message::system(std::string text) {
    return {Role::system, std::move(text)};
}

Message Message::tool_results(std::vector<ToolResultBlock> results) {
    Message message(Role::tool, std::vector<ContentBlock>());
    message.content_.reserve(results.size());
    for (ToolResultBlock& result : results) {
        message.content_.emplace_back(std::move(result));
    }
    return message;
}

Message& Message::add(ContentBlock block) {
    content_.push_back(std::move(block));
    return *this;
}

std::string Message::text() const {
    std::string joined;
    for (const ContentBlock& block : content_) {
        if (const auto* const part = std::get_if<TextBlock>(&block)) {
            joined += part->text;
        }
    }
    return joined;
}

std::string Message::thinking() const {
    std::string joined;
    for (const ContentBlock& block : content_) {
        if (const auto* const part = std::get_if<ThinkingBlock>(&block)) {
            joined += part->text;
        }
    }
    return joined;
}

std::vector<ToolCallBlock> Message::tool_calls() const {
    std::vector<ToolCallBlock> calls;
    for (const ContentBlock& block : content_) {
        if (const auto* const call = std::get_if<ToolCallBlock>(&block)) {
            calls.push_back(*call);
        }
    }
    return calls;
}

bool Message::has_tool_calls() const noexcept {
    return std::any_of(content_.begin(), content_.end(), [](const ContentBlock& block) {
        return std::holds_alternative<ToolCallBlock>(block);
    });
}

}  // namespace llmproc
