/// @file
/// Tool calls of a Chat Completions stream, put together from pieces that servers number
/// differently or not at all.
#pragma once

#include <llmproc/provider.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

/// One element of `delta.tool_calls`. The views need to live for one call of `add`.
struct ToolCallPiece {
    std::optional<std::int64_t> index;
    std::string_view id;
    std::string_view name;
    std::string_view arguments;
    bool custom = false;  ///< It is no function's.
};

/// Turns pieces into one `tool_call_begin` per call, numbered in that order, and its
/// `tool_call_arguments`.
class ToolCallPieces {
public:
    /// Throws LLMError{malformed_response} for an index beyond 0 to 127 and for a piece that
    /// belongs to no call.
    void add(const ToolCallPiece& piece, StreamEvents& out);
    /// Throws LLMError{malformed_response} if a call never got its name.
    void finish() const;
    bool empty() const noexcept { return calls_.empty(); }
    /// Ids of the calls that are no functions'.
    std::vector<std::string> custom_ids() const;

private:
    struct Call {
        std::optional<std::int64_t> index;  ///< The server's number.
        std::string id;
        bool begun = false;
        bool custom = false;
        std::uint32_t number = 0;    ///< Ours, in the order in which calls begin.
        std::string held_arguments;  ///< Came before the name.
    };

    std::size_t find(const ToolCallPiece& piece);
    std::size_t start(const ToolCallPiece& piece);

    std::vector<Call> calls_;
    std::uint32_t begun_ = 0;
};

}  // namespace llmproc::providers
