#include "providers/cassette.hpp"
#include "providers/protocol_case.hpp"

#include <algorithm>

namespace llmproc::testing_cassettes {

namespace {

constexpr const char* folder = "openai_responses";

Usage usage_of(const Json& counts) {
    Usage usage;
    if (counts.is_null()) {
        return usage;
    }
    const Json& input = counts.at("input_tokens_details");
    usage.reported = true;
    usage.input_tokens = counts.at("input_tokens").get<std::int64_t>();
    usage.output_tokens = counts.at("output_tokens").get<std::int64_t>();
    usage.total_tokens = counts.at("total_tokens").get<std::int64_t>();
    usage.cached_input_tokens = input.at("cached_tokens").get<std::int64_t>();
    usage.cache_write_tokens = input.at("cache_write_tokens").get<std::int64_t>();
    usage.reasoning_tokens =
        counts.at("output_tokens_details").at("reasoning_tokens").get<std::int64_t>();
    return usage;
}

Meaning meaning(const Json& response) {
    Meaning meaning;
    for (const Json& item : response.at("output")) {
        const std::string type = item.at("type").get<std::string>();
        if (type == "reasoning") {
            for (const Json& part : item.at("summary")) {
                meaning.thinking += part.at("text").get<std::string>();
            }
        } else if (type == "function_call") {
            meaning.calls.emplace_back(
                item.at("call_id").get<std::string>(),
                item.at("name").get<std::string>(),
                item.at("arguments").get<std::string>()
            );
        } else if (type == "message") {
            for (const Json& part : item.at("content")) {
                meaning.text += part.value("text", "");
                meaning.refusal += part.value("refusal", "");
            }
        }
    }
    meaning.usage = usage_of(response.at("usage"));
    meaning.stops = 1;
    meaning.finish_reason = response.at("status").get<std::string>();
    if (const Json& details = response.at("incomplete_details"); !details.is_null()) {
        meaning.finish_reason = details.at("reason").get<std::string>();
        meaning.stop_reason = StopReason::max_tokens;
    } else if (!meaning.calls.empty()) {
        meaning.stop_reason = StopReason::tool_use;
    } else {
        meaning.stop_reason = meaning.refusal.empty() ? StopReason::end_turn : StopReason::refusal;
    }
    return meaning;
}

/// The last event holds the whole response.
std::size_t complete_at(std::string_view body) {
    const std::size_t last = std::min(
        body.find("data: {\"type\":\"response.completed"),
        body.find("data: {\"type\":\"response.incomplete")
    );
    return body.find('\n', last);
}

/// The output; helper members of the SDK and logprobs are not sent back.
Json goes_back(const Json& response) {
    Json output = response.at("output");
    for (Json& item : output) {
        item.erase("parsed_arguments");
        if (item.contains("content")) {
            for (Json& part : item.at("content")) {
                part.erase("parsed");
                part.erase("logprobs");
            }
        }
    }
    return output;
}

Json second_message(const Json& body) {
    Json items = body.at("input");
    items.erase(0);
    return items;
}

ChatRequest tool_round() {
    ChatRequest request;
    request.system = "Answer briefly.";
    request.params.reasoning_effort = "low";  // replaced by extra_body
    request.params.max_tokens = 1024;
    request.params.extra_body = RawJson(
        R"({"prompt_cache_key":"tenant-7","reasoning":{"effort":"medium","summary":"auto"}})"
    );
    request.parallel_tool_calls = true;
    request.tool_choice = ToolChoice(ToolChoice::Mode::automatic);
    request.add(Message::user(std::vector<ContentBlock>{
        TextBlock("Weather in the city of this photo and in Porto?"),
        ImageBlock(MediaSource::base64("iVBORw0KGgo=", "image/png"), "low"),
        DocumentBlock(MediaSource::base64("JVBERi0xLjQ=", "application/pdf"), "notes.pdf")}));
    HttpResponse response(200);
    response.body = read_cassette(folder, "openai-responses-response-tools.json");
    request.add(find_codec(folder)->decode(response).message);
    request.add(Message::tool_results(
        {ToolResultBlock("call_wireA", R"({"temp_c":24})"),
         ToolResultBlock(
             "call_wireB",
             std::vector<ToolResultContent>{
                 TextBlock("radar image:"),
                 ImageBlock(MediaSource::base64("iVBORw0KGgo=", "image/png"), "auto")}
         )}
    ));
    const Json golden = parse_json(read_cassette(folder, "openai-responses-request-toolround.json")
    );
    for (const Json& tool : golden.at("tools")) {
        ToolSpec& spec = request.tools.emplace_back(
            tool.at("name").get<std::string>(),
            tool.at("description").get<std::string>(),
            RawJson::from(tool.at("parameters"))
        );
        spec.strict = tool.at("strict").get<bool>();
    }
    return request;
}

}  // namespace

ProtocolCase openai_responses_case() {
    ProtocolCase protocol;
    protocol.codec = folder;
    protocol.endpoint =
        endpoint_of_row("openai_responses", "https://api.openai.com/v1", "gpt-6-astra");
    protocol.streams = {
        {"openai-responses-stream"},
        {"openai-responses-stream-tools"},
        {"openai-responses-stream-refusal"},
        {"openai-responses-stream-incomplete"}};
    protocol.broken_streams = {
        {"openai-responses-stream-failed",
         Errc::server_error,
         "",
         "The model failed to generate a response."},
        {"openai-responses-stream-error",
         Errc::rate_limited,
         "",
         "Rate limit reached for requests."}};
    protocol.replies = {
        "openai-responses-response",
        "openai-responses-response-tools",
        "openai-responses-stream-refusal.expected",
        "openai-responses-stream-incomplete.expected"};
    protocol.meaning = meaning;
    protocol.complete_at = complete_at;
    protocol.id_key = "id";
    protocol.model_key = "model";
    protocol.new_member = R"("new_member":{"delta":"x","item":{"type":"message"}},)";
    protocol.goes_back = goes_back;
    protocol.second_message = second_message;
    protocol.tool_round = tool_round;
    protocol.tool_round_file = "openai-responses-request-toolround.json";
    protocol.tool_round_streams = true;
    return protocol;
}

}  // namespace llmproc::testing_cassettes
