/// @file
/// What all rewriting of JSON Schemas shares: replacing $ref, bounds, errors that name the place.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/raw_json.hpp>
#include "providers/json_tree.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

/// Walks one schema. Schemas come from users and tool servers: the work is bounded, since replacing
/// $ref can multiply.
class SchemaShaper {
public:
    /// `what` names the schema in errors ("the tool f"), `rules` whose rules they are.
    /// Throws LLMError{invalid_argument} for what is no JSON.
    SchemaShaper(const RawJson& schema, std::string_view what, std::string_view rules);
    SchemaShaper(const SchemaShaper&) = delete;
    SchemaShaper& operator=(const SchemaShaper&) = delete;
    virtual ~SchemaShaper() = default;

    const JsonTree& root() const noexcept { return root_; }

    /// One schema by the rules. Throws LLMError{not_supported} naming what they lack and the place.
    JsonTree shape(const JsonTree& schema, const std::string& place);

protected:
    /// The same for a schema that is an object without $ref.
    virtual JsonTree shape_object(const JsonTree& schema, const std::string& place) = 0;
    /// A schema with $ref; unless overridden, what it names takes its place.
    virtual JsonTree shape_reference(const JsonTree& schema, const std::string& place);

    /// What the $ref of `schema` names, its neighbours added, shaped.
    JsonTree inlined(const JsonTree& schema, const std::string& place);
    /// "the schema has <problem> at #<place>, ..."
    [[noreturn]] void fail(const std::string& place, const std::string& problem) const;
    /// What a $ref names.
    const JsonTree& target_of(const std::string& reference, const std::string& place) const;
    /// A copy, which counts against the bound on the size of the result.
    JsonTree copied(const JsonTree& value, const std::string& place);
    /// Counts bytes of the result against that bound.
    void spend(std::size_t bytes, const std::string& place);
    /// Whether the reference is being replaced just now.
    bool is_open(std::string_view reference) const;

private:
    JsonTree root_;
    std::string_view what_;
    std::string_view rules_;
    std::vector<std::string> open_;
    std::size_t schemas_ = 0;
    std::size_t bytes_ = 0;
    unsigned depth_ = 0;
};

/// The place of a part: `place`/`name`.
std::string schema_place(const std::string& place, std::string_view name);

/// Members of a schema that constrain nothing.
bool is_schema_remark(std::string_view keyword);

}  // namespace llmproc::providers
