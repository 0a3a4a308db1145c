#include "providers/schema_shaper.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace llmproc::providers {

namespace {

constexpr std::size_t max_schemas = 10'000;
constexpr std::size_t max_bytes = std::size_t{8} * 1024 * 1024;
constexpr unsigned max_depth = 100;

}  // namespace

SchemaShaper::SchemaShaper(const RawJson& schema, std::string_view what, std::string_view rules)
    : what_(what),
      rules_(rules) {
    try {
        root_ = JsonTree::parse(schema.text());
    } catch (const LLMError& problem) {
        throw LLMError(
            Errc::invalid_argument,
            std::string(what) + ": the schema is not JSON Schema: " + problem.message()
        );
    }
}

void SchemaShaper::fail(const std::string& place, const std::string& problem) const {
    std::string text(what_);
    text.append(": the schema has ").append(problem).append(" at #").append(place);
    text.append(", which ").append(rules_).append("; change the schema");
    throw LLMError(Errc::not_supported, text);
}

JsonTree SchemaShaper::shape(const JsonTree& schema, const std::string& place) {
    if (++schemas_ > max_schemas) {
        fail(place, "more than 10,000 schemas once every $ref is replaced");
    }
    if (depth_ == max_depth) {
        fail(place, "more than 100 levels");
    }
    if (!schema.is_object() && !schema.is_true()) {
        fail(place, "a schema that is no object");
    }
    ++depth_;
    // `true` says as much as an object without members, which it has none of either.
    JsonTree result = schema.find("$ref") != nullptr ? shape_reference(schema, place)
                                                     : shape_object(schema, place);
    --depth_;
    return result;
}

JsonTree SchemaShaper::shape_reference(const JsonTree& schema, const std::string& place) {
    return inlined(schema, place);
}

JsonTree SchemaShaper::inlined(const JsonTree& schema, const std::string& place) {
    const std::string reference = schema.find("$ref")->string_value();
    const JsonTree& target = target_of(reference, place);
    if (is_open(reference)) {
        fail(place, "a $ref that contains itself (" + reference + ")");
    }
    open_.push_back(reference);
    JsonTree result;
    if (schema.members.size() == 1 || !target.is_object()) {
        result = shape(target, place);
    } else {
        JsonTree merged = copied(target, place);
        for (const JsonMember& member : schema.members) {
            if (member.name != "$ref") {
                merged.set(member.name, copied(member.value, place));  // e.g. a description
            }
        }
        result = shape(merged, place);
    }
    open_.pop_back();
    return result;
}

bool SchemaShaper::is_open(std::string_view reference) const {
    return std::find(open_.begin(), open_.end(), reference) != open_.end();
}

const JsonTree& SchemaShaper::target_of(const std::string& reference, const std::string& place)
    const {
    if (reference.empty() || reference.front() != '#') {
        fail(place, "a $ref to another document");
    }
    const JsonTree* const target = root_.at(std::string_view(reference).substr(1));
    if (target == nullptr) {
        fail(place, "a $ref to what is not there (" + reference + ")");
    }
    return *target;
}

JsonTree SchemaShaper::copied(const JsonTree& value, const std::string& place) {
    spend(value.bytes(), place);
    return value;
}

void SchemaShaper::spend(std::size_t bytes, const std::string& place) {
    bytes_ += bytes;
    if (bytes_ > max_bytes) {
        fail(place, "more than 8 MiB once every $ref is replaced");
    }
}

std::string schema_place(const std::string& place, std::string_view name) {
    std::string text = place;
    text.append("/").append(name);
    return text;
}

bool is_schema_remark(std::string_view keyword) {
    constexpr std::array<std::string_view, 10> remarks{
        "$schema",
        "$id",
        "$anchor",
        "$comment",
        "examples",
        "example",
        "deprecated",
        "discriminator",
        "readOnly",
        "writeOnly"};
    return keyword.starts_with("x-") ||
           std::find(remarks.begin(), remarks.end(), keyword) != remarks.end();
}

}  // namespace llmproc::providers
