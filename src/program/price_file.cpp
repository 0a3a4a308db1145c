#include "program/price_file.hpp"

#include <llmproc/error.hpp>
#include "program/config_field.hpp"
#include "program/file_text.hpp"
#include "program/key_suggestion.hpp"
#include "program/toml_reader.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

constexpr double highest_rate = 1e6;
constexpr std::int64_t highest_tokens = 1'000'000'000;

constexpr std::string_view format_document = "docs/costs.md";

/// The members of one table by their names; what is not known is refused.
class Members {
public:
    Members(const ConfigField& parent, std::initializer_list<std::string_view> known)
        : parent_(parent) {
        for (const ConfigMember& member : parent.table()) {
            if (std::find(known.begin(), known.end(), member.key) == known.end()) {
                fail_unknown_key(parent.member(member), member.key, known, format_document);
            }
        }
    }

    std::optional<ConfigField> find(std::string_view name) const {
        for (const ConfigMember& member : parent_.table()) {
            if (member.key == name) {
                return parent_.member(member);
            }
        }
        return std::nullopt;
    }

    ConfigField require(std::string_view name, const std::string& what) const {
        const std::optional<ConfigField> found = find(name);
        if (!found) {
            ConfigPlace place = parent_.place();
            place.key = dotted_key(place.key, name);
            throw ConfigError(std::move(place), "is missing; add it: " + what);
        }
        return *found;
    }

private:
    const ConfigField& parent_;
};

TokenRates read_rates(const Members& members) {
    const auto rate = [&](std::string_view name) -> std::optional<double> {
        const std::optional<ConfigField> field = members.find(name);
        return field ? std::optional<double>(field->number(0, highest_rate)) : std::nullopt;
    };
    const std::string what = "US dollars for a million tokens";
    TokenRates rates;
    rates.input = members.require("input", what).number(0, highest_rate);
    rates.output = members.require("output", what).number(0, highest_rate);
    rates.cached_input = rate("cached_input");
    rates.cache_write = rate("cache_write");
    return rates;
}

ModelPrice read_price(const Members& members) {
    ModelPrice price(read_rates(members));
    if (const std::optional<ConfigField> tier = members.find("long_context")) {
        const Members rates(*tier, {"above", "input", "output", "cached_input", "cache_write"});
        price.long_above = rates.require("above", "the input tokens from which these rates count")
                               .integer(1, highest_tokens);
        price.long_rates = read_rates(rates);
    }
    return price;
}

/// At least one.
std::vector<std::string> read_names(const ConfigField& field) {
    std::vector<std::string> names = field.texts();
    if (names.empty()) {
        field.fail("expected a name, got an empty array; a price of nothing is not used");
    }
    return names;
}

void check_provider(const ConfigField& field, const std::string& name) {
    if (name.find('*') != std::string::npos) {
        field.fail("expected the whole name of a provider; only names of models may end in *");
    }
}

void check_model(const ConfigField& field, const std::string& name) {
    const auto star = name.find('*');
    if (star != std::string::npos && star + 1 != name.size()) {
        field.fail("expected a name, or the beginning of names with one * at its end");
    }
}

void read_entry(const ConfigField& entry, PriceTable& table) {
    const Members members(
        entry,
        {"provider",
         "model",
         "input",
         "output",
         "cached_input",
         "cache_write",
         "long_context",
         "source"}
    );
    const ConfigField providers =
        members.require("provider", "the name of a provider or an array of names");
    const ConfigField models = members.require("model", "the name of a model or an array of names");
    if (const std::optional<ConfigField> source = members.find("source")) {
        static_cast<void>(source->line());
    }
    const ModelPrice price = read_price(members);
    const std::vector<std::string> provider_names = read_names(providers);
    for (const std::string& provider : provider_names) {
        check_provider(providers, provider);
    }
    for (const std::string& model : read_names(models)) {
        check_model(models, model);
        for (const std::string& provider : provider_names) {
            const std::size_t before = table.size();
            table.set(provider, model, price);
            if (table.size() == before) {
                models.fail(
                    "the price of " + shown(model) + " at " + shown(provider) +
                    " is given twice; remove one of them"
                );
            }
        }
    }
}

void read_as_of(const ConfigField& field, PriceTable& table) {
    const auto* const date = std::get_if<ConfigDate>(&field.value().data);
    if (date == nullptr || date->day.empty()) {
        field.fail_type("a date, for example as_of = 2026-11-21");
    }
    table.as_of(date->day);
}

}  // namespace

PriceTable read_prices(std::string_view text, const std::string& name) {
    const ConfigSource source{name, {}};
    const ConfigTable document = read_toml(text, name);
    PriceTable table;
    for (const ConfigMember& member : document) {
        const ConfigField field(source, dotted_key({}, member.key), member);
        if (member.key == "as_of") {
            read_as_of(field, table);
            continue;
        }
        if (member.key != "price") {
            fail_unknown_key(field, member.key, {"as_of", "price"}, format_document);
        }
        const auto* const entries = std::get_if<ConfigArray>(&member.value.data);
        if (entries == nullptr) {
            field.fail_type("tables, each written as [[price]]");
        }
        for (const ConfigValue& entry : *entries) {
            read_entry(field.element(entry), table);
        }
    }
    return table;
}

std::shared_ptr<const PriceTable> prices_of(const ProgramSettings& program) {
    if (program.spending.prices) {
        return program.spending.prices;
    }
    // Shared with nobody: the built-in table lives for ever.
    return {std::shared_ptr<const PriceTable>(), &PriceTable::builtin()};
}

void check_cost_limits(const ProgramDraft& draft) {
    const SpendingSettings& spending = draft.settings.spending;
    const bool of_run = spending.run.max_cost_usd.has_value();
    if (!of_run && !spending.process.max_cost_usd) {
        return;
    }
    const std::shared_ptr<const PriceTable> prices = prices_of(draft.settings);
    const auto check = [&](const ProgramSettings& model) {
        if (prices->find(model.profile->name, model.model) != nullptr) {
            return;
        }
        ConfigPlace place = *draft.find(of_run ? "limits.run" : "limits.process");
        place.key += ".max_cost_usd";
        throw ConfigError(
            std::move(place),
            "cannot be kept: the price of the model " + shown(model.model) + " of the provider " +
                shown(model.profile->name) +
                " is not known; name a file that has it with model.prices_file, or remove this key"
        );
    };
    check(draft.settings);
    for (const ProgramDraft& fallback : draft.fallbacks) {
        check(fallback.settings);
    }
}

const PriceTable& PriceTable::builtin() {
    // Never destroyed: threads that end after main may still ask for a price.
    static const auto* const table = new PriceTable(
        read_prices(builtin_prices_text(), "prices.toml")
    );
    return *table;
}

PriceTable PriceTable::from_toml(const std::filesystem::path& path) {
    std::string problem;
    const std::string text = read_file_text(path, problem);
    if (!problem.empty()) {
        ConfigPlace place;
        place.file = path.string();
        throw ConfigError(std::move(place), problem + "; name a readable file of prices");
    }
    return read_prices(text, path.string());
}

PriceTable PriceTable::from_toml_string(std::string_view text, std::string name) {
    return read_prices(text, name);
}

}  // namespace llmproc
