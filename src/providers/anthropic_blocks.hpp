/// @file
/// Content blocks of an Anthropic stream, put together from their deltas.
#pragma once

#include <llmproc/provider.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

/// One delta; the views need to live for one call of `AnthropicBlocks::add`.
struct AnthropicDelta {
    std::string_view type;
    std::string_view text;
    std::string_view thinking;
    std::string_view partial_json;
    std::string_view signature;
    std::string_view citation;  ///< JSON text.
};

/// Turns blocks and deltas into events, and finished blocks into what a reply without streaming
/// would have held. Every function throws LLMError{malformed_response} for what is out of order.
class AnthropicBlocks {
public:
    /// A block begins. Throws also for more than 4096 blocks and for a number given before.
    void start(std::int64_t index, std::string_view raw, StreamEvents& out);
    /// Whether the delta's kind is known.
    bool add(std::int64_t index, const AnthropicDelta& delta, StreamEvents& out);
    /// A block ends.
    void stop(std::int64_t index, StreamEvents& out);
    /// The message ends: no block may be open.
    void finish() const;

    bool has_tool_calls() const noexcept { return calls_ != 0; }
    /// The content so far, in the order in which the blocks began.
    std::vector<ContentBlock> content() const;

private:
    struct Block {
        std::int64_t index = 0;
        std::string type;
        std::string start;      ///< The block as it began, JSON text.
        std::string text;       ///< Of a text or of thinking.
        std::string signature;  ///< Of thinking.
        std::string citations;  ///< Elements as JSON text, comma separated.
        std::string input;      ///< Joined pieces of JSON text, which need not be JSON.
        std::uint32_t call = 0;
        bool open = true;
        std::vector<ContentBlock> content;  ///< Once it is finished.
    };

    Block& open_block(std::int64_t index);
    void begin_call(Block& block, std::string id, std::string name, StreamEvents& out);
    static void finish_text(Block& block);
    void finish_call(Block& block, StreamEvents& out);

    std::vector<Block> blocks_;
    std::uint32_t calls_ = 0;
};

}  // namespace llmproc::providers
