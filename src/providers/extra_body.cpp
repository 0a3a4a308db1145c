#include "providers/extra_body.hpp"

#include "providers/json_members.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>

namespace llmproc::providers {

namespace {

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
        const auto both_are = [&, own_value = value](JsonKind kind) {
            return is_kind(own_value, kind) && is_kind(other->second, kind);
        };
        json.key(name);
        if (other == added.end()) {
            json.raw(value);
        } else if (both_are(JsonKind::object)) {
            write_merged(json, value, other->second, false);
        } else if (top && name == "tools" && both_are(JsonKind::array)) {
            write_both(json, value, other->second);
        } else {
            json.raw(other->second);
        }
    }
    for (const auto& [name, value] : added) {
        if (!has_member(own, name)) {
            json.key(name);
            json.raw(value);
        }
    }
    json.end_object();
}

std::string merged(std::string_view body, std::string_view extra) {
    std::string text;
    text.reserve(body.size() + extra.size());
    JsonWriter json(text);
    write_merged(json, body, extra, true);
    return text;
}

}  // namespace

ExtraBody::ExtraBody(
    const std::optional<RawJson>& extra,
    std::initializer_list<std::string_view> behind
) {
    if (!extra) {
        return;
    }
    if (!is_kind(extra->text(), JsonKind::object)) {
        invalid_request("extra_body must be a JSON object");
    }
    extra_ = &*extra;
    const Members members = read_members(extra->text());
    names_messages_ = std::any_of(behind.begin(), behind.end(), [&](std::string_view name) {
        return has_member(members, name);
    });
}

void ExtraBody::merge_into_settings(std::string& settings) const {
    if (extra_ != nullptr && !names_messages_) {
        settings.push_back('}');
        settings = merged(settings, extra_->text());
        settings.pop_back();
    }
}

void ExtraBody::merge_into_body(std::string& body) const {
    if (names_messages_) {
        body = merged(body, extra_->text());
    }
}

bool brings_tools(const SamplingParams& params) {
    return params.extra_body && is_kind(params.extra_body->text(), JsonKind::object) &&
           has_member(read_members(params.extra_body->text()), "tools");
}

}  // namespace llmproc::providers
