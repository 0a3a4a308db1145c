/// @file
/// What stays the same around the text of a stream's events.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::providers {

/// From one token to the next most servers change nothing but the text, and OpenAI the noise by
/// which it hides the text's length. The bytes around these, once read as JSON, need not be read
/// again: an event that consists of the same bytes around other plain strings means the same, with
/// that text. Anything else is the reader's: it is not this class that judges.
class TextFrame {
public:
    /// The text in `data` if it stands in this frame; never an empty one. Lives as long as `data`.
    std::optional<std::string_view> text_in(std::string_view data) noexcept;

    /// Keeps what stands around `text` and `noise`, which are parts of `data` and plain JSON strings
    /// without their quotes; null `noise` if there is none. An event of `data` must have meant
    /// nothing but `text`, however often it comes.
    void learn(std::string_view data, std::string_view text, std::string_view noise);

private:
    std::array<std::string, 3> pieces_;  ///< Before, between and behind the strings.
    std::size_t count_ = 0;              ///< Of the pieces; none before the first `learn`.
    std::size_t text_at_ = 0;            ///< Which of the strings is the text.
    unsigned fruitless_ = 0;             ///< Frames learned since one was met again.
};

}  // namespace llmproc::providers
