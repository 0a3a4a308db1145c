/// @file
/// One event of a Responses stream, taken apart.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::providers {

/// Views live until the next event is read.
struct ResponsesEvent {
    enum class Kind {
        text,        ///< A piece of text: `delta`.
        refusal,     ///< A piece of a refusal.
        summary,     ///< A piece of a summary of the reasoning.
        reasoning,   ///< A piece of the reasoning itself.
        arguments,   ///< A piece of a call's arguments.
        item_added,  ///< `item` begins.
        item_done,   ///< `item` is final.
        started,     ///< `response` as it is so far.
        ended,       ///< `response` is final: completed, incomplete or failed.
        error,       ///< The stream ends with an error.
        extra,       ///< Known, without an event type of its own: passed on raw.
        nothing,     ///< Known, says nothing that other events do not say.
        unknown,
    };

    Kind kind = Kind::unknown;
    std::string_view type;
    std::string_view delta;
    std::string_view item;
    std::string_view response;
    std::optional<std::int64_t> output_index;
    std::int64_t part_index = 0;  ///< `summary_index` or `content_index`.
};

/// Reads the data of events.
class ResponsesEventReader {
public:
    /// `name` is the SSE event's, for servers that leave the member `type` out.
    /// Throws LLMError{invalid_json}.
    const ResponsesEvent& read(std::string_view data, std::string_view name);

private:
    // Reused, so that most tokens cost no allocation.
    std::string type_;
    std::string delta_;
    ResponsesEvent event_;
};

}  // namespace llmproc::providers
