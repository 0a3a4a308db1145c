#include "providers/gemini.hpp"
#include "providers/schema_shaper.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

// Members that go over as they are.
constexpr std::array<std::string_view, 16> same_members{
    "title",
    "description",
    "format",
    "nullable",
    "default",
    "example",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "propertyOrdering"};
// Members that are used where a $ref names them, or written behind the properties.
constexpr std::array<std::string_view, 4> left_out{
    "$defs",
    "definitions",
    "additionalProperties",
    "required"};

template <std::size_t Size>
bool is_one_of(const std::array<std::string_view, Size>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_null_type(const JsonTree& schema) {
    const JsonTree* const type = schema.find("type");
    return schema.members.size() == 1 && type != nullptr && type->is("null");
}

void update(JsonTree& result, JsonTree more) {
    for (JsonMember& member : more.members) {
        result.set(member.name, std::move(member.value));
    }
}

class SubsetShaper final : public SchemaShaper {
public:
    SubsetShaper(const RawJson& schema, std::string_view what)
        : SchemaShaper(schema, what, "Gemini's subset of JSON Schema lacks") {}

private:
    JsonTree shape_object(const JsonTree& schema, const std::string& place) override {
        JsonTree result(JsonKind::object);
        for (const JsonMember& member : schema.members) {
            add(result, member.name, member.value, schema_place(place, member.name));
        }
        if (const JsonTree* const required = schema.find("required")) {
            result.set("required", copied(*required, place));
        }
        return result;
    }

    void add(
        JsonTree& result,
        const std::string& name,
        const JsonTree& value,
        const std::string& place
    ) {
        if (name == "type") {
            add_type(result, value, place);
        } else if (name == "const") {
            JsonTree one(JsonKind::array);
            one.elements.push_back(copied(value, place));
            add_enum(result, one, place);
        } else if (name == "enum") {
            add_enum(result, value, place);
        } else if (name == "properties") {
            add_properties(result, value, place);
        } else if (name == "items") {
            result.set("items", shape(value, place));
        } else if (name == "anyOf" || name == "oneOf") {
            add_choice(result, value, place);
        } else if (name == "allOf" && value.elements.size() == 1) {
            update(result, shape(value.elements.front(), schema_place(place, "0")));
        } else if (is_one_of(same_members, name)) {
            result.set(name, copied(value, place));
        } else if (name == "additionalProperties" && !value.members.empty()) {
            fail(place, "properties of any name");
        } else if (!is_one_of(left_out, name) && !is_schema_remark(name)) {
            fail(place, "the keyword " + name);
        }
    }

    void add_type(JsonTree& result, const JsonTree& value, const std::string& place) {
        if (!value.is_array()) {
            result.set("type", copied(value, place));
            return;
        }
        const JsonTree* only = nullptr;
        for (const JsonTree& type : value.elements) {
            if (type.is("null")) {
                result.set("nullable", JsonTree::boolean(true));
            } else if (std::exchange(only, &type) != nullptr) {
                fail(place, "a choice of types");
            }
        }
        if (only == nullptr) {
            fail(place, "a choice of types");
        }
        result.set("type", copied(*only, place));
    }

    void add_enum(JsonTree& result, const JsonTree& values, const std::string& place) {
        if (!values.is_array()) {
            fail(place, "a fixed value that is no text");
        }
        JsonTree texts(JsonKind::array);
        for (const JsonTree& value : values.elements) {
            if (value.kind == JsonKind::null) {
                result.set("nullable", JsonTree::boolean(true));
            } else if (value.kind == JsonKind::string) {
                texts.elements.push_back(copied(value, place));
            } else {
                fail(place, "a fixed value that is no text");
            }
        }
        result.set("type", JsonTree::string("string"));
        result.set("enum", std::move(texts));
    }

    void add_properties(JsonTree& result, const JsonTree& value, const std::string& place) {
        if (!value.is_object()) {
            fail(place, "properties that are no object");
        }
        JsonTree properties(JsonKind::object);
        for (const JsonMember& property : value.members) {
            spend(property.name.size(), place);
            JsonTree shaped = shape(property.value, schema_place(place, property.name));
            properties.members.push_back({property.name, std::move(shaped)});
        }
        result.set("properties", std::move(properties));
    }

    /// oneOf means the same to a model; a choice with null is `nullable`.
    void add_choice(JsonTree& result, const JsonTree& value, const std::string& place) {
        if (!value.is_array()) {
            fail(place, "a choice of nothing");
        }
        JsonTree choices(JsonKind::array);
        for (std::size_t i = 0; i < value.elements.size(); ++i) {
            if (is_null_type(value.elements[i])) {
                result.set("nullable", JsonTree::boolean(true));
            } else {
                choices.elements.push_back(
                    shape(value.elements[i], schema_place(place, std::to_string(i)))
                );
            }
        }
        if (choices.elements.size() == 1) {
            update(result, std::move(choices.elements.front()));
        } else {
            result.set("anyOf", std::move(choices));
        }
    }
};

}  // namespace

std::string gemini_schema(const RawJson& schema, std::string_view what) {
    SubsetShaper shaper(schema, what);
    return shaper.shape(shaper.root(), "").dump();
}

}  // namespace llmproc::providers
