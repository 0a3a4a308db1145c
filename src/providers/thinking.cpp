#include "providers/thinking.hpp"

#include <llmproc/error.hpp>
#include "providers/model_rules.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <cstdint>

namespace llmproc::providers {

namespace {

using Mode = Thinking::Mode;

/// Whether the model is known to have no thinking that could be turned off.
bool never_thinks(const ModelRules& rules) {
    return rules.adaptive_thinking == false && rules.thinking_budget == false;
}

void check_adaptive(const ModelRules& rules, std::string_view model, std::string_view remedy) {
    if (rules.adaptive_thinking == false) {
        refused_by_model("thinking = \"adaptive\"", model, remedy, "adaptive_thinking = true");
    }
}

void check_budget(const ModelRules& rules, std::string_view model, std::string_view remedy) {
    if (rules.thinking_budget == false) {
        refused_by_model("thinking with a budget", model, remedy, "thinking_budget = true");
    }
}

std::string_view budget_remedy(const ModelRules& rules, std::string_view remedy) {
    return never_thinks(rules) ? std::string_view("remove it") : remedy;
}

[[noreturn]] void contradiction(std::string_view thinking, const std::string& effort) {
    std::string text = "parameters.thinking = ";
    text.append(thinking).append(" and parameters.reasoning_effort = \"").append(effort);
    invalid_request(text + "\" contradict each other; remove one of them");
}

void write_type(JsonWriter& json, std::string_view type) {
    json.key("thinking");
    json.begin_object();
    json.key("type");
    json.string(type);
}

std::string level_of(std::string effort) {
    std::transform(effort.begin(), effort.end(), effort.begin(), [](char c) {
        return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
    return effort;
}

/// What goes into Gemini's thinkingConfig; a level and a budget together are refused by the API.
struct GeminiThinking {
    std::optional<std::int64_t> budget;
    std::optional<std::string> level;
    bool shown = false;
};

constexpr std::int64_t no_thinking = 0;
constexpr std::int64_t as_it_likes = -1;

GeminiThinking gemini_thinking(
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
) {
    const std::optional<std::string>& effort = params.reasoning_effort;
    GeminiThinking result;
    if (effort && *effort != "none") {
        result.level = level_of(*effort);
    }
    if (!params.thinking && effort != "none") {
        return result;
    }
    const Mode mode = params.thinking ? params.thinking->mode : Mode::off;
    result.shown = mode != Mode::off;
    switch (mode) {
        case Mode::off:
            if (result.level) {
                contradiction("\"off\"", *effort);
            }
            if (never_thinks(rules)) {
                break;
            }
            check_budget(rules, model, "use parameters.reasoning_effort = \"minimal\" instead");
            result.budget = no_thinking;
            break;
        case Mode::adaptive:
            check_adaptive(rules, model, "remove it");
            if (effort && !result.level) {
                contradiction("\"adaptive\"", *effort);
            }
            // Later models think as they like unless told otherwise.
            if (rules.thinking_budget == true && !result.level) {
                result.budget = as_it_likes;
            }
            break;
        case Mode::budget:
            if (effort) {
                contradiction("a budget", *effort);
            }
            check_budget(
                rules,
                model,
                budget_remedy(rules, "use parameters.reasoning_effort instead")
            );
            result.budget = params.thinking->budget_tokens;
            break;
    }
    return result;
}

}  // namespace

std::optional<std::string> openai_effort(
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
) {
    const std::optional<std::string>& effort = params.reasoning_effort;
    if (!params.thinking) {
        return effort;
    }
    switch (params.thinking->mode) {
        case Mode::off:
            if (effort && *effort != "none") {
                contradiction("\"off\"", *effort);
            }
            return never_thinks(rules) ? std::nullopt : std::optional<std::string>("none");
        case Mode::adaptive:
            check_adaptive(rules, model, "remove it");
            if (effort == "none") {
                contradiction("\"adaptive\"", *effort);
            }
            return effort ? effort : std::optional<std::string>("medium");
        case Mode::budget: break;
    }
    throw LLMError(
        Errc::not_supported,
        "OpenAI's protocols have no budget for thinking; use parameters.reasoning_effort, or write "
        "the server's own field into parameters.extra_body"
    );
}

void write_anthropic_thinking(
    JsonWriter& json,
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
) {
    if (!params.thinking) {
        return;
    }
    switch (params.thinking->mode) {
        case Mode::off:
            if (never_thinks(rules)) {
                return;
            }
            write_type(json, "disabled");
            break;
        case Mode::adaptive:
            check_adaptive(
                rules,
                model,
                never_thinks(rules) ? "remove it" : "give a number of tokens instead"
            );
            write_type(json, "adaptive");
            break;
        case Mode::budget:
            check_budget(
                rules,
                model,
                budget_remedy(
                    rules,
                    "use \"adaptive\", and parameters.reasoning_effort for more or less of it"
                )
            );
            write_type(json, "enabled");
            json.key("budget_tokens");
            json.integer(params.thinking->budget_tokens);
            break;
    }
    json.end_object();
}

void write_gemini_thinking(
    JsonWriter& json,
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
) {
    const GeminiThinking thinking = gemini_thinking(params, rules, model);
    if (!thinking.budget && !thinking.level && !thinking.shown) {
        return;
    }
    json.key("thinkingConfig");
    json.begin_object();
    if (thinking.shown) {
        json.key("includeThoughts");
        json.boolean(true);
    }
    write_integer(json, "thinkingBudget", thinking.budget);
    if (thinking.level) {
        json.key("thinkingLevel");
        json.string(*thinking.level);
    }
    json.end_object();
}

}  // namespace llmproc::providers
