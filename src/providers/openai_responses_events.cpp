#include "providers/openai_responses_events.hpp"

#include "core/json_reader.hpp"

#include <algorithm>
#include <array>

namespace llmproc::providers {

namespace {

using Kind = ResponsesEvent::Kind;

struct KnownEvent {
    std::string_view type;
    Kind kind;
};

// The most frequent ones first.
constexpr std::array<KnownEvent, 26> known_events{{
    {"response.output_text.delta", Kind::text},
    {"response.function_call_arguments.delta", Kind::arguments},
    {"response.reasoning_summary_text.delta", Kind::summary},
    {"response.reasoning_text.delta", Kind::reasoning},
    {"response.refusal.delta", Kind::refusal},
    {"response.output_item.added", Kind::item_added},
    {"response.output_item.done", Kind::item_done},
    {"response.content_part.added", Kind::nothing},
    {"response.content_part.done", Kind::nothing},
    {"response.output_text.done", Kind::nothing},
    {"response.refusal.done", Kind::nothing},
    {"response.function_call_arguments.done", Kind::nothing},
    {"response.reasoning_summary_part.added", Kind::nothing},
    {"response.reasoning_summary_part.done", Kind::nothing},
    {"response.reasoning_summary_text.done", Kind::nothing},
    {"response.reasoning_text.done", Kind::nothing},
    {"response.created", Kind::started},
    {"response.queued", Kind::started},
    {"response.in_progress", Kind::started},
    {"response.completed", Kind::ended},
    {"response.incomplete", Kind::ended},
    {"response.failed", Kind::ended},
    {"response.cancelled", Kind::ended},
    {"response.output_text.annotation.added", Kind::extra},
    {"error", Kind::error},
    {"keepalive", Kind::nothing},
}};

// Progress and content of hosted tools.
constexpr std::array<std::string_view, 10> extra_prefixes{
    "response.web_search_call.",
    "response.file_search_call.",
    "response.code_interpreter_call",
    "response.image_generation_call.",
    "response.mcp_call",
    "response.mcp_list_tools.",
    "response.shell_call_",
    "response.custom_tool_call_input.",
    "response.audio.",
    "response.compaction."};

/// `error` = there is such a member: a gateway's error may have the form it has outside of streams.
Kind kind_of(std::string_view type, bool error) {
    if (type.empty()) {
        return error ? Kind::error : Kind::unknown;
    }
    const auto* const known = std::find_if(
        known_events.begin(),
        known_events.end(),
        [type](const KnownEvent& event) { return event.type == type; }
    );
    if (known != known_events.end()) {
        return known->kind;
    }
    const bool extra = std::any_of(
        extra_prefixes.begin(),
        extra_prefixes.end(),
        [type](std::string_view prefix) { return type.starts_with(prefix); }
    );
    return extra ? Kind::extra : Kind::unknown;
}

}  // namespace

const ResponsesEvent& ResponsesEventReader::read(std::string_view data, std::string_view name) {
    ResponsesEvent event;
    bool error = false;
    JsonReader reader(data);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        const JsonKind kind = reader.peek();
        if (key == "type" && kind == JsonKind::string) {
            event.type = reader.string_view_or_buffer(type_);
        } else if (key == "delta" && kind == JsonKind::string) {
            event.delta = reader.string_view_or_buffer(delta_);
        } else if (key == "output_index" && kind == JsonKind::number) {
            event.output_index = reader.integer();
        } else if ((key == "content_index" || key == "summary_index") && kind == JsonKind::number) {
            event.part_index = reader.integer();
        } else if (key == "item" && kind == JsonKind::object) {
            event.item = reader.raw();
        } else if (key == "response" && kind == JsonKind::object) {
            event.response = reader.raw();
        } else {
            error = error || (key == "error" && kind != JsonKind::null);
            reader.skip();
        }
    }
    reader.finish();
    if (event.type.empty()) {
        event.type = name;
    }
    event.kind = kind_of(event.type, error);
    event_ = event;
    return event_;
}

}  // namespace llmproc::providers
