/// @file
/// Collects the events of a stream into one reply.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/stream_event.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace llmproc {

/// Joins pieces: one thinking block first, then text and refusal blocks in order of arrival, then
/// tool calls by index. Events of type `other` leave no trace; the decoder adds what they mean.
class ReplyBuilder {
public:
    void add(const StreamEvent& event);
    /// The reply of all events so far; the builder is empty after that.
    ChatReply finish();
    /// All text so far, refusals included; for errors that carry partial text.
    const std::string& text() const noexcept { return text_; }

private:
    /// Where in `text_` a block begins; it ends where the next one begins.
    struct Section {
        std::size_t begin = 0;
        bool refusal = false;
    };

    void add_text(const StreamEvent& event, bool refusal);
    void add_text_blocks(Message& message);

    std::string text_;
    std::vector<Section> sections_;
    std::string thinking_;
    std::map<std::uint32_t, ToolCallBlock> calls_;
    Usage usage_;
    StopReason stop_reason_ = StopReason::unknown;
    std::string raw_stop_reason_;
};

}  // namespace llmproc
