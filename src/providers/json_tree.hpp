/// @file
/// JSON as a tree that keeps what a provider may look at: the order of members, the text of numbers.
#pragma once

#include "core/json_reader.hpp"
#include "core/json_writer.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

struct JsonMember;

/// One JSON value. Small documents only: members are found by walking.
struct JsonTree {
    JsonTree() noexcept;  ///< Null.
    explicit JsonTree(JsonKind which) noexcept;
    // Defined where JsonMember is known.
    JsonTree(const JsonTree& other);
    JsonTree(JsonTree&& other) noexcept;
    JsonTree& operator=(const JsonTree& other);
    JsonTree& operator=(JsonTree&& other) noexcept;
    ~JsonTree();

    /// Throws LLMError{invalid_json}.
    static JsonTree parse(std::string_view text);
    static JsonTree string(std::string_view value);
    static JsonTree boolean(bool value);

    JsonKind kind;
    std::string text;                 ///< Of a scalar, as it stands in JSON.
    std::vector<JsonMember> members;  ///< Of an object.
    std::vector<JsonTree> elements;   ///< Of an array.

    bool is_object() const noexcept { return kind == JsonKind::object; }
    bool is_array() const noexcept { return kind == JsonKind::array; }
    /// Whether it is the string `value`.
    bool is(std::string_view value) const;
    bool is_true() const noexcept { return kind == JsonKind::boolean && text == "true"; }
    /// The value of a string; empty if it is none.
    std::string string_value() const;
    /// The first member of that name, or nullptr.
    const JsonTree* find(std::string_view name) const noexcept;
    JsonTree* find(std::string_view name) noexcept;
    /// Replaces the member or adds it behind the others.
    JsonTree& set(std::string_view name, JsonTree value);
    void erase(std::string_view name);
    /// What the JSON pointer (RFC 6901, without '#') names, or nullptr.
    const JsonTree* at(std::string_view pointer) const;
    /// Bytes of all texts and names in it, about.
    std::size_t bytes() const noexcept;
    void write(JsonWriter& json) const;
    std::string dump() const;
};

struct JsonMember {
    std::string name;
    JsonTree value;
};

/// A reference token of a JSON pointer (RFC 6901) without its escapes: "a/b" of "a~1b".
std::string unescaped_token(std::string_view token);

}  // namespace llmproc::providers
