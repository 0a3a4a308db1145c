#include "providers/cassette.hpp"
#include "providers/protocol_case.hpp"

namespace llmproc::testing_cassettes {

namespace {

constexpr const char* folder = "gemini";

std::int64_t count_at(const Json& object, const char* key) {
    return object.value(key, std::int64_t{0});
}

Json parts_of(const Json& answer) {
    const Json candidate = answer.value("candidates", Json::array({Json::object()})).at(0);
    return candidate.value("content", Json::object()).value("parts", Json::array());
}

Usage usage_of(const Json& counts) {
    Usage usage;
    usage.reported = true;
    usage.input_tokens = count_at(counts, "promptTokenCount");
    usage.reasoning_tokens = count_at(counts, "thoughtsTokenCount");
    usage.output_tokens = count_at(counts, "candidatesTokenCount") + usage.reasoning_tokens;
    usage.total_tokens = count_at(counts, "totalTokenCount");
    return usage;
}

Meaning meaning(const Json& answer) {
    Meaning meaning;
    meaning.stops = 1;
    for (const Json& part : parts_of(answer)) {
        const std::string text = part.value("text", "");
        (part.value("thought", false) ? meaning.thinking : meaning.text) += text;
        if (part.contains("functionCall")) {
            const Json& call = part.at("functionCall");
            meaning.calls.emplace_back(
                call.at("id").get<std::string>(),
                call.at("name").get<std::string>(),
                call.at("args").dump()
            );
        }
    }
    meaning.usage = usage_of(answer.at("usageMetadata"));
    if (answer.contains("promptFeedback")) {
        meaning.finish_reason = answer.at("promptFeedback").at("blockReason").get<std::string>();
        meaning.stop_reason = StopReason::content_filter;
        return meaning;
    }
    meaning.finish_reason = answer.at("candidates").at(0).at("finishReason").get<std::string>();
    if (meaning.finish_reason == "SAFETY") {
        meaning.stop_reason = StopReason::content_filter;
    } else {
        meaning.stop_reason = meaning.calls.empty() ? StopReason::end_turn : StopReason::tool_use;
    }
    return meaning;
}

/// The event with the finish reason is complete with its closing brace.
std::size_t complete_at(std::string_view body) {
    return body.find('\r', body.find("\"finishReason\":\""));
}

/// The parts; an answer without any is no message.
Json goes_back(const Json& answer) {
    const Json parts = parts_of(answer);
    return parts.empty() ? Json() : parts;
}

Json second_message(const Json& body) {
    return body.at("contents").at(1).at("parts");
}

ChatRequest tool_round() {
    ChatRequest request;
    request.system = "Answer briefly.";
    request.params.max_tokens = 512;
    request.params.reasoning_effort = "low";
    request.params.extra_body = RawJson(
        R"({"generationConfig":{"thinkingConfig":{"includeThoughts":true}}})"
    );
    request.tool_choice = ToolChoice(ToolChoice::Mode::automatic);
    const ImageBlock image(MediaSource::base64("iVBORw0KGgo=", "image/png"));
    request.add(Message::user(std::vector<ContentBlock>{TextBlock("Weather here?"), image}));
    HttpResponse response(200);
    response.body = read_cassette(folder, "gemini-response-tools.json");
    request.add(find_codec(folder)->decode(response).message);
    // In the wrong order, and in two messages: one content in the order of the calls.
    request.add(Message::tool_results({ToolResultBlock("fc-wire-b", "database unavailable", true)})
    );
    request.add(Message::tool_results({ToolResultBlock(
        "fc-wire-a",
        std::vector<ToolResultContent>{TextBlock(R"({"temp_c":24})"), image}
    )}));
    const Json golden = parse_json(read_cassette(folder, "gemini-request-toolround.json"));
    for (const Json& tool : golden.at("tools").at(0).at("functionDeclarations")) {
        request.tools.emplace_back(
            tool.at("name").get<std::string>(),
            tool.at("description").get<std::string>(),
            RawJson::from(tool.value("parametersJsonSchema", Json()))
        );
    }
    return request;
}

}  // namespace

ProtocolCase gemini_case() {
    ProtocolCase protocol;
    protocol.codec = folder;
    protocol.endpoint = endpoint_of_row(
        "gemini",
        "https://generativelanguage.googleapis.com/v1",
        "gemini-3.8-flash"
    );
    protocol.streams = {{"gemini-stream"}, {"gemini-stream-tool"}, {"gemini-stream-safety"}};
    protocol.broken_streams = {
        {"gemini-stream-error", Errc::overloaded, "Partial", "UNAVAILABLE", "", 24},
        {"gemini-stream-continuation-1",
         Errc::truncated_stream,
         "First half, still first.",
         "CONTINUATION",
         "",
         24}};
    protocol.replies = {
        "gemini-response",
        "gemini-response-tools",
        "gemini-response-blocked",
        "gemini-response-safety"};
    protocol.meaning = meaning;
    protocol.complete_at = complete_at;
    protocol.id_key = "responseId";
    protocol.model_key = "modelVersion";
    protocol.arguments_are_objects = true;
    protocol.new_member = R"("newMember":{"candidates":[{"finishReason":"x"}]},)";
    protocol.goes_back = goes_back;
    protocol.second_message = second_message;
    protocol.tool_round = tool_round;
    protocol.tool_round_file = "gemini-request-toolround.json";
    return protocol;
}

}  // namespace llmproc::testing_cassettes
