#include "providers/gemini.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

namespace {

using Schema = nlohmann::ordered_json;  // the order of properties is the order of the answer

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
// Members that constrain nothing, or are used where a $ref names them.
constexpr std::array<std::string_view, 12> left_out{
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "additionalProperties",
    "required"};  // written behind the properties

template <std::size_t Size>
bool is_one_of(const std::array<std::string_view, Size>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_null_type(const Schema& schema) {
    return schema.is_object() && schema.size() == 1 && schema.value("type", Schema()) == "null";
}

std::string below(const std::string& place, std::string_view name) {
    std::string text = place;
    text.append("/").append(name);
    return text;
}

/// Rewrites one schema; the work is bounded, since inlining can multiply.
class Shaper {
public:
    Shaper(const Schema& root, std::string_view what) : root_(root), what_(what) {}

    Schema shape(const Schema& schema, const std::string& place) {
        constexpr int max_schemas = 10'000;
        if (++count_ > max_schemas) {
            fail(place, "more than 10,000 schemas once every $ref is replaced");
        }
        if (schema.is_boolean() && schema.get<bool>()) {
            return Schema::object();
        }
        if (!schema.is_object()) {
            fail(place, "a schema that is no object");
        }
        if (const auto ref = schema.find("$ref"); ref != schema.end()) {
            return inlined(schema, *ref, place);
        }
        Schema result = Schema::object();
        for (const auto& [name, value] : schema.items()) {
            add(result, name, value, below(place, name));
        }
        if (const auto required = schema.find("required"); required != schema.end()) {
            result["required"] = *required;
        }
        return result;
    }

private:
    [[noreturn]] void fail(const std::string& place, const std::string& problem) const {
        throw LLMError(
            Errc::not_supported,
            std::string(what_) + ": the schema has " + problem + " at #" + place +
                ", which Gemini's subset of JSON Schema lacks; change the schema"
        );
    }

    Schema inlined(const Schema& schema, const Schema& ref, const std::string& place) {
        const std::string target = ref.is_string() ? ref.get<std::string>() : std::string();
        if (target.empty() || target.front() != '#') {
            fail(place, "a $ref to another document");
        }
        if (std::find(open_.begin(), open_.end(), target) != open_.end()) {
            fail(place, "a $ref that contains itself (" + target + ")");
        }
        Schema merged = find(target, place);
        if (merged.is_object()) {
            for (const auto& [name, value] : schema.items()) {
                if (name != "$ref") {
                    merged[name] = value;  // e.g. a description beside the $ref
                }
            }
        }
        open_.push_back(target);
        Schema result = shape(merged, place);
        open_.pop_back();
        return result;
    }

    const Schema& find(const std::string& target, const std::string& place) const {
        try {
            return root_.at(Schema::json_pointer(target.substr(1)));
        } catch (const Schema::exception&) {
            fail(place, "a $ref to what is not there (" + target + ")");
        }
    }

    void add(
        Schema& result,
        const std::string& name,
        const Schema& value,
        const std::string& place
    ) {
        if (name == "type") {
            add_type(result, value, place);
        } else if (name == "const") {
            add_enum(result, Schema::array({value}), place);
        } else if (name == "enum") {
            add_enum(result, value, place);
        } else if (name == "properties") {
            add_properties(result, value, place);
        } else if (name == "items") {
            result["items"] = shape(value, place);
        } else if (name == "anyOf" || name == "oneOf") {
            add_choice(result, value, place);
        } else if (name == "allOf" && value.is_array() && value.size() == 1) {
            result.update(shape(value.front(), below(place, "0")));
        } else if (is_one_of(same_members, name)) {
            result[name] = value;
        } else if (name == "additionalProperties" && value.is_object() && !value.empty()) {
            fail(place, "properties of any name");
        } else if (!is_one_of(left_out, name) && !name.starts_with("x-")) {
            fail(place, "the keyword " + name);
        }
    }

    void add_type(Schema& result, const Schema& value, const std::string& place) {
        if (value.is_string()) {
            result["type"] = value;
            return;
        }
        std::vector<Schema> types;
        for (const Schema& type : value) {
            if (type == "null") {
                result["nullable"] = true;
            } else {
                types.push_back(type);
            }
        }
        if (types.size() != 1) {
            fail(place, "a choice of types");
        }
        result["type"] = types.front();
    }

    void add_enum(Schema& result, const Schema& values, const std::string& place) {
        Schema texts = Schema::array();
        for (const Schema& value : values) {
            if (value.is_null()) {
                result["nullable"] = true;
            } else if (value.is_string()) {
                texts.push_back(value);
            } else {
                fail(place, "a fixed value that is no text");
            }
        }
        result["type"] = "string";
        result["enum"] = std::move(texts);
    }

    void add_properties(Schema& result, const Schema& value, const std::string& place) {
        Schema& properties = result["properties"] = Schema::object();
        for (const auto& [name, schema] : value.items()) {
            properties[name] = shape(schema, below(place, name));
        }
    }

    /// oneOf means the same to a model; a choice with null is `nullable`.
    void add_choice(Schema& result, const Schema& value, const std::string& place) {
        Schema choices = Schema::array();
        for (std::size_t i = 0; i < value.size(); ++i) {
            if (is_null_type(value[i])) {
                result["nullable"] = true;
            } else {
                choices.push_back(shape(value[i], below(place, std::to_string(i))));
            }
        }
        if (choices.size() == 1) {
            result.update(choices.front());
        } else {
            result["anyOf"] = std::move(choices);
        }
    }

    const Schema& root_;
    std::string_view what_;
    std::vector<std::string> open_;
    int count_ = 0;
};

}  // namespace

std::string gemini_schema(const RawJson& schema, std::string_view what) {
    try {
        const Schema root = Schema::parse(schema.text());
        return Shaper(root, what).shape(root, "").dump();
    } catch (const Schema::exception& problem) {
        throw LLMError(
            Errc::invalid_argument,
            std::string(what) + ": the schema is not JSON Schema: " + problem.what()
        );
    }
}

}  // namespace llmproc::providers
