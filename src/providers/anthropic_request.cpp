#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "providers/anthropic.hpp"
#include "providers/extra_body.hpp"
#include "providers/hosted_tools.hpp"
#include "providers/json_members.hpp"
#include "providers/json_schema_shape.hpp"
#include "providers/model_rules.hpp"
#include "providers/request_parts.hpp"
#include "providers/thinking.hpp"
#include "providers/tool_names.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

namespace {

/// From this version on sampling is refused and messages of role "system" are allowed.
constexpr std::string_view version_2026_10_21 = "2026-10-21";

bool since_2026_10_21(std::string_view version) {
    // The names of Google Cloud's own versions end with a date too: of the API they came from.
    constexpr std::string_view vertex = "vertex-";
    if (version.starts_with(vertex)) {
        version.remove_prefix(vertex.size());
    }
    return version >= version_2026_10_21;
}

void write_tool(JsonWriter& json, const ToolSpec& tool, std::optional<bool> adapt) {
    json.begin_object();
    json.key("name");
    json.string(wire_tool_name(tool.name, strict_tool_names));
    if (!tool.description.empty()) {
        json.key("description");
        json.string(tool.description);
    }
    json.key("input_schema");
    if (tool.parameters.text() == "null") {
        json.raw(R"({"type":"object","properties":{}})");
    } else {
        write_tool_schema(json, tool, adapt, SchemaRules::anthropic);
    }
    if (tool.strict) {
        json.key("strict");
        json.boolean(*tool.strict);
    }
    json.end_object();
}

std::string_view choice_type(ToolChoice::Mode mode) {
    switch (mode) {
        case ToolChoice::Mode::automatic: return "auto";
        case ToolChoice::Mode::none: return "none";
        case ToolChoice::Mode::required: return "any";
        case ToolChoice::Mode::tool: return "tool";
    }
    return "auto";
}

void write_tool_choice(JsonWriter& json, const ChatRequest& request) {
    if (!request.tool_choice && !request.parallel_tool_calls) {
        return;
    }
    const ToolChoice choice = request.tool_choice.value_or(ToolChoice());
    json.key("tool_choice");
    json.begin_object();
    json.key("type");
    json.string(choice_type(choice.mode));
    if (choice.mode == ToolChoice::Mode::tool) {
        if (choice.name.empty()) {
            invalid_request("ToolChoice::tool needs the name of a tool");
        }
        json.key("name");
        json.string(wire_tool_name(choice.name, strict_tool_names));
    }
    if (request.parallel_tool_calls && choice.mode != ToolChoice::Mode::none) {
        json.key("disable_parallel_tool_use");
        json.boolean(!*request.parallel_tool_calls);
    }
    json.end_object();
}

void write_tools(JsonWriter& json, const ChatRequest& request) {
    const std::vector<HostedTool>& hosted = request.params.hosted_tools;
    if (!request.tools.empty() || !hosted.empty()) {
        check_tool_names(request.tools, strict_tool_names);
        json.key("tools");
        json.begin_array();
        for (const ToolSpec& tool : request.tools) {
            write_tool(json, tool, request.params.adapt_schemas);
        }
        for (const HostedTool& tool : hosted) {
            write_anthropic_tool(json, tool);
        }
        json.end_array();
    } else if (!brings_tools(request.params)) {
        refuse_forced_call(request.tool_choice);
        return;
    }
    write_tool_choice(json, request);
}

[[noreturn]] void refuse(std::string_view name, std::string_view why, std::string_view remedy) {
    std::string text = "parameters.";
    text.append(name).append(" is refused by ").append(why).append("; ").append(remedy);
    throw LLMError(Errc::not_supported, text);
}

void check_sampling(
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model,
    std::string_view version,
    bool insisted
) {
    if (params.seed) {
        refuse("seed", "Anthropic Messages, which has none", "remove it");
    }
    check_model_sampling(params, rules, model);
    if (!since_2026_10_21(version) || insisted) {
        return;
    }
    const std::array<std::pair<std::string_view, bool>, 3> removed{{
        {"temperature", params.temperature.has_value()},
        {"top_p", params.top_p.has_value()},
        {"top_k", params.top_k.has_value()},
    }};
    for (const auto& [name, set] : removed) {
        if (set) {
            refuse(
                name,
                "version " + std::string(version) + " of the API",
                "remove it, or set model.api_version = \"2023-06-01\""
            );
        }
    }
}

/// The protocol demands a limit, which a budget for thinking is a part of.
std::int64_t default_max_tokens(const SamplingParams& params, const ModelRules& rules) {
    const std::int64_t budget = params.thinking ? params.thinking->budget_tokens : 0;
    if (!rules.max_output_tokens) {
        const std::int64_t most = std::numeric_limits<std::int64_t>::max() - anthropic_max_tokens;
        return anthropic_max_tokens + std::clamp<std::int64_t>(budget, 0, most);
    }
    if (budget >= *rules.max_output_tokens) {
        invalid_request(
            "model.rules.max_output_tokens (" + std::to_string(*rules.max_output_tokens) +
            ") leaves no room for an answer: the budget of parameters.thinking (" +
            std::to_string(budget) + ") is a part of it; raise the limit or lower the budget"
        );
    }
    return *rules.max_output_tokens;
}

void write_sampling(JsonWriter& json, const SamplingParams& params, const ModelRules& rules) {
    write_integer(
        json,
        "max_tokens",
        params.max_tokens.value_or(default_max_tokens(params, rules))
    );
    write_number(json, "temperature", params.temperature);
    write_number(json, "top_p", params.top_p);
    write_integer(json, "top_k", params.top_k);
    if (!params.stop.empty()) {
        json.key("stop_sequences");
        json.begin_array();
        for (const std::string& text : params.stop) {
            json.string(text);
        }
        json.end_array();
    }
}

void write_output_config(JsonWriter& json, const SamplingParams& params) {
    if (!params.reasoning_effort && !params.response_schema) {
        return;
    }
    json.key("output_config");
    json.begin_object();
    if (params.reasoning_effort) {
        json.key("effort");
        json.string(*params.reasoning_effort);
    }
    if (params.response_schema) {
        json.key("format");
        json.begin_object();
        json.key("type");
        json.string("json_schema");
        json.key("schema");
        write_schema(
            json,
            *params.response_schema,
            params.adapt_schemas,
            SchemaRules::anthropic,
            response_schema_name
        );
        json.end_object();
    }
    json.end_object();
}

/// The members of extra_body that the counting endpoint takes; it refuses the others.
constexpr auto countable = std::to_array<std::string_view>(
    {"cache_control",
     "messages",
     "model",
     "output_config",
     "system",
     "thinking",
     "tool_choice",
     "tools"}
);

}  // namespace

std::string encode_anthropic_body(
    const ChatRequest& request,
    const Endpoint& endpoint,
    AnthropicCall call,
    std::string_view version,
    EncodeCache& cache
) {
    const SamplingParams& params = request.params;
    // The small settings first: then the size is known and the body is reserved once.
    std::string settings;
    JsonWriter json(settings);
    json.begin_object();
    const std::string& model = model_of(request, endpoint);
    const ModelRules rules = rules_for(anthropic_name, model, endpoint);
    const bool vertex = endpoint.hosting == Hosting::vertex;
    if (vertex) {
        json.key("anthropic_version");
        json.string(version);
    }
    if (!vertex || call == AnthropicCall::count) {
        json.key("model");
        json.string(wire_model(request, endpoint));
    }
    if (call != AnthropicCall::count) {
        const bool insisted = endpoint.rules.sampling == true;
        check_sampling(params, rules, model, version, insisted);
        write_sampling(json, params, rules);
    }
    write_anthropic_thinking(json, params, rules, model);
    if (params.prompt_caching == true) {
        json.key("cache_control");
        json.raw(R"({"type":"ephemeral"})");
    }
    write_tools(json, request);
    write_output_config(json, params);
    if (call == AnthropicCall::stream) {
        json.key("stream");
        json.boolean(true);
    }

    std::optional<RawJson> extra = params.extra_body;
    if (extra && call == AnthropicCall::count) {
        extra = kept_members(*extra, countable);
    }
    const ExtraBody extra_body(extra, {"messages", "system"});
    extra_body.merge_into_settings(settings);
    const std::size_t bytes = fill_anthropic_cache(request.messages, cache);
    std::string body;
    body.reserve(settings.size() + bytes + request.system.size() + request.system.size() / 8 + 128);
    body += settings;
    write_anthropic_messages(body, request, cache, since_2026_10_21(version));
    body.push_back('}');
    extra_body.merge_into_body(body);
    return body;
}

}  // namespace llmproc::providers
