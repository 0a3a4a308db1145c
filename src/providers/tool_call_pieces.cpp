#include "providers/tool_call_pieces.hpp"

#include "providers/openai_errors.hpp"
#include "providers/openai_fields.hpp"

#include <algorithm>

namespace llmproc::providers {

namespace {

constexpr std::int64_t max_index = 127;  // the official SDKs' limit

}  // namespace

std::size_t ToolCallPieces::start(const ToolCallPiece& piece) {
    if (calls_.size() > static_cast<std::size_t>(max_index)) {
        throw malformed("the stream", "it has more than 128 tool calls");
    }
    Call& call = calls_.emplace_back();
    call.index = piece.index;
    call.id = piece.id;
    return calls_.size() - 1;
}

std::size_t ToolCallPieces::find(const ToolCallPiece& piece) {
    if (piece.index && (*piece.index < 0 || *piece.index > max_index)) {
        throw malformed("the stream", "a tool call has an index beyond 0 to 127");
    }
    // From the end: some servers give every call the same index.
    const auto known = std::find_if(calls_.rbegin(), calls_.rend(), [&](const Call& call) {
        return piece.index ? call.index == piece.index : !piece.id.empty() && call.id == piece.id;
    });
    const bool has_id = !piece.id.empty();
    if (known != calls_.rend()) {
        const bool other_call = has_id && !known->id.empty() && known->id != piece.id &&
                                known->begun && !piece.name.empty();
        return other_call ? start(piece) : static_cast<std::size_t>(calls_.rend() - known) - 1;
    }
    if (piece.index || has_id || !piece.name.empty()) {
        // An id may come in one piece and the name in the next.
        const bool names_last = !piece.index && !has_id && !calls_.empty() && !calls_.back().begun;
        return names_last ? calls_.size() - 1 : start(piece);
    }
    if (calls_.empty()) {
        throw malformed("the stream", "a piece of a tool call belongs to no call");
    }
    return calls_.size() - 1;
}

void ToolCallPieces::add(const ToolCallPiece& piece, StreamEvents& out) {
    Call& call = calls_[find(piece)];
    call.custom = call.custom || piece.custom;
    if (!call.begun && !piece.name.empty()) {
        if (call.id.empty()) {
            call.id = piece.id.empty() ? make_tool_call_id() : std::string(piece.id);
        }
        call.begun = true;
        call.number = begun_++;
        out.push_back(StreamEvent::tool_call(call.number, call.id, std::string(piece.name)));
        if (!call.held_arguments.empty()) {
            out.push_back(StreamEvent::tool_arguments(call.number, std::move(call.held_arguments)));
            call.held_arguments.clear();
        }
    }
    if (piece.arguments.empty()) {
        return;
    }
    if (call.begun) {
        out.push_back(StreamEvent::tool_arguments(call.number, std::string(piece.arguments)));
    } else {
        call.held_arguments += piece.arguments;
    }
}

std::vector<std::string> ToolCallPieces::custom_ids() const {
    std::vector<std::string> ids;
    for (const Call& call : calls_) {
        if (call.custom) {
            ids.push_back(call.id);
        }
    }
    return ids;
}

void ToolCallPieces::finish() const {
    if (std::any_of(calls_.begin(), calls_.end(), [](const Call& call) { return !call.begun; })) {
        throw malformed("the stream", "a tool call has no name");
    }
}

}  // namespace llmproc::providers
