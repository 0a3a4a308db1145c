#include "core/json_writer.hpp"
#include "providers/extra_body.hpp"
#include "providers/gemini.hpp"
#include "providers/hosted_tools.hpp"
#include "providers/json_schema_shape.hpp"
#include "providers/model_rules.hpp"
#include "providers/request_parts.hpp"
#include "providers/thinking.hpp"
#include "providers/tool_names.hpp"

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
    json.string(wire_tool_name(tool.name, gemini_tool_names));
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

void write_calling(JsonWriter& json, const ToolChoice& choice) {
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
            json.string(wire_tool_name(choice.name, gemini_tool_names));
            json.end_array();
            break;
    }
    json.end_object();
}

void write_tool_config(JsonWriter& json, const ChatRequest& request) {
    const bool mixed = !request.tools.empty() && !request.params.hosted_tools.empty();
    const bool choice = request.tool_choice &&
                        (!request.tools.empty() || brings_tools(request.params));
    if (!mixed && !choice) {
        return;
    }
    json.key("toolConfig");
    json.begin_object();
    if (choice) {
        write_calling(json, *request.tool_choice);
    }
    if (mixed) {
        json.key("includeServerSideToolInvocations");  // else the API refuses both together
        json.boolean(true);
    }
    json.end_object();
}

void write_tools(JsonWriter& json, const ChatRequest& request, const Endpoint& endpoint) {
    if (request.parallel_tool_calls == false) {
        throw LLMError(
            Errc::not_supported,
            "Gemini cannot be kept from calling tools in parallel; leave parallel_tool_calls out"
        );
    }
    if (request.tools.empty() && !brings_tools(request.params)) {
        refuse_forced_call(request.tool_choice);  // hosted tools cannot be chosen
    }
    if (request.tools.empty() && request.params.hosted_tools.empty()) {
        write_tool_config(json, request);
        return;
    }
    check_tool_names(request.tools, gemini_tool_names);
    json.key("tools");
    json.begin_array();
    if (!request.tools.empty()) {
        json.begin_object();
        json.key("functionDeclarations");
        json.begin_array();
        for (const ToolSpec& tool : request.tools) {
            write_function(json, tool, request.params.adapt_schemas, endpoint);
        }
        json.end_array();
        json.end_object();
    }
    for (const HostedTool& tool : request.params.hosted_tools) {
        write_gemini_tool(json, tool);
    }
    json.end_array();
    write_tool_config(json, request);
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
            if (is_cache_point(block)) {
                continue;
            }
            const auto* const text = std::get_if<TextBlock>(&block);
            if (text == nullptr) {
                holds_only("text", Role::system);
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

std::string generation_config(
    const SamplingParams& params,
    const Endpoint& endpoint,
    std::string_view model
) {
    const ModelRules rules = rules_for(gemini_name, model, endpoint);
    check_model_sampling(params, rules, model);
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
    write_gemini_thinking(json, params, rules, model);
    json.end_object();
    return text;
}

}  // namespace

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
    const std::string& model = model_of(request, endpoint);
    const std::string config = generation_config(request.params, endpoint, model);
    if (config != "{}") {
        json.key("generationConfig");
        json.raw(config);
    }
    const ExtraBody extra_body(request.params.extra_body, {"contents"});
    extra_body.merge_into_settings(body);
    body += body.size() > 1 ? "," : "";
    append_contents(body, request.messages, model, cache);
    body.push_back('}');
    extra_body.merge_into_body(body);
    return body;
}

std::string encode_gemini_count(const ChatRequest& request, const Endpoint& endpoint) {
    ChatRequest counted = request;
    counted.params = SamplingParams();
    counted.params.extra_body = request.params.extra_body;
    counted.params.hosted_tools = request.params.hosted_tools;
    counted.params.adapt_schemas = request.params.adapt_schemas;
    EncodeCache cache;
    std::string whole = encode_gemini_body(counted, endpoint, cache);
    const bool plain = whole.starts_with(R"({"contents":)") && !counted.params.extra_body;
    if (plain || endpoint.hosting == Hosting::vertex) {
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
