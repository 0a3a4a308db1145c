#include "providers/model_rules.hpp"

#include <llmproc/error.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace llmproc {

ModelRules& ModelRules::fill_from(const ModelRules& defaults) {
    const auto fill = [](auto& own, const auto& fallback) {
        if (!own) {
            own = fallback;
        }
    };
    fill(sampling, defaults.sampling);
    fill(max_completion_tokens, defaults.max_completion_tokens);
    fill(developer_role, defaults.developer_role);
    fill(structured_output, defaults.structured_output);
    fill(adaptive_thinking, defaults.adaptive_thinking);
    fill(thinking_budget, defaults.thinking_budget);
    fill(max_output_tokens, defaults.max_output_tokens);
    return *this;
}

namespace providers {

namespace {

constexpr std::string_view anthropic = "anthropic";
constexpr std::string_view gemini = "gemini";
/// Both of OpenAI's protocols: a name that both names begin with.
constexpr std::string_view openai = "openai_";

enum class Known : unsigned char { open, yes, no };

/// What a row says; `open` is left to the row of the profile and to the server.
struct Row {
    std::string_view codec;  ///< Its name, or what it begins with if that ends with '_'.
    std::string_view model;
    Known sampling = Known::open;
    Known max_completion_tokens = Known::open;
    Known structured_output = Known::open;
    Known adaptive_thinking = Known::open;
    Known thinking_budget = Known::open;
    std::int64_t max_output_tokens = 0;  ///< 0 = open.
};

constexpr Known open = Known::open;
constexpr Known yes = Known::yes;
constexpr Known no = Known::no;

// Only what the vendors' references of 2026-11 say; a model that is not here has no rules.
constexpr auto rows = std::to_array<Row>({
    // Sampling went with Opus 4.7, thinking by budget too; 4.5 and older have no other.
    {anthropic, "claude-3-haiku", yes, open, no, no, no, 4096},
    {anthropic, "claude-3-opus", yes, open, no, no, no, 4096},
    {anthropic, "claude-3-5-haiku", yes, open, no, no, no, 8192},
    {anthropic, "claude-3-5-sonnet", yes, open, no, no, no, 8192},
    {anthropic, "claude-3-7-sonnet", yes, open, no, no, yes},
    {anthropic, "claude-opus-4", yes, open, no, no, yes},
    {anthropic, "claude-opus-4-0", yes, open, no, no, yes},
    {anthropic, "claude-opus-4-1", yes, open, open, no, yes},
    {anthropic, "claude-opus-4-5", yes, open, yes, no, yes},
    {anthropic, "claude-opus-4-6", yes, open, yes, yes, yes},
    {anthropic, "claude-opus-4-7", no, open, yes, yes, no},
    {anthropic, "claude-opus-4-8", no, open, yes, yes, no},
    {anthropic, "claude-opus-5", no, open, yes, yes, no},
    {anthropic, "claude-opus-5-5", no, open, yes, yes, no},
    {anthropic, "claude-sonnet-4", yes, open, no, no, yes},
    {anthropic, "claude-sonnet-4-0", yes, open, no, no, yes},
    {anthropic, "claude-sonnet-4-5", yes, open, yes, no, yes},
    {anthropic, "claude-sonnet-4-6", yes, open, yes, yes, yes},
    {anthropic, "claude-sonnet-5", no, open, yes, yes, no},
    {anthropic, "claude-sonnet-5-5", no, open, yes, yes, no},
    {anthropic, "claude-haiku-4-5", yes, open, yes, no, yes},
    {anthropic, "claude-haiku-5-5", no, open, yes, yes, no},
    {anthropic, "claude-fable-5-2", no, open, yes, yes, no},
    {anthropic, "claude-mythos-5-2", no, open, yes, yes, no},
    // Thinking by level since Gemini 3, by a budget before; -1 leaves it to the model.
    {gemini, "gemini-1.5", yes, open, yes, no, no},
    {gemini, "gemini-2.0", yes, open, yes, no, no},
    {gemini, "gemini-2.5", yes, open, yes, yes, yes},
    {gemini, "gemini-3", open, open, yes, yes, no},
    {gemini, "gemini-3.1", open, open, yes, yes, no},
    {gemini, "gemini-3.5", open, open, yes, yes, no},
    {gemini, "gemini-3.6", open, open, yes, yes, no},
    {gemini, "gemini-3.7", open, open, yes, yes, no},
    {gemini, "gemini-3.8", open, open, yes, yes, no},
    {gemini, "gemini-4", open, open, yes, yes, no},
    {openai, "gpt-4o", yes, open, yes, no, no},
    {openai, "gpt-4.1", yes, open, yes, no, no},
    // Reasoning models want max_completion_tokens; those that always reason refuse sampling.
    {openai, "o1", no, yes, open, yes, no},
    {openai, "o3", no, yes, yes, yes, no},
    {openai, "o4-mini", no, yes, yes, yes, no},
    {openai, "gpt-5", no, yes, yes, yes, no},
    {openai, "gpt-5-chat", open, yes, yes, no, no},
    {openai, "gpt-5.2", open, yes, yes, yes, no},
    {openai, "gpt-5.4", open, yes, yes, yes, no},
    {openai, "gpt-5.5", open, yes, yes, yes, no},
    {openai, "gpt-5.6", open, yes, yes, yes, no},
    {openai, "gpt-6-astra", no, yes, yes, yes, no},
    {openai, "gpt-6.1-sol", no, yes, yes, yes, no},
    // DeepSeek's own server takes json_object alone.
    {openai, "deepseek-chat", open, open, no},
    {openai, "deepseek-reasoner", open, open, no},
});

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Whether what follows a model's name leaves it that model.
bool names_same_model(std::string_view rest) {
    if (rest.empty() || rest.front() == '@' || rest.front() == ':') {
        return true;
    }
    if (rest.front() != '-') {
        return false;
    }
    rest.remove_prefix(1);
    const auto* const end = std::find_if_not(rest.begin(), rest.end(), is_digit);
    const auto digits = end - rest.begin();
    return digits == 0 || digits >= 4;  // a word, or a date; fewer digits are a version
}

bool speaks(const Row& row, std::string_view codec) {
    return row.codec.back() == '_' ? codec.starts_with(row.codec) : codec == row.codec;
}

std::optional<bool> value_of(Known known) {
    return known == Known::open ? std::nullopt : std::optional<bool>(known == Known::yes);
}

/// The name without what only says where the model comes from.
std::string_view bare(std::string_view model) {
    for (const std::string_view start : {"models/", "ft:"}) {
        if (model.starts_with(start)) {
            model.remove_prefix(start.size());
        }
    }
    return model;
}

}  // namespace

ModelRules table_rules(std::string_view codec, std::string_view model) {
    model = bare(model);
    const Row* best = nullptr;
    for (const Row& row : rows) {
        const bool longer = best == nullptr || row.model.size() > best->model.size();
        if (longer && model.starts_with(row.model) && speaks(row, codec) &&
            names_same_model(model.substr(row.model.size()))) {
            best = &row;
        }
    }
    ModelRules rules;
    if (best == nullptr) {
        return rules;
    }
    rules.sampling = value_of(best->sampling);
    rules.max_completion_tokens = value_of(best->max_completion_tokens);
    rules.structured_output = value_of(best->structured_output);
    rules.adaptive_thinking = value_of(best->adaptive_thinking);
    rules.thinking_budget = value_of(best->thinking_budget);
    if (best->max_output_tokens != 0) {
        rules.max_output_tokens = best->max_output_tokens;
    }
    return rules;
}

ModelRules rules_for(std::string_view codec, std::string_view model, const Endpoint& endpoint) {
    ModelRules profile;
    profile.max_completion_tokens = endpoint.quirks.max_completion_tokens;
    profile.developer_role = endpoint.quirks.developer_role;
    ModelRules rules = endpoint.rules;
    return rules.fill_from(table_rules(codec, model)).fill_from(profile);
}

bool follows_schema(std::string_view codec, std::string_view model, const Endpoint& endpoint) {
    return rules_for(codec, model, endpoint).structured_output.value_or(true);
}

void refused_by_model(
    std::string_view parameter,
    std::string_view model,
    std::string_view remedy,
    std::string_view rule
) {
    std::string text = "parameters.";
    text.append(parameter).append(" is refused by the model ").append(model).append("; ");
    text.append(remedy).append(", or set model.rules.").append(rule);
    text += " if the model takes it after all";
    throw LLMError(Errc::not_supported, text);
}

void check_model_sampling(
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
) {
    if (rules.sampling.value_or(true)) {
        return;
    }
    const std::array<std::pair<std::string_view, bool>, 3> refused{{
        {"temperature", params.temperature.has_value()},
        {"top_p", params.top_p.has_value()},
        {"top_k", params.top_k.has_value()},
    }};
    for (const auto& [name, set] : refused) {
        if (set) {
            refused_by_model(name, model, "remove it", "sampling = true");
        }
    }
}

}  // namespace providers

}  // namespace llmproc
