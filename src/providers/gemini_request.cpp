#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/gemini.hpp"
#include "providers/json_schema_shape.hpp"
#include "providers/openai_chat_parts.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc::providers {

namespace {

void write_named_schema(
    JsonWriter& json,
    std::string_view name,
    const RawJson& schema,
    std::optional<bool> adapt,
    const Endpoint& endpoint,
    std::string_view what
) {
    // The Json fields take JSON Schema as it is; the older ones only a subset of it.
    if (endpoint.quirks.schema_subset) {
        json.key(name);
        json.raw(gemini_schema(schema, what));
        return;
    }
    json.key(name == "parameters" ? "parametersJsonSchema" : "responseJsonSchema");
    write_schema(json, schema, adapt, SchemaRules::gemini, what);
}

void write_function(
    JsonWriter& json,
    const ToolSpec& tool,
    std::optional<bool> adapt,
    const Endpoint& endpoint
) {
    json.begin_object();
    json.key("name");
    json.string(tool.name);
    if (!tool.description.empty()) {
        json.key("description");
        json.string(tool.description);
    }
    if (tool.parameters.text() != "null") {
        const std::string what = "the tool " + tool.name;
        write_named_schema(json, "parameters", tool.parameters, adapt, endpoint, what);
    }
    json.end_object();
}

void write_tool_choice(JsonWriter& json, const ToolChoice& choice) {
    json.key("toolConfig");
    json.begin_object();
    json.key("functionCallingConfig");
    json.begin_object();
    json.key("mode");
    switch (choice.mode) {
        case ToolChoice::Mode::automatic: json.string("AUTO"); break;
        case ToolChoice::Mode::none: json.string("NONE"); break;
        case ToolChoice::Mode::required: json.string("ANY"); break;
        case ToolChoice::Mode::tool:
            if (choice.name.empty()) {
                invalid_request("ToolChoice::tool needs the name of a tool");
            }
            json.string("ANY");
            json.key("allowedFunctionNames");
            json.begin_array();
            json.string(choice.name);
            json.end_array();
            break;
    }
    json.end_object();
    json.end_object();
}

void write_tools(JsonWriter& json, const ChatRequest& request, const Endpoint& endpoint) {
    if (request.parallel_tool_calls == false) {
        throw LLMError(
            Errc::not_supported,
            "Gemini cannot be kept from calling tools in parallel; leave parallel_tool_calls out"
        );
    }
    if (request.tools.empty()) {
        const bool must = request.tool_choice &&
                          (request.tool_choice->mode == ToolChoice::Mode::required ||
                           request.tool_choice->mode == ToolChoice::Mode::tool);
        if (must) {
            invalid_request("tool_choice demands a tool call, but the request has no tools");
        }
        return;
    }
    json.key("tools");
    json.begin_array();
    json.begin_object();
    json.key("functionDeclarations");
    json.begin_array();
    for (const ToolSpec& tool : request.tools) {
        write_function(json, tool, request.params.adapt_schemas, endpoint);
    }
    json.end_array();
    json.end_object();
    json.end_array();
    if (request.tool_choice) {
        write_tool_choice(json, *request.tool_choice);
    }
}

void write_system_part(JsonWriter& json, std::string_view text) {
    json.begin_object();
    json.key("text");
    json.string(text);
    json.end_object();
}

/// The API has no system role: the prompt and all system messages are one instruction.
void write_system(JsonWriter& json, const ChatRequest& request) {
    std::vector<std::string_view> texts;
    if (!request.system.empty()) {
        texts.emplace_back(request.system);
    }
    for (const auto& message : request.messages) {
        if (!message || message->role() != Role::system) {
            continue;
        }
        for (const ContentBlock& block : message->content()) {
            const auto* const text = std::get_if<TextBlock>(&block);
            if (text == nullptr) {
                block_misplaced("other than a text", Role::system);
            }
            texts.emplace_back(text->text);
        }
    }
    if (texts.empty()) {
        return;
    }
    json.key("systemInstruction");
    json.begin_object();
    json.key("parts");
    json.begin_array();
    for (const std::string_view text : texts) {
        write_system_part(json, text);
    }
    json.end_array();
    json.end_object();
}

void write_thinking(JsonWriter& json, const std::string& effort) {
    json.key("thinkingConfig");
    json.begin_object();
    if (effort == "none") {
        json.key("thinkingBudget");  // the only way that there is to say it
        json.integer(0);
    } else {
        std::string level = effort;
        std::transform(level.begin(), level.end(), level.begin(), [](char c) {
            return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        });
        json.key("thinkingLevel");
        json.string(level);
    }
    json.end_object();
}

std::string generation_config(const SamplingParams& params, const Endpoint& endpoint) {
    std::string text;
    JsonWriter json(text);
    json.begin_object();
    write_number(json, "temperature", params.temperature);
    write_number(json, "topP", params.top_p);
    write_integer(json, "topK", params.top_k);
    write_integer(json, "maxOutputTokens", params.max_tokens);
    if (!params.stop.empty()) {
        json.key("stopSequences");
        json.begin_array();
        for (const std::string& stop : params.stop) {
            json.string(stop);
        }
        json.end_array();
    }
    write_integer(json, "seed", params.seed);
    if (params.response_schema) {
        json.key("responseMimeType");
        json.string("application/json");
        write_named_schema(
            json,
            "responseSchema",
            *params.response_schema,
            params.adapt_schemas,
            endpoint,
            response_schema_name
        );
    }
    if (params.reasoning_effort) {
        write_thinking(json, *params.reasoning_effort);
    }
    json.end_object();
    return text;
}

using Members = std::vector<std::pair<std::string, std::string_view>>;

Members read_members(std::string_view object) {
    Members members;
    JsonReader reader(object);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        std::string name(key);
        members.emplace_back(std::move(name), reader.raw());
    }
    return members;
}

bool is_kind(std::string_view text, JsonKind kind) {
    return JsonReader(text).peek() == kind;
}

/// The elements of both arrays.
void write_both(JsonWriter& json, std::string_view first, std::string_view second) {
    json.begin_array();
    for (const std::string_view array : {first, second}) {
        JsonReader reader(array);
        reader.begin_array();
        while (reader.next_element()) {
            json.raw(reader.raw());
        }
    }
    json.end_array();
}

void write_merged(JsonWriter& json, std::string_view body, std::string_view extra, bool top) {
    const Members added = read_members(extra);
    const Members own = read_members(body);
    const auto find = [](const Members& members, const std::string& name) {
        return std::find_if(members.begin(), members.end(), [&](const auto& member) {
            return member.first == name;
        });
    };
    json.begin_object();
    for (const auto& [name, value] : own) {
        const auto other = find(added, name);
        json.key(name);
        if (other == added.end()) {
            json.raw(value);
        } else if (is_kind(value, JsonKind::object) && is_kind(other->second, JsonKind::object)) {
            write_merged(json, value, other->second, false);
        } else if (top && name == "tools" && is_kind(other->second, JsonKind::array)) {
            write_both(json, value, other->second);
        } else {
            json.raw(other->second);
        }
    }
    for (const auto& [name, value] : added) {
        if (find(own, name) == own.end()) {
            json.key(name);
            json.raw(value);
        }
    }
    json.end_object();
}

}  // namespace

std::string merge_gemini_extra(std::string_view body, const RawJson& extra) {
    if (!is_kind(extra.text(), JsonKind::object)) {
        invalid_request("extra_body must be a JSON object");
    }
    std::string merged;
    merged.reserve(body.size() + extra.text().size());
    JsonWriter json(merged);
    write_merged(json, body, extra.text(), true);
    return merged;
}

std::string encode_gemini_body(
    const ChatRequest& request,
    const Endpoint& endpoint,
    EncodeCache& cache
) {
    std::string body;
    JsonWriter json(body);
    json.begin_object();
    write_system(json, request);
    write_tools(json, request, endpoint);
    const std::string config = generation_config(request.params, endpoint);
    if (config != "{}") {
        json.key("generationConfig");
        json.raw(config);
    }
    body += body.size() > 1 ? "," : "";
    append_contents(body, request.messages, model_of(request, endpoint), cache);
    body.push_back('}');
    return request.params.extra_body ? merge_gemini_extra(body, *request.params.extra_body) : body;
}

std::string encode_gemini_count(const ChatRequest& request, const Endpoint& endpoint) {
    ChatRequest counted = request;
    counted.params = SamplingParams();
    counted.params.extra_body = request.params.extra_body;
    EncodeCache cache;
    std::string whole = encode_gemini_body(counted, endpoint, cache);
    if (whole.starts_with(R"({"contents":)") && !counted.params.extra_body) {
        return whole;
    }
    // With a system prompt or tools only the form for a whole request counts everything.
    std::string body;
    JsonWriter json(body);
    json.begin_object();
    json.key("generateContentRequest");
    json.begin_object();
    json.key("model");
    json.string(gemini_model_path(model_of(request, endpoint)));
    body.push_back(',');
    body.append(whole, 1, whole.size() - 1);  // whole has at least its contents
    body.push_back('}');
    return body;
}

}  // namespace llmproc::providers
