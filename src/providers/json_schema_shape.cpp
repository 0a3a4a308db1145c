#include "providers/json_schema_shape.hpp"

#include "providers/schema_dialect.hpp"
#include "providers/schema_nullable.hpp"
#include "providers/schema_shaper.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::providers {

namespace {

bool is_object_schema(const JsonTree& schema) {
    const JsonTree* const type = schema.find("type");
    if (type == nullptr) {
        return schema.find("properties") != nullptr;
    }
    return type->is("object") ||
           std::any_of(type->elements.begin(), type->elements.end(), [](const JsonTree& one) {
               return one.is("object");
           });
}

class DialectShaper final : public SchemaShaper {
public:
    DialectShaper(const RawJson& schema, const SchemaDialect& dialect, std::string_view what)
        : SchemaShaper(schema, what, dialect.name),
          dialect_(dialect) {}

    JsonTree run() {
        JsonTree result = dialect_.references && root().find("$ref") != nullptr
                              ? inlined(root(), "")
                              : shape(root(), "");
        const JsonTree* const type = result.find("type");
        if (dialect_.typed && (type == nullptr || !type->is("object"))) {
            fail("", "another root than an object (wrap it in one as its only property)");
        }
        for (JsonTree* const group : {&defs_, &definitions_}) {
            if (!group->members.empty()) {
                result.set(group == &defs_ ? "$defs" : "definitions", std::move(*group));
            }
        }
        return result;
    }

private:
    JsonTree shape_object(const JsonTree& schema, const std::string& place) override {
        const JsonTree* const all = schema.find("allOf");
        if (all != nullptr && all->elements.size() == 1) {
            return shape(joined(schema, all->elements.front(), place), place);
        }
        JsonTree result(JsonKind::object);
        std::string notes;
        for (const JsonMember& member : schema.members) {
            add(result, notes, member, schema_place(place, member.name));
        }
        finish_object(schema, result, place);
        finish_type(result, place);
        if (!notes.empty()) {
            add_notes(result, notes);
        }
        const JsonTree* const nullable = schema.find("nullable");
        if (nullable != nullptr && nullable->is_true()) {
            make_nullable(result);
        }
        return result;
    }

    JsonTree shape_reference(const JsonTree& schema, const std::string& place) override {
        const std::string reference = schema.find("$ref")->string_value();
        const std::string_view name = definition_name(reference);
        const bool root_itself = dialect_.recursion && reference == "#";
        if (!dialect_.references || (name.empty() && !root_itself)) {
            return inlined(schema, place);
        }
        const bool recursive = root_itself || is_open_definition(reference);
        if (recursive && !dialect_.recursion) {
            fail(place, "a $ref that contains itself (" + reference + ")");
        }
        if (!recursive && schema.members.size() > 1) {
            return inlined(schema, place);  // neighbours of $ref are refused
        }
        check_neighbours(schema, place);
        if (!root_itself && !is_shaped(reference)) {
            define(reference, name, target_of(reference, place));
        }
        JsonTree result(JsonKind::object);
        result.set("$ref", copied(*schema.find("$ref"), place));
        return result;
    }

    /// A recursive $ref stands alone: only what says nothing about values may be dropped.
    void check_neighbours(const JsonTree& schema, const std::string& place) const {
        for (const JsonMember& member : schema.members) {
            const bool said = member.name == "$ref" || member.name == "description" ||
                              member.name == "title" || member.name == "default";
            if (!said && !is_handled_elsewhere(member.name) && !is_schema_remark(member.name)) {
                fail(schema_place(place, member.name), "a constraint beside a recursive $ref");
            }
        }
    }

    /// The only schema of an allOf with the members beside it.
    JsonTree joined(const JsonTree& schema, const JsonTree& only, const std::string& place) {
        if (!only.is_object()) {
            fail(place, "a schema that is no object");
        }
        JsonTree merged = copied(only, place);
        for (const JsonMember& member : schema.members) {
            if (member.name == "allOf") {
                continue;
            }
            const bool remark = member.name == "description" || member.name == "title";
            if (!remark && merged.find(member.name) != nullptr) {
                fail(place, "the keyword " + member.name + " twice, beside and inside allOf");
            }
            merged.set(member.name, copied(member.value, place));
        }
        return merged;
    }

    /// "x" of "#/$defs/x"; empty for any other reference.
    static std::string_view definition_name(std::string_view reference) {
        for (const std::string_view start : {"#/$defs/", "#/definitions/"}) {
            if (reference.starts_with(start)) {
                const std::string_view name = reference.substr(start.size());
                return name.find('/') == name.npos ? name : std::string_view();
            }
        }
        return {};
    }

    bool is_open_definition(std::string_view reference) const {
        return is_open(reference) ||
               std::find(defining_.begin(), defining_.end(), reference) != defining_.end();
    }

    bool is_shaped(std::string_view reference) const {
        return std::find(defined_.begin(), defined_.end(), reference) != defined_.end();
    }

    void define(const std::string& reference, std::string_view name, const JsonTree& target) {
        defined_.push_back(reference);
        defining_.push_back(reference);
        const int outer_level = std::exchange(level_, 0);
        JsonTree shaped = shape(target, reference.substr(1));
        level_ = outer_level;
        defining_.pop_back();
        JsonTree& group = reference.starts_with("#/$defs/") ? defs_ : definitions_;
        count_text(name.size(), reference);
        std::string key = unescaped_token(name);
        group.members.push_back({std::move(key), std::move(shaped)});
    }

    void add(
        JsonTree& result,
        std::string& notes,
        const JsonMember& member,
        const std::string& place
    ) {
        const std::string& name = member.name;
        const JsonTree& value = member.value;
        if (name == "type") {
            result.set("type", copied(value, place));
        } else if (name == "properties") {
            add_properties(result, value, place);
        } else if (name == "items") {
            result.set("items", shape(value, place));
        } else if (name == "anyOf" || name == "oneOf") {
            add_choice(result, value, place);
        } else if (name == "const" && !keeps(dialect_, name, value)) {
            JsonTree one(JsonKind::array);
            one.elements.push_back(copied(value, place));
            result.set("enum", std::move(one));
        } else if (keeps(dialect_, name, value)) {
            count_values(name, value, place);
            result.set(name, copied(value, place));
        } else if (is_schema_constraint(name)) {
            if (value.kind == JsonKind::null) {
                return;  // a default of null says nothing
            }
            notes.append(notes.empty() ? "" : ", ").append(name).append(": ");
            notes += copied(value, place).dump();
        } else if (!is_handled_elsewhere(name) && !is_schema_remark(name)) {
            fail(place, "the keyword " + name);
        }
    }

    static bool is_handled_elsewhere(std::string_view name) {
        constexpr std::array<std::string_view, 5> words{
            "required",
            "additionalProperties",
            "$defs",
            "definitions",
            "nullable"};
        return std::find(words.begin(), words.end(), name) != words.end();
    }

    void add_properties(JsonTree& result, const JsonTree& value, const std::string& place) {
        if (!value.is_object()) {
            fail(place, "properties that are no object");
        }
        JsonTree properties(JsonKind::object);
        for (const JsonMember& property : value.members) {
            count_text(property.name.size(), place);
            count(properties_, 5'000, "properties", place);
            ++level_;
            if (dialect_.limited && level_ > 10) {
                fail(place, "more than 10 levels of objects");
            }
            JsonTree shaped = shape(property.value, schema_place(place, property.name));
            --level_;
            properties.members.push_back({property.name, std::move(shaped)});
        }
        result.set("properties", std::move(properties));
    }

    void add_choice(JsonTree& result, const JsonTree& value, const std::string& place) {
        if (!value.is_array() || value.elements.empty()) {
            fail(place, "a choice of nothing");
        }
        if (result.find("anyOf") != nullptr) {
            fail(place, "anyOf beside oneOf");
        }
        JsonTree choices(JsonKind::array);
        for (std::size_t i = 0; i < value.elements.size(); ++i) {
            choices.elements.push_back(
                shape(value.elements[i], schema_place(place, std::to_string(i)))
            );
        }
        result.set("anyOf", std::move(choices));
    }

    void finish_object(const JsonTree& schema, JsonTree& result, const std::string& place) {
        if (!is_object_schema(schema)) {
            copy_required(schema, result, place);
            return;
        }
        const JsonTree* const others = schema.find("additionalProperties");
        if (!dialect_.closed) {
            copy_required(schema, result, place);
            if (others != nullptr) {
                result.set(
                    "additionalProperties",
                    others->kind == JsonKind::boolean
                        ? copied(*others, place)
                        : shape(*others, schema_place(place, "additionalProperties"))
                );
            }
            return;
        }
        const bool closed = others != nullptr && others->kind == JsonKind::boolean &&
                            !others->is_true();
        const JsonTree* const properties = result.find("properties");
        const bool none = properties == nullptr || properties->members.empty();
        const bool free = others != nullptr && others->is_object();
        if (free || (none && !closed && !place.empty())) {
            fail(
                schema_place(place, "additionalProperties"),
                "properties of any name (an array of objects with name and value can stand for "
                "them)"
            );
        }
        if (properties == nullptr) {
            result.set("properties", JsonTree(JsonKind::object));
        }
        if (dialect_.all_required) {
            require_all(schema, result);
        } else {
            copy_required(schema, result, place);
        }
        result.set("additionalProperties", JsonTree::boolean(false));
    }

    void copy_required(const JsonTree& schema, JsonTree& result, const std::string& place) {
        if (const JsonTree* const required = schema.find("required")) {
            result.set("required", copied(*required, place));
        }
    }

    /// Optional properties become required ones that may be null.
    static void require_all(const JsonTree& schema, JsonTree& result) {
        std::vector<std::string> given;
        if (const JsonTree* const required = schema.find("required")) {
            for (const JsonTree& name : required->elements) {
                given.push_back(name.string_value());
            }
        }
        std::sort(given.begin(), given.end());
        JsonTree names(JsonKind::array);
        for (JsonMember& property : result.find("properties")->members) {
            if (!std::binary_search(given.begin(), given.end(), property.name)) {
                make_nullable(property.value);
            }
            names.elements.push_back(JsonTree::string(property.name));
        }
        result.set("required", std::move(names));
    }

    void finish_type(JsonTree& result, const std::string& place) const {
        if (!dialect_.typed || result.find("type") != nullptr || result.find("anyOf") != nullptr ||
            result.find("$ref") != nullptr) {
            return;
        }
        const std::string type = implied_type(result);
        if (type.empty()) {
            fail(place, "a schema without a type");
        }
        result.members.insert(result.members.begin(), {"type", JsonTree::string(type)});
    }

    static void add_notes(JsonTree& result, const std::string& notes) {
        const JsonTree* const description = result.find("description");
        std::string text = description == nullptr ? "" : description->string_value() + " ";
        text.append("(").append(notes).append(")");
        result.set("description", JsonTree::string(text));
    }

    /// The limits of strict mode; they are the same for all models.
    void count_values(std::string_view name, const JsonTree& value, const std::string& place) {
        if (name == "const") {
            count_text(value.text.size(), place);
        } else if (name == "enum") {
            for (const JsonTree& one : value.elements) {
                count(values_, 1'000, "values of enum", place);
                count_text(one.text.size(), place);
            }
        }
    }

    void count_text(std::size_t bytes, const std::string& place) {
        spend(bytes, place);
        text_bytes_ += bytes;
        if (dialect_.limited && text_bytes_ > 120'000) {
            fail(place, "more than 120,000 bytes of names and fixed values");
        }
    }

    void count(int& counter, int limit, std::string_view what, const std::string& place) const {
        if (dialect_.limited && ++counter > limit) {
            fail(place, "more than " + std::to_string(limit) + " " + std::string(what));
        }
    }

    const SchemaDialect& dialect_;
    JsonTree defs_{JsonKind::object};
    JsonTree definitions_{JsonKind::object};
    std::vector<std::string> defined_;
    std::vector<std::string> defining_;
    std::size_t text_bytes_ = 0;
    int properties_ = 0;
    int values_ = 0;
    int level_ = 0;
};

}  // namespace

std::string shape_schema(const RawJson& schema, SchemaRules rules, std::string_view what) {
    return DialectShaper(schema, schema_dialect(rules), what).run().dump();
}

void write_schema(
    JsonWriter& json,
    const RawJson& schema,
    std::optional<bool> adapt,
    SchemaRules rules,
    std::string_view what
) {
    json.raw(adapt == true ? shape_schema(schema, rules, what) : schema.text());
}

void write_tool_schema(
    JsonWriter& json,
    const ToolSpec& tool,
    std::optional<bool> adapt,
    SchemaRules rules
) {
    // A tool without parameters has no schema to adapt.
    const bool shaped = adapt == true && tool.strict == true && tool.parameters.text() != "null";
    write_schema(json, tool.parameters, shaped, rules, "the tool " + tool.name);
}

}  // namespace llmproc::providers
