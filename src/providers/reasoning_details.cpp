#include "providers/reasoning_details.hpp"

#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/openai_fields.hpp"

#include <algorithm>

namespace llmproc::providers {

ReasoningDetails::Entry ReasoningDetails::read(std::string_view element) {
    Entry entry;
    entry.raw = element;
    JsonReader reader(element);
    if (reader.peek() != JsonKind::object) {
        return entry;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "type") {
            entry.type = read_string_or_empty(reader);
        } else if (key == "index") {
            entry.index = reader.raw();
        } else if (key == "text" || key == "summary") {
            // Never among the others: the last piece, which has the signature, says null here.
            entry.text_name = key;
            entry.text = read_string_or_empty(reader);
        } else {
            std::string name(key);
            entry.members.emplace_back(std::move(name), reader.raw());
        }
    }
    if (entry.type != "reasoning.text" && entry.type != "reasoning.summary") {
        entry.type.clear();
    }
    return entry;
}

void ReasoningDetails::merge(Entry& entry, Entry piece) {
    entry.raw.clear();
    entry.text += piece.text;
    if (entry.text_name.empty()) {
        entry.text_name = std::move(piece.text_name);
    }
    for (auto& [name, value] : piece.members) {
        const std::string& wanted = name;
        const auto known = std::find_if(
            entry.members.begin(),
            entry.members.end(),
            [&](const auto& member) { return member.first == wanted; }
        );
        if (known == entry.members.end()) {
            entry.members.emplace_back(std::move(name), std::move(value));
        } else if (value != "null") {
            known->second = std::move(value);
        }
    }
}

void ReasoningDetails::add(std::string_view element) {
    Entry piece = read(element);
    if (!entries_.empty() && !piece.type.empty() && entries_.back().type == piece.type &&
        entries_.back().index == piece.index) {
        merge(entries_.back(), std::move(piece));
    } else {
        entries_.push_back(std::move(piece));
    }
}

std::string ReasoningDetails::json() const {
    std::string out;
    JsonWriter json(out);
    json.begin_array();
    for (const Entry& entry : entries_) {
        if (!entry.raw.empty()) {
            json.raw(entry.raw);
            continue;
        }
        json.begin_object();
        json.key("type");
        json.string(entry.type);
        if (!entry.text_name.empty()) {
            json.key(entry.text_name);
            json.string(entry.text);
        }
        for (const auto& [name, value] : entry.members) {
            json.key(name);
            json.raw(value);
        }
        if (!entry.index.empty()) {
            json.key("index");
            json.raw(entry.index);
        }
        json.end_object();
    }
    json.end_array();
    return out;
}

}  // namespace llmproc::providers
