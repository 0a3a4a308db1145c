#include "program/program_schema.hpp"

#include <llmproc/version.hpp>
#include "program/key_suggestion.hpp"

#include <algorithm>
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
    const ConfigField& field,
    std::string_view section,
    std::string_view name
) {
    std::string problem = section.empty() ? "unknown table or key" : "unknown key";
    const std::string_view close = closest(name, names_in(section));
    const std::string_view moved = same_name_elsewhere(name);
    if (!moved.empty()) {
        problem += "; did you mean " + std::string(moved) + ", in the table [" +
                   std::string(section_of(moved)) + "]?";
    } else if (!close.empty()) {
        problem += "; did you mean " + dotted_key(std::string(section), close) + "?";
    } else {
        problem += ";";
    }
    if (section == "parameters") {
        problem += " A field that only the provider knows belongs in [parameters.extra_body];";
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

void apply_key(ProgramDraft& draft, const ConfigField& field, const ConfigMember& member) {
    const std::string_view section = section_of(field.key());
    const KeyRow* row = find_row(field.key());
    if (row == nullptr) {
        fail_unknown(field, section, member.key);
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

}  // namespace

const ConfigPlace* ProgramDraft::find(std::string_view key) const {
    const auto entry = given.find(key);
    return entry == given.end() ? nullptr : &entry->second;
}

void apply_rows(const ConfigTable& document, const ConfigSource& source, ProgramDraft& draft) {
    for (const ConfigMember& section : document) {
        const ConfigField field(source, dotted_key({}, section.key), section);
        if (!is_section(section.key)) {
            fail_unknown(field, {}, section.key);
        }
        if (const KeyRow* const later = find_row(section.key)) {
            fail_later(field, *later);
        }
        if (!std::holds_alternative<ConfigTable>(section.value.data)) {
            field.fail_type("a table, written as [" + section.key + "]");
        }
        keep_place(draft, field, section.key);
        for (const ConfigMember& member : field.table()) {
            apply_key(draft, field.member(member), member);
        }
    }
}

}  // namespace llmproc
