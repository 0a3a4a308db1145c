#include "program/program_keys.hpp"

#include "program/price_file.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <utility>

namespace llmproc {

namespace {

constexpr std::string_view use_extra_body =
    "; until then write it into [parameters.extra_body] by the provider's name";

bool is_object(const RawJson& json) {
    const auto start = json.text().find_first_not_of(" \t\r\n");
    return start != std::string::npos && json.text()[start] == '{';
}

// A key in this place would be printed as the name of a missing variable.
bool looks_like_key(std::string_view text) {
    constexpr std::array<std::string_view, 6> starts{"sk-", "sk_", "gsk_", "xai-", "AIza", "key-"};
    return text.size() > 100 || std::any_of(starts.begin(), starts.end(), [&](auto start) {
               return text.substr(0, start.size()) == start;
           });
}

bool is_variable_name(std::string_view text) {
    const bool digit_first = !text.empty() && text.front() >= '0' && text.front() <= '9';
    return !digit_first && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_';
    });
}

void set_api_key_env(ProgramDraft& draft, const ConfigField& field) {
    draft.settings.key.env = variable_name(
        field,
        "expected the name of an environment variable (letters, digits and _; \"\" = no key); "
        "a key itself belongs in that variable or in the file of model.api_key_file"
    );
}

void set_response_schema(ProgramDraft& draft, const ConfigField& field) {
    if (std::holds_alternative<ConfigTable>(field.value().data)) {
        draft.settings.params.response_schema = RawJson::trusted(field.json());
        return;
    }
    if (!std::holds_alternative<std::string>(field.value().data)) {
        field.fail_type("a table or the path of a JSON file");
    }
    const std::string file = field.path().string();
    try {
        RawJson schema(field.file_text());
        if (!is_object(schema)) {
            field.fail("the file " + file + " is not a JSON object; a JSON Schema is one");
        }
        draft.settings.params.response_schema = std::move(schema);
    } catch (const ConfigError&) {
        throw;
    } catch (const LLMError& problem) {
        field.fail("the file " + file + " is not JSON: " + problem.message() + "; correct it");
    }
}

void set_extra_body(ProgramDraft& draft, const ConfigField& field) {
    for (const ConfigMember& member : field.table()) {
        if (member.key == "stream" || member.key == "messages") {
            field.member(member).fail("this field is set by each call; remove it");
        }
    }
    draft.settings.params.extra_body = RawJson::trusted(field.json());
}

void set_extra_headers(ProgramDraft& draft, const ConfigField& field) {
    constexpr std::array<std::string_view, 6> credentials{
        "authorization",
        "proxy-authorization",
        "cookie",
        "api-key",
        "x-api-key",
        "x-goog-api-key"};
    draft.settings.params.extra_headers = field.headers();
    for (const ConfigMember& member : field.table()) {
        std::string name = member.key;
        std::transform(name.begin(), name.end(), name.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
        });
        const bool secret = std::find(credentials.begin(), credentials.end(), name) !=
                            credentials.end();
        if (secret && !draft.credential_header) {
            draft.credential_header = field.member(member).key_place();
        }
    }
}

/// The tables themselves are read once all of [model] is.
void check_fallbacks(ProgramDraft& /*draft*/, const ConfigField& field) {
    constexpr std::string_view expected = "an array of tables, each written as [[model.fallback]]";
    const auto* const array = std::get_if<ConfigArray>(&field.value().data);
    if (array == nullptr) {
        field.fail_type(expected);
    }
    for (const ConfigValue& element : *array) {
        if (!std::holds_alternative<ConfigTable>(element.data)) {
            field.element(element).fail_type("a table, written as [[model.fallback]]");
        }
    }
}

void set_prices_file(ProgramDraft& draft, const ConfigField& field) {
    if (draft.is_fallback) {
        throw ConfigError(
            field.key_place(),
            "the whole program has one table of prices; move this key to [model]"
        );
    }
    draft.settings.spending.prices = std::make_shared<const PriceTable>(
        read_prices(field.file_text(), field.path().string())
    );
}

std::vector<KeyRow> model_rows() {
    return {
        {"model.name", {}, [](auto& d, const auto& f) { d.settings.model = f.line(); }, {}},
        {"model.provider", {}, [](auto& d, const auto& f) { d.provider = f.line(); }, {}},
        {"model.embedding_model",
         {},
         [](auto& d, const auto& f) { d.settings.embedding_model = f.line(); },
         {}},
        {"model.base_url", {}, [](auto& d, const auto& f) { d.base_url = f.text(); }, {}},
        {"model.api_key_env", {}, set_api_key_env, {}},
        {"model.api_key_file",
         {},
         [](auto& d, const auto& f) { d.settings.key.file = f.path().string(); },
         {}},
        {"model.api_key",
         {},
         [](auto& d, const auto& f) { d.settings.key.inline_key = Secret(f.line()); },
         {}},
        {"model.allow_inline_key",
         {},
         [](auto& d, const auto& f) { d.allow_inline_key = f.boolean(); },
         {}},
        {"model.fallback", {}, check_fallbacks, {}},
        {"model.rules", {}, set_model_rules, {}},
        {"model.prices_file", {}, set_prices_file, {}},
        {"model.max_iterations", {}, nullptr, {}},
        {"model.api_version",
         {},
         [](auto& d, const auto& f) { d.settings.api_version = f.line(); },
         {}},
        {"model.deployment",
         {},
         [](auto& d, const auto& f) { d.settings.deployment = f.line(); },
         {}},
        {"model.project_id",
         {},
         [](auto& d, const auto& f) { d.settings.project_id = f.line(); },
         {}},
        {"model.region", {}, [](auto& d, const auto& f) { d.settings.region = f.line(); }, {}},
    };
}

std::vector<KeyRow> prompt_rows() {
    return {
        {"prompt.system",
         {},
         [](auto& d, const auto& f) { d.settings.system_prompt = f.text(); },
         {}},
        {"prompt.system_file",
         {},
         [](auto& d, const auto& f) { d.settings.system_prompt = f.file_text(); },
         {}},
        {"prompt.user", {}, [](auto& d, const auto& f) { d.settings.user_prompt = f.text(); }, {}},
        {"prompt.system_prompt", "prompt.system", nullptr, {}},
        {"prompt.system_prompt_file", "prompt.system_file", nullptr, {}},
        {"prompt.user_prompt", "prompt.user", nullptr, {}},
    };
}

std::vector<KeyRow> parameter_rows() {
    return {
        {"parameters.temperature",
         {},
         [](auto& d, const auto& f) { d.settings.params.temperature = f.number(0, 2); },
         {}},
        {"parameters.top_p",
         {},
         [](auto& d, const auto& f) { d.settings.params.top_p = f.number(0, 1); },
         {}},
        {"parameters.top_k",
         {},
         [](auto& d, const auto& f) { d.settings.params.top_k = f.integer(1, no_upper_limit); },
         {}},
        {"parameters.max_tokens",
         {},
         [](auto& d, const auto& f) {
             d.settings.params.max_tokens = f.integer(1, no_upper_limit);
         },
         {}},
        {"parameters.stop",
         {},
         [](auto& d, const auto& f) { d.settings.params.stop = f.texts(); },
         {}},
        {"parameters.seed",
         {},
         [](auto& d, const auto& f) {
             d.settings.params.seed =
                 f.integer(std::numeric_limits<std::int64_t>::min(), no_upper_limit);
         },
         {}},
        {"parameters.reasoning_effort",
         {},
         [](auto& d, const auto& f) { d.settings.params.reasoning_effort = f.line(); },
         {}},
        {"parameters.thinking", {}, set_thinking, {}},
        {"parameters.prompt_caching",
         {},
         [](auto& d, const auto& f) { d.settings.params.prompt_caching = f.boolean(); },
         {}},
        {"parameters.response_schema", {}, set_response_schema, {}},
        {"parameters.adapt_schemas",
         {},
         [](auto& d, const auto& f) { d.settings.params.adapt_schemas = f.boolean(); },
         {}},
        {"parameters.extra_headers", {}, set_extra_headers, {}},
        {"parameters.extra_body", {}, set_extra_body, {}},
        {"parameters.stop_sequences", "parameters.stop", nullptr, {}},
        {"parameters.max_completion_tokens", "parameters.max_tokens", nullptr, {}},
        {"parameters.max_tokens_to_sample", "parameters.max_tokens", nullptr, {}},
        {"parameters.frequency_penalty", {}, nullptr, use_extra_body},
        {"parameters.presence_penalty", {}, nullptr, use_extra_body},
    };
}

std::vector<KeyRow> later_rows() {
    constexpr std::array<std::string_view, 3> keys{"mcp", "plugins", "demo"};
    std::vector<KeyRow> rows;
    rows.reserve(keys.size());
    for (const std::string_view key : keys) {
        rows.push_back({key, {}, nullptr, {}});
    }
    return rows;
}

}  // namespace

const std::string& variable_name(const ConfigField& field, const std::string& problem) {
    const std::string& name = field.text();
    if (looks_like_key(name) || !is_variable_name(name)) {
        field.fail(problem);
    }
    return name;
}

const std::vector<KeyRow>& key_rows() {
    // Never destroyed: programs may be read while statics are.
    static const auto* const all = new std::vector<KeyRow>([] {
        std::vector<KeyRow> rows;
        for (auto* const part :
             {model_rows,
              prompt_rows,
              parameter_rows,
              connection_rows,
              retry_rows,
              rate_limit_rows,
              tool_rows,
              spending_rows,
              later_rows}) {
            const std::vector<KeyRow> some = part();
            rows.insert(rows.end(), some.begin(), some.end());
        }
        return rows;
    }());
    return *all;
}

}  // namespace llmproc
