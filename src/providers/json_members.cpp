#include "providers/json_members.hpp"

#include <llmproc/error.hpp>

#include <algorithm>

namespace llmproc::providers {

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

void write_members(JsonWriter& json, std::string_view object) {
    if (object.empty()) {
        return;
    }
    for (const auto& [name, value] : read_members(object)) {
        json.key(name);
        json.raw(value);
    }
}

bool is_json(std::string_view text, JsonKind kind, unsigned max_depth) {
    try {
        JsonReader reader(text, max_depth);
        if (reader.peek() != kind) {
            return false;
        }
        reader.skip();
        reader.finish();
        return true;
    } catch (const LLMError&) {
        return false;
    }
}

bool has_member(const Members& members, std::string_view name) {
    return std::any_of(members.begin(), members.end(), [name](const auto& member) {
        return member.first == name;
    });
}

RawJson kept_members(const RawJson& object, std::span<const std::string_view> names) {
    if (JsonReader(object.text()).peek() != JsonKind::object) {
        return object;
    }
    std::string kept;
    JsonWriter json(kept);
    json.begin_object();
    for (const auto& [name, value] : read_members(object.text())) {
        if (std::find(names.begin(), names.end(), name) != names.end()) {
            json.key(name);
            json.raw(value);
        }
    }
    json.end_object();
    return RawJson::trusted(std::move(kept));
}

std::string merge_members(std::string_view body, std::string_view extra) {
    const Members added = read_members(extra);
    std::string merged;
    merged.reserve(body.size() + extra.size());
    JsonWriter json(merged);
    json.begin_object();
    for (const auto& [name, value] : read_members(body)) {
        if (!has_member(added, name)) {
            json.key(name);
            json.raw(value);
        }
    }
    for (const auto& [name, value] : added) {
        json.key(name);
        json.raw(value);
    }
    json.end_object();
    return merged;
}

}  // namespace llmproc::providers
