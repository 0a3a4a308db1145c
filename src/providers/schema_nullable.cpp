#include "providers/schema_nullable.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

bool holds_null(const JsonTree& array) {
    return std::any_of(array.elements.begin(), array.elements.end(), [](const JsonTree& one) {
        return one.kind == JsonKind::null;
    });
}

void add_null_type(JsonTree& type) {
    if (type.is("null")) {
        return;
    }
    JsonTree types(JsonKind::array);
    if (type.is_array()) {
        types = std::move(type);
    } else {
        types.elements.push_back(std::move(type));
    }
    const bool known = std::any_of(
        types.elements.begin(),
        types.elements.end(),
        [](const JsonTree& one) { return one.is("null"); }
    );
    if (!known) {
        types.elements.push_back(JsonTree::string("null"));
    }
    type = std::move(types);
}

JsonTree null_schema() {
    JsonTree schema(JsonKind::object);
    schema.set("type", JsonTree::string("null"));
    return schema;
}

void add_null_choice(JsonTree& choices) {
    const bool known =
        std::any_of(choices.elements.begin(), choices.elements.end(), [](const JsonTree& one) {
            const JsonTree* const type = one.find("type");
            return type != nullptr && type->is("null");
        });
    if (!known) {
        choices.elements.push_back(null_schema());
    }
}

std::string_view type_of_value(const JsonTree& value) {
    switch (value.kind) {
        case JsonKind::object: return "object";
        case JsonKind::array: return "array";
        case JsonKind::string: return "string";
        case JsonKind::boolean: return "boolean";
        case JsonKind::null: return "null";
        case JsonKind::number: break;
    }
    return value.text.find_first_of(".eE") == std::string::npos ? "integer" : "number";
}

}  // namespace

void make_nullable(JsonTree& schema) {
    if (schema.find("$ref") != nullptr) {
        JsonTree choices(JsonKind::array);
        choices.elements.push_back(std::move(schema));
        choices.elements.push_back(null_schema());
        schema = JsonTree(JsonKind::object);
        schema.set("anyOf", std::move(choices));
        return;
    }
    if (JsonTree* const only = schema.find("const"); only != nullptr) {
        JsonTree values(JsonKind::array);
        values.elements.push_back(std::move(*only));
        schema.erase("const");
        schema.set("enum", std::move(values));
    }
    if (JsonTree* const values = schema.find("enum"); values != nullptr && !holds_null(*values)) {
        values->elements.emplace_back();
    }
    if (JsonTree* const type = schema.find("type")) {
        add_null_type(*type);
    }
    if (JsonTree* const choices = schema.find("anyOf")) {
        add_null_choice(*choices);
    }
}

std::string implied_type(const JsonTree& schema) {
    if (schema.find("properties") != nullptr) {
        return "object";
    }
    if (schema.find("items") != nullptr) {
        return "array";
    }
    if (const JsonTree* const only = schema.find("const")) {
        return std::string(type_of_value(*only));
    }
    const JsonTree* const values = schema.find("enum");
    if (values == nullptr || values->elements.empty()) {
        return {};
    }
    const std::string_view type = type_of_value(values->elements.front());
    const bool same = std::all_of(
        values->elements.begin(),
        values->elements.end(),
        [&](const JsonTree& one) { return type_of_value(one) == type; }
    );
    return same ? std::string(type) : std::string();
}

}  // namespace llmproc::providers
