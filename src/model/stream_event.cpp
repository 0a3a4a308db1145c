#include <llmproc/stream_event.hpp>

namespace llmproc {

StreamEvent StreamEvent::tool_call(std::uint32_t index, std::string id, std::string name) {
    StreamEvent event(Type::tool_call_begin, std::string());
    event.index = index;
    event.tool_call_id = std::move(id);
    event.tool_name = std::move(name);
    return event;
}

StreamEvent StreamEvent::tool_arguments(std::uint32_t index, std::string piece) {
    StreamEvent event(Type::tool_call_arguments, std::move(piece));
    event.index = index;
    return event;
}

StreamEvent StreamEvent::token_usage(const Usage& usage) {
    StreamEvent event(Type::usage, std::string());
    event.usage = usage;
    return event;
}

StreamEvent StreamEvent::stopped(StopReason reason, std::string raw) {
    StreamEvent event(Type::stop, std::move(raw));
    event.stop_reason = reason;
    return event;
}

}  // namespace llmproc
