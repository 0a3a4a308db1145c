#include "providers/cassette.hpp"
#include "providers/protocol_case.hpp"

#include <algorithm>

namespace llmproc::testing_cassettes {

namespace {

std::string text_or_empty(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t count_at(const Json& object, const char* key, const char* inner = nullptr) {
    const auto found = object.find(key);
    if (found == object.end()) {
        return 0;
    }
    return inner == nullptr ? found->get<std::int64_t>() : count_at(*found, inner);
}

Usage usage_of(const Json& completion) {
    Usage usage;
    const auto found = completion.find("usage");
    if (found == completion.end() || found->is_null()) {
        return usage;
    }
    usage.reported = true;
    usage.input_tokens = count_at(*found, "prompt_tokens");
    usage.output_tokens = count_at(*found, "completion_tokens");
    usage.total_tokens = count_at(*found, "total_tokens");
    usage.cached_input_tokens = count_at(*found, "prompt_tokens_details", "cached_tokens");
    usage.cache_write_tokens = count_at(*found, "prompt_tokens_details", "cache_write_tokens");
    usage.reasoning_tokens = count_at(*found, "completion_tokens_details", "reasoning_tokens");
    return usage;
}

Meaning meaning(const Json& completion) {
    const Json& choice = completion.at("choices").at(0);
    const Json& message = choice.at("message");
    Meaning meaning;
    meaning.text = text_or_empty(message, "content");
    meaning.refusal = text_or_empty(message, "refusal");
    meaning.thinking = text_or_empty(message, "reasoning");
    meaning.finish_reason = choice.at("finish_reason").get<std::string>();
    if (const auto calls = message.find("tool_calls"); calls != message.end()) {
        for (const Json& call : *calls) {
            const Json& function = call.at("function");
            meaning.calls.emplace_back(
                call.at("id").get<std::string>(),
                function.at("name").get<std::string>(),
                function.at("arguments").get<std::string>()
            );
        }
    }
    meaning.usage = usage_of(completion);
    meaning.stops = 1;
    if (!meaning.calls.empty()) {
        meaning.stop_reason = StopReason::tool_use;
    } else if (meaning.finish_reason == "length") {
        meaning.stop_reason = StopReason::max_tokens;
    } else {
        meaning.stop_reason = meaning.refusal.empty() ? StopReason::end_turn : StopReason::refusal;
    }
    return meaning;
}

/// The event with the finish reason is complete with its closing brace.
std::size_t complete_at(std::string_view body) {
    return std::min(body.find('\n', body.find("\"finish_reason\":\"")), body.size());
}

/// What a request knows of a message; reasoning as plain text is not sent back.
Json goes_back(const Json& completion) {
    const Json& message = completion.at("choices").at(0).at("message");
    Json sent{{"role", "assistant"}, {"content", message.at("content")}};
    if (message.contains("refusal") && message.at("refusal").is_string()) {
        sent["refusal"] = message.at("refusal");
    }
    if (message.contains("reasoning_details")) {
        sent["reasoning_details"] = message.at("reasoning_details");
    }
    if (message.contains("tool_calls")) {
        sent["tool_calls"] = message.at("tool_calls");
        for (Json& call : sent["tool_calls"]) {
            call.erase("index");
        }
    }
    return sent;
}

Json second_message(const Json& body) {
    return body.at("messages").at(1);
}

ChatRequest tool_round() {
    ChatRequest request;
    request.system = "Answer briefly.";
    request.params.reasoning_effort = "none";
    request.params.max_tokens = 512;
    request.parallel_tool_calls = true;
    request.tool_choice = ToolChoice(ToolChoice::Mode::automatic);
    request.add(Message::user(std::vector<ContentBlock>{
        TextBlock("Weather and local time in this city?"),
        ImageBlock(MediaSource::base64("iVBORw0KGgo=", "image/png"), "low")}));
    request.add(Message(
        Role::assistant,
        std::vector<ContentBlock>{
            ThinkingBlock("not sent back"),
            ToolCallBlock("call_wireA", "get_weather", R"({"city":"Lisbon","unit":"c"})"),
            ToolCallBlock("call_wireB", "get_time", R"({"tz":"Europe/Lisbon"})")}
    ));
    request.add(Message::tool_results(
        {ToolResultBlock("call_wireA", R"({"temp_c":24,"sky":"sunny"})"),
         ToolResultBlock("call_wireB", "unknown time zone", true)}
    ));
    const Json golden = parse_json(read_cassette("openai-chat-request-toolround.json"));
    for (const Json& tool : golden.at("tools")) {
        const Json& function = tool.at("function");
        ToolSpec& spec = request.tools.emplace_back(
            function.at("name").get<std::string>(),
            function.at("description").get<std::string>(),
            RawJson::from(function.at("parameters"))
        );
        if (function.contains("strict")) {
            spec.strict = function.at("strict").get<bool>();
        }
    }
    return request;
}

}  // namespace

ProtocolCase openai_chat_case() {
    ProtocolCase protocol;
    protocol.codec = "openai_chat";
    protocol.endpoint = endpoint_of_row("openai", "https://api.openai.com/v1", "gpt-6-luna");
    protocol.streams = {
        {"openai-chat-stream"},
        {"openai-chat-stream-tools"},
        {"openai-chat-stream-refusal"},
        {"openai-chat-stream-compat"}};
    protocol.broken_streams = {
        {"openai-chat-stream-error", Errc::server_error, "Partial", "server_error"}};
    protocol.replies = {
        "openai-chat-response",
        "openai-chat-response-tools",
        "openai-chat-response-reasoning",
        "openai-chat-response-refusal",
        "openai-chat-response-logprobs"};
    protocol.meaning = meaning;
    protocol.complete_at = complete_at;
    protocol.id_key = "id";
    protocol.model_key = "model";
    protocol.new_member = R"("new_member":{"choices":[{"delta":{"content":"x"}}]},)";
    protocol.goes_back = goes_back;
    protocol.second_message = second_message;
    protocol.tool_round = tool_round;
    protocol.tool_round_file = "openai-chat-request-toolround.json";
    protocol.tool_round_streams = true;
    return protocol;
}

}  // namespace llmproc::testing_cassettes
