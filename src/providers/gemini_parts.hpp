/// @file
/// The parts of a Gemini answer, put together into blocks.
#pragma once

#include <llmproc/message.hpp>
#include <llmproc/provider.hpp>
#include "core/json_reader.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

/// Joins text with text before it, and nothing else: what a signature came with must go back as
/// it was, an empty text too.
class GeminiParts {
public:
    /// Reads one part and appends its events to `out`.
    /// Throws LLMError{malformed_response, not_supported, invalid_json}.
    void read(JsonReader& reader, StreamEvents& out);

    const std::vector<ContentBlock>& blocks() const noexcept { return blocks_; }
    bool has_calls() const noexcept { return calls_ > 0; }

private:
    struct Part {
        std::string_view text;  ///< Valid while the reader's text is and no other part is read.
        ToolCallBlock call;
        std::string extras;  ///< Members that no block has a place for, as JSON text.
        bool has_text = false;
        bool has_call = false;
        bool thought = false;
    };

    void read_members(JsonReader& reader, Part& part);
    template <class Block>
    void append_text(const Part& part);
    void add_text(const Part& part, StreamEvents& out);
    void add_call(ToolCallBlock call, StreamEvents& out);
    void add_raw(std::string_view raw);
    void add_extras(const std::string& members);

    std::vector<ContentBlock> blocks_;
    std::uint32_t calls_ = 0;
    std::string scratch_;
};

}  // namespace llmproc::providers
