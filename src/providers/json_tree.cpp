#include "providers/json_tree.hpp"

#include "core/json_writer.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

namespace llmproc::providers {

namespace {

// The reader bounds the depth.
JsonTree read_tree(JsonReader& reader) {
    JsonTree tree(reader.peek());
    if (tree.kind == JsonKind::object) {
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            std::string name(key);
            tree.members.push_back({std::move(name), read_tree(reader)});
        }
    } else if (tree.kind == JsonKind::array) {
        reader.begin_array();
        while (reader.next_element()) {
            tree.elements.push_back(read_tree(reader));
        }
    } else {
        tree.text = reader.raw();
    }
    return tree;
}

const JsonTree* element_at(const JsonTree& array, std::string_view token) {
    std::size_t index = 0;
    const char* const end = token.data() + token.size();
    const auto [stop, problem] = std::from_chars(token.data(), end, index);
    const bool number = problem == std::errc() && stop == end;
    return number && index < array.elements.size() ? &array.elements[index] : nullptr;
}

}  // namespace

std::string unescaped_token(std::string_view token) {
    std::string text;
    for (std::size_t i = 0; i < token.size(); ++i) {
        const bool escape = token[i] == '~' && i + 1 < token.size() &&
                            (token[i + 1] == '0' || token[i + 1] == '1');
        if (escape) {
            text.push_back(token[++i] == '0' ? '~' : '/');
        } else {
            text.push_back(token[i]);
        }
    }
    return text;
}

JsonTree::JsonTree() noexcept : kind(JsonKind::null), text("null") {}

JsonTree::JsonTree(JsonKind which) noexcept : kind(which) {}

JsonTree::JsonTree(const JsonTree& other) = default;
JsonTree::JsonTree(JsonTree&& other) noexcept = default;
JsonTree& JsonTree::operator=(const JsonTree& other) = default;
JsonTree& JsonTree::operator=(JsonTree&& other) noexcept = default;
JsonTree::~JsonTree() = default;

JsonTree JsonTree::parse(std::string_view text) {
    JsonReader reader(text);
    JsonTree tree = read_tree(reader);
    reader.finish();
    return tree;
}

JsonTree JsonTree::string(std::string_view value) {
    JsonTree tree(JsonKind::string);
    tree.text.clear();
    append_json_string(tree.text, value);
    return tree;
}

JsonTree JsonTree::boolean(bool value) {
    JsonTree tree(JsonKind::boolean);
    tree.text = value ? "true" : "false";
    return tree;
}

bool JsonTree::is(std::string_view value) const {
    return kind == JsonKind::string && string_value() == value;
}

std::string JsonTree::string_value() const {
    return kind == JsonKind::string ? JsonReader(text).string() : std::string();
}

const JsonTree* JsonTree::find(std::string_view name) const noexcept {
    const auto member = std::find_if(members.begin(), members.end(), [&](const auto& candidate) {
        return candidate.name == name;
    });
    return member == members.end() ? nullptr : &member->value;
}

JsonTree* JsonTree::find(std::string_view name) noexcept {
    const auto member = std::find_if(members.begin(), members.end(), [&](const auto& candidate) {
        return candidate.name == name;
    });
    return member == members.end() ? nullptr : &member->value;
}

JsonTree& JsonTree::set(std::string_view name, JsonTree value) {
    if (JsonTree* const own = find(name)) {
        *own = std::move(value);
        return *own;
    }
    members.push_back({std::string(name), std::move(value)});
    return members.back().value;
}

void JsonTree::erase(std::string_view name) {
    std::erase_if(members, [&](const JsonMember& member) { return member.name == name; });
}

const JsonTree* JsonTree::at(std::string_view pointer) const {
    const JsonTree* place = this;
    while (place != nullptr && !pointer.empty()) {
        if (pointer.front() != '/') {
            return nullptr;
        }
        pointer.remove_prefix(1);
        const std::string_view token = pointer.substr(0, pointer.find('/'));
        pointer.remove_prefix(token.size());
        place = place->is_array() ? element_at(*place, token) : place->find(unescaped_token(token));
    }
    return place;
}

std::size_t JsonTree::bytes() const noexcept {
    std::size_t sum = 8 + text.size();
    for (const JsonMember& member : members) {
        sum += member.name.size() + member.value.bytes();
    }
    for (const JsonTree& element : elements) {
        sum += element.bytes();
    }
    return sum;
}

void JsonTree::write(JsonWriter& json) const {
    if (is_object()) {
        json.begin_object();
        for (const JsonMember& member : members) {
            json.key(member.name);
            member.value.write(json);
        }
        json.end_object();
    } else if (is_array()) {
        json.begin_array();
        for (const JsonTree& element : elements) {
            element.write(json);
        }
        json.end_array();
    } else {
        json.raw(text);
    }
}

std::string JsonTree::dump() const {
    std::string out;
    JsonWriter json(out);
    write(json);
    return out;
}

}  // namespace llmproc::providers
