/// @file
/// What a streaming reply is made of.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/export.hpp>
#include <llmproc/usage.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc {

/// One step of a reply. The order is: any number of `text`, `refusal`, `thinking`,
/// `tool_call_begin`, `tool_call_arguments`, `usage`; then one `stop`.
class LLMPROC_API StreamEvent {
public:
    enum class Type {
        text,                 ///< A piece of the answer.
        refusal,              ///< A piece of the model's words for declining.
        thinking,             ///< A piece of its reasoning.
        tool_call_begin,      ///< A tool call starts: `tool_call_id`, `tool_name`.
        tool_call_arguments,  ///< A piece of the call's argument text: `data`.
        usage,                ///< Token counts; the last one is final.
        stop,                 ///< The end: `stop_reason`.
        other,                ///< A provider's extra, kept raw in `data` as JSON text.
    };

    StreamEvent() = default;
    StreamEvent(Type kind, std::string payload) : data(std::move(payload)), type(kind) {}

    static StreamEvent tool_call(std::uint32_t index, std::string id, std::string name);
    static StreamEvent tool_arguments(std::uint32_t index, std::string piece);
    static StreamEvent token_usage(const Usage& usage);
    static StreamEvent stopped(StopReason reason, std::string raw);

    /// The piece of the answer or refusal; empty for every other type, so it can just be printed.
    std::string_view text() const noexcept {
        return type == Type::text || type == Type::refusal ? std::string_view(data)
                                                           : std::string_view();
    }
    /// The piece of reasoning; empty for every other type.
    std::string_view thinking() const noexcept {
        return type == Type::thinking ? std::string_view(data) : std::string_view();
    }

    std::string data;          ///< The piece, by `type`; for `stop` the provider's own word.
    std::string tool_name;     ///< With `tool_call_begin`.
    std::string tool_call_id;  ///< With `tool_call_begin`.
    Usage usage;               ///< With `usage`.
    std::uint32_t index = 0;   ///< Which tool call of the message, from 0.
    Type type = Type::other;
    StopReason stop_reason = StopReason::unknown;  ///< With `stop`.
};

}  // namespace llmproc
