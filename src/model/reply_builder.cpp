#include "model/reply_builder.hpp"

#include <utility>

namespace llmproc {

void ReplyBuilder::add(const StreamEvent& event) {
    switch (event.type) {
        case StreamEvent::Type::text: add_text(event, false); return;
        case StreamEvent::Type::refusal: add_text(event, true); return;
        case StreamEvent::Type::thinking: thinking_ += event.data; return;
        case StreamEvent::Type::tool_call_begin: {
            // Some servers repeat the beginning with empty fields: what is known stays.
            ToolCallBlock& call = calls_[event.index];
            if (!event.tool_call_id.empty()) {
                call.id = event.tool_call_id;
            }
            if (!event.tool_name.empty()) {
                call.name = event.tool_name;
            }
            return;
        }
        case StreamEvent::Type::tool_call_arguments:
            calls_[event.index].arguments += event.data;
            return;
        case StreamEvent::Type::usage: usage_ = event.usage; return;
        case StreamEvent::Type::stop:
            stop_reason_ = event.stop_reason;
            raw_stop_reason_ = event.data;
            return;
        case StreamEvent::Type::other: return;
    }
}

void ReplyBuilder::add_text(const StreamEvent& event, bool refusal) {
    if (event.data.empty()) {
        return;
    }
    if (sections_.empty() || sections_.back().refusal != refusal) {
        sections_.push_back(Section{text_.size(), refusal});
    }
    text_ += event.data;
}

void ReplyBuilder::add_text_blocks(Message& message) {
    const std::size_t count = sections_.size();
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t begin = sections_[i].begin;
        const std::size_t end = i + 1 < count ? sections_[i + 1].begin : text_.size();
        // One block is the rule, and needs no copy.
        TextBlock block(
            count == 1 ? std::exchange(text_, std::string()) : text_.substr(begin, end - begin)
        );
        block.refusal = sections_[i].refusal;
        message.add(std::move(block));
    }
}

ChatReply ReplyBuilder::finish() {
    ReplyBuilder all = std::exchange(*this, ReplyBuilder());
    ChatReply reply;
    reply.message = Message(Role::assistant, std::vector<ContentBlock>());
    if (!all.thinking_.empty()) {
        reply.message.add(ThinkingBlock(std::move(all.thinking_)));
    }
    all.add_text_blocks(reply.message);
    for (auto& [index, call] : all.calls_) {
        reply.message.add(std::move(call));
    }
    reply.usage = all.usage_;
    reply.stop_reason = all.stop_reason_;
    reply.raw_stop_reason = std::move(all.raw_stop_reason_);
    return reply;
}

}  // namespace llmproc
