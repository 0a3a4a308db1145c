#include "program/program_schema.hpp"

#include <llmproc/version.hpp>
#include "program/key_suggestion.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

#define LLMPROC_TEXT_OF(x) #x
#define LLMPROC_TEXT(x) LLMPROC_TEXT_OF(x)

namespace llmproc {

namespace {

constexpr std::string_view this_version = "llmproc " LLMPROC_TEXT(LLMPROC_VERSION_MAJOR
) "." LLMPROC_TEXT(LLMPROC_VERSION_MINOR);
constexpr std::string_view all_keys = "docs/program_file.md lists all keys";

std::string_view section_of(std::string_view key) {
    return key.substr(0, key.find('.'));
}

std::string_view leaf_of(std::string_view key) {
    const auto dot = key.find('.');
    return dot == std::string_view::npos ? std::string_view() : key.substr(dot + 1);
}

const KeyRow* find_row(std::string_view key) {
    const auto& rows = key_rows();
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const KeyRow& candidate) {
        return candidate.key == key;
    });
    return row == rows.end() ? nullptr : &*row;
}

bool is_section(std::string_view name) {
    const auto& rows = key_rows();
    return std::any_of(rows.begin(), rows.end(), [&](const KeyRow& row) {
        return section_of(row.key) == name;
    });
}

/// Names that may stand in `section`; "" = the document itself.
std::vector<std::string_view> names_in(std::string_view section) {
    std::vector<std::string_view> names;
    for (const KeyRow& row : key_rows()) {
        const bool here = section_of(row.key) == section && !leaf_of(row.key).empty();
        if (section.empty()) {
            names.push_back(section_of(row.key));
        } else if (here) {
            names.push_back(leaf_of(row.key));
        }
    }
    return names;
}

/// A key of another table that has exactly this name; empty if there is none.
std::string_view same_name_elsewhere(std::string_view name) {
    for (const KeyRow& row : key_rows()) {
        if (leaf_of(row.key) == name) {
            return row.key;
        }
    }
    return {};
}

[[noreturn]] void fail_unknown(
    const ProgramDraft& draft,
    const ConfigField& field,
    std::string_view section,
    std::string_view name
) {
    std::string problem = section.empty() ? "unknown table or key" : "unknown key";
    const std::string_view close = closest(name, names_in(section));
    const std::string_view moved = same_name_elsewhere(name);
    if (!moved.empty()) {
        problem += "; did you mean " + draft.written(moved) + ", in the table [" +
                   draft.written(section_of(moved)) + "]?";
    } else if (!close.empty()) {
        problem += "; did you mean " + dotted_key(draft.written(section), close) + "?";
    } else {
        problem += ";";
    }
    if (section == "parameters") {
        problem += " A field that only the provider knows belongs in [" +
                   draft.written("parameters.extra_body") + "];";
    }
    throw ConfigError(field.key_place(), problem + " " + std::string(all_keys));
}

[[noreturn]] void fail_later(const ConfigField& field, const KeyRow& row) {
    throw ConfigError(
        field.key_place(),
        "is known but not yet available in " + std::string(this_version) + "; remove it" +
            std::string(row.hint)
    );
}

void keep_place(ProgramDraft& draft, const ConfigField& field, std::string_view canonical) {
    const auto [entry, fresh] = draft.given.try_emplace(std::string(canonical), field.key_place());
    if (!fresh) {
        const ConfigPlace& first = entry->second;
        throw ConfigError(
            field.key_place(),
            "sets the same as " + first.key + " at line " + std::to_string(first.line) +
                "; remove one of them"
        );
    }
}

void apply_key(
    ProgramDraft& draft,
    const ConfigField& field,
    std::string_view section,
    std::string_view name
) {
    const KeyRow* row = find_row(dotted_key(std::string(section), name));
    if (row == nullptr) {
        fail_unknown(draft, field, section, name);
    }
    if (!row->alias_of.empty()) {
        row = find_row(row->alias_of);
    }
    if (row->set == nullptr) {
        fail_later(field, *row);
    }
    keep_place(draft, field, row->key);
    row->set(draft, field);
}

/// A table whose keys are the rows of `section`.
void apply_table(ProgramDraft& draft, const ConfigField& field, std::string_view section) {
    keep_place(draft, field, section);
    for (const ConfigMember& member : field.table()) {
        const ConfigField inner = field.member(member);
        const bool of_fallback = draft.is_fallback && section == "model";
        if (of_fallback && member.key == "fallback") {
            throw ConfigError(
                inner.key_place(),
                "a fallback has none of its own; write one more [[model.fallback]] instead"
            );
        }
        if (of_fallback && member.key == "parameters") {
            apply_table(draft, inner, "parameters");
        } else {
            apply_key(draft, inner, section, member.key);
        }
    }
}

const ConfigMember* find_member(const ConfigTable& table, std::string_view key) {
    const auto member = std::find_if(
        table.begin(),
        table.end(),
        [&](const ConfigMember& candidate) { return candidate.key == key; }
    );
    return member == table.end() ? nullptr : &*member;
}

bool has_any(const ConfigTable& table, std::initializer_list<std::string_view> keys) {
    return std::any_of(keys.begin(), keys.end(), [&](std::string_view key) {
        return find_member(table, key) != nullptr;
    });
}

bool is_key_source(std::string_view key) {
    return key == "api_key" || key == "api_key_env" || key == "api_key_file";
}

/// Reads [[model.fallback]]; `model` is the table it stands in.
void apply_fallbacks(ProgramDraft& draft, const ConfigField& model) {
    const ConfigMember* const fallbacks = find_member(model.table(), "fallback");
    if (fallbacks == nullptr) {
        return;
    }
    const ConfigField field = model.member(*fallbacks);
    for (const ConfigValue& element : std::get<ConfigArray>(fallbacks->value.data)) {
        ProgramDraft& fallback = draft.fallbacks.emplace_back();
        const ConfigTable& own = field.element(element).table();
        const ConfigValue whole{with_inherited(own, model.table()), element.position};
        fallback.is_fallback = true;
        fallback.settings.foreign =
            has_any(own, {"provider", "base_url", "api_key", "api_key_env", "api_key_file"});
        apply_table(fallback, field.element(whole), "model");
    }
}

}  // namespace

const ConfigPlace* ProgramDraft::find(std::string_view key) const {
    const auto entry = given.find(key);
    return entry == given.end() ? nullptr : &entry->second;
}

std::string ProgramDraft::written(std::string_view key) const {
    std::string result(key);
    if (is_fallback && section_of(key) == "model") {
        result.insert(section_of(key).size(), ".fallback");
    } else if (is_fallback && section_of(key) == "parameters") {
        result.insert(0, "model.fallback.");
    }
    return result;
}

ConfigTable with_inherited(const ConfigTable& fallback, const ConfigTable& model) {
    ConfigTable result = fallback;
    if (find_member(fallback, "provider") != nullptr) {
        return result;
    }
    const bool own_key = has_any(fallback, {"base_url", "api_key", "api_key_env", "api_key_file"});
    for (const ConfigMember& member : model) {
        const bool of_the_model = member.key == "name" || member.key == "fallback" ||
                                  member.key == "prices_file" || member.key == "rules" ||
                                  member.key == "deployment";
        const bool replaced = find_member(fallback, member.key) != nullptr ||
                              (own_key && is_key_source(member.key));
        if (!of_the_model && !replaced) {
            result.push_back(member);
        }
    }
    return result;
}

void apply_rows(const ConfigTable& document, const ConfigSource& source, ProgramDraft& draft) {
    for (const ConfigMember& section : document) {
        const ConfigField field(source, dotted_key({}, section.key), section);
        if (!is_section(section.key)) {
            fail_unknown(draft, field, {}, section.key);
        }
        if (const KeyRow* const later = find_row(section.key)) {
            fail_later(field, *later);
        }
        if (!std::holds_alternative<ConfigTable>(section.value.data)) {
            field.fail_type("a table, written as [" + section.key + "]");
        }
        apply_table(draft, field, section.key);
        if (section.key == "model") {
            apply_fallbacks(draft, field);
        }
    }
}

}  // namespace llmproc
