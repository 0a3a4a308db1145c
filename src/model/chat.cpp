#include <llmproc/chat.hpp>

#include <memory>

namespace llmproc {

std::string_view to_string(StopReason reason) noexcept {
    switch (reason) {
        case StopReason::unknown: return "unknown";
        case StopReason::end_turn: return "end_turn";
        case StopReason::max_tokens: return "max_tokens";
        case StopReason::stop_sequence: return "stop_sequence";
        case StopReason::tool_use: return "tool_use";
        case StopReason::refusal: return "refusal";
        case StopReason::content_filter: return "content_filter";
    }
    return "unknown";
}

ToolChoice ToolChoice::tool(std::string name) {
    ToolChoice choice(Mode::tool);
    choice.name = std::move(name);
    return choice;
}

ChatRequest::ChatRequest(std::string user_text) {
    add(Message::user(std::move(user_text)));
}

ChatRequest& ChatRequest::add(Message message) {
    messages.push_back(std::make_shared<const Message>(std::move(message)));
    return *this;
}

}  // namespace llmproc
