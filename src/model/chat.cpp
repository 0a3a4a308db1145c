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
        case StopReason::pause_turn: return "pause_turn";
    }
    return "unknown";
}

Thinking Thinking::budget(std::int64_t tokens) {
    Thinking thinking(Mode::budget);
    thinking.budget_tokens = tokens;
    return thinking;
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

namespace {

template <typename T>
void fill(T& own, const T& fallback) {
    if (own == T()) {
        own = fallback;
    }
}

}  // namespace

SamplingParams& SamplingParams::fill_from(const SamplingParams& defaults) {
    fill(temperature, defaults.temperature);
    fill(top_p, defaults.top_p);
    fill(top_k, defaults.top_k);
    fill(max_tokens, defaults.max_tokens);
    fill(seed, defaults.seed);
    fill(stop, defaults.stop);
    fill(reasoning_effort, defaults.reasoning_effort);
    fill(thinking, defaults.thinking);
    fill(prompt_caching, defaults.prompt_caching);
    fill(hosted_tools, defaults.hosted_tools);
    fill(response_schema, defaults.response_schema);
    fill(adapt_schemas, defaults.adapt_schemas);
    fill(extra_body, defaults.extra_body);
    extra_headers.insert(
        extra_headers.begin(),
        defaults.extra_headers.begin(),
        defaults.extra_headers.end()
    );
    return *this;
}

}  // namespace llmproc
