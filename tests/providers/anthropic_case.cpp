#include "providers/cassette.hpp"
#include "providers/protocol_case.hpp"

namespace llmproc::testing_cassettes {

namespace {

constexpr const char* folder = "anthropic";

std::int64_t count_at(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? 0 : found->get<std::int64_t>();
}

Usage usage_of(const Json& counts) {
    Usage usage;
    usage.reported = true;
    usage.cached_input_tokens = count_at(counts, "cache_read_input_tokens");
    usage.cache_write_tokens = count_at(counts, "cache_creation_input_tokens");
    usage.input_tokens = count_at(counts, "input_tokens") + usage.cached_input_tokens +
                         usage.cache_write_tokens;
    usage.output_tokens = count_at(counts, "output_tokens");
    usage.reasoning_tokens = count_at(counts.at("output_tokens_details"), "thinking_tokens");
    usage.total_tokens = usage.input_tokens + usage.output_tokens;
    return usage;
}

StopReason stop_of(const std::string& word) {
    if (word == "refusal") {
        return StopReason::refusal;
    }
    return word == "tool_use" ? StopReason::tool_use : StopReason::end_turn;
}

Meaning meaning(const Json& message) {
    Meaning meaning;
    for (const Json& block : message.at("content")) {
        const auto type = block.at("type").get<std::string>();
        if (type == "text") {
            meaning.text += block.at("text").get<std::string>();
        } else if (type == "thinking") {
            meaning.thinking += block.at("thinking").get<std::string>();
        } else if (type == "tool_use") {
            meaning.calls.emplace_back(
                block.at("id").get<std::string>(),
                block.at("name").get<std::string>(),
                block.at("input").dump()
            );
        }
    }
    const Json& details = message.at("stop_details");
    if (details.is_object() && details.at("explanation").is_string()) {
        meaning.refusal = details.at("explanation").get<std::string>();
    }
    meaning.usage = usage_of(message.at("usage"));
    meaning.finish_reason = message.at("stop_reason").get<std::string>();
    meaning.stop_reason = stop_of(meaning.finish_reason);
    meaning.stops = 1;
    return meaning;
}

/// The last event counts with the empty line behind it.
std::size_t complete_at(std::string_view body) {
    return body.find("\n\n", body.find("event: message_stop")) + 2;
}

/// The content; what is null or the rule is left out. A refusal must not go back.
Json goes_back(const Json& message) {
    if (message.at("stop_reason") == "refusal") {
        return Json();
    }
    Json blocks = Json::array();
    for (Json block : message.at("content")) {
        if (block.contains("citations") && block.at("citations").empty()) {
            block.erase("citations");
        }
        block.erase("caller");
        blocks.push_back(std::move(block));
    }
    return blocks;
}

/// Text alone may be short for one block.
Json second_message(const Json& body) {
    const Json& content = body.at("messages").at(1).at("content");
    if (content.is_string()) {
        return Json::array({Json{{"type", "text"}, {"text", content}}});
    }
    return content;
}

ChatRequest tool_round() {
    const Json golden = parse_json(read_cassette(folder, "anthropic-request-toolround.json"));
    ChatRequest request;
    request.params.max_tokens = 2048;
    request.params.reasoning_effort = "medium";
    request.params.extra_body = RawJson(R"({"thinking":{"type":"adaptive","display":"summarized"}})"
    );
    request.parallel_tool_calls = true;
    request.tool_choice = ToolChoice(ToolChoice::Mode::automatic);
    const ImageBlock image(MediaSource::base64("iVBORw0KGgo=", "image/png"));
    request.add(Message(
        Role::system,
        std::vector<ContentBlock>{
            UnknownBlock("anthropic", RawJson::from(golden.at("system").at(0)))}
    ));
    request.add(Message::user(std::vector<ContentBlock>{image, TextBlock("Weather here?")}));
    request.add(Message(
        Role::assistant,
        std::vector<ContentBlock>{
            ThinkingBlock("Need the weather tool.", "EqQBwire-signature=="),
            RedactedThinkingBlock("EmwKwire-redacted=="),
            TextBlock("Let me check."),
            ToolCallBlock("toolu_wireA", "get_weather", R"({"city":"Lisbon","unit":"c"})"),
            ToolCallBlock("toolu_wireB", "list_cities", "")}
    ));
    // Results of two messages, with a text between: still one user message, the results first.
    request.add(Message::tool_results({ToolResultBlock(
        "toolu_wireA",
        std::vector<ToolResultContent>{TextBlock("24 \xc2\xb0\x43"), image}
    )}));
    request.add(Message::user("Carry on."));
    request.add(Message::tool_results({ToolResultBlock("toolu_wireB", "database unavailable", true)}
    ));
    for (const Json& tool : golden.at("tools")) {
        const bool empty = tool.at("input_schema").at("properties").empty();
        ToolSpec& spec = request.tools.emplace_back(
            tool.at("name").get<std::string>(),
            tool.at("description").get<std::string>(),
            empty ? RawJson() : RawJson::from(tool.at("input_schema"))
        );
        if (tool.contains("strict")) {
            spec.strict = tool.at("strict").get<bool>();
        }
    }
    return request;
}

}  // namespace

ProtocolCase anthropic_case() {
    ProtocolCase protocol;
    protocol.codec = folder;
    protocol.endpoint =
        endpoint_of_row("anthropic", "https://api.anthropic.com", "claude-opus-5-5");
    protocol.streams = {
        {"anthropic-stream"},
        {"anthropic-stream-tool"},
        {"anthropic-stream-thinking"},
        {"anthropic-stream-refusal"},
        {"anthropic-stream-unknown", 1}};
    protocol.broken_streams = {
        {"anthropic-stream-error",
         Errc::overloaded,
         "Partial",
         "overloaded_error",
         "req_wire0008",
         1049}};
    protocol.replies = {
        "anthropic-response",
        "anthropic-response-tools",
        "anthropic-response-refusal"};
    protocol.meaning = meaning;
    protocol.complete_at = complete_at;
    protocol.id_key = "id";
    protocol.model_key = "model";
    protocol.arguments_are_objects = true;
    protocol.new_member = R"("new_member":{"type":"text_delta","text":"x"},)";
    protocol.goes_back = goes_back;
    protocol.second_message = second_message;
    protocol.tool_round = tool_round;
    protocol.tool_round_file = "anthropic-request-toolround.json";
    protocol.tool_round_streams = true;
    return protocol;
}

}  // namespace llmproc::testing_cassettes
