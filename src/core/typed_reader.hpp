/// @file
/// Reads JSON into values of described types.
#pragma once

#include <llmproc/detail/type_node.hpp>
#include "core/json_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::detail {

/// One reading of one text. It checks and stores in one pass; only alternatives of a variant are
/// tried one after the other, within a bound.
/// Throws LLMError{invalid_json} for text that is not JSON, and Mismatch.
class TypedReader {
public:
    /// JSON, but not of the type.
    struct Mismatch {
        std::string expected;
        std::string found;
    };

    explicit TypedReader(std::string_view text) noexcept
        : json_(text, max_depth),
          budget_(text.size() * (max_depth + 16) + 65'536) {}

    void read(const TypeNode& type, void* value);
    /// Reads `{"value": ...}`.
    void read_wrapped(const TypeNode& type, void* value);
    void finish() { json_.finish(); }
    /// Where it is, as "$.days[2].city"; after an error, where that is.
    const std::string& path() const noexcept { return path_; }

private:
    static constexpr unsigned max_depth = 128;

    [[noreturn]] void mismatch(std::string expected, std::string found) const;
    /// With the next value as what was found.
    [[noreturn]] void mismatch(std::string expected);
    std::string next_value();
    /// The text of the next value, which is read again.
    std::string_view look_ahead();
    void expect(JsonKind kind, const TypeNode& type);
    void enter_member(std::string_view name);
    void enter_element(std::size_t index);

    void read_integer(const IntegerNode& type, void* value);
    void read_number(const NumberNode& type, void* value);
    void read_enumeration(const EnumNode& type, void* value);
    void read_object(const ObjectNode& type, void* object);
    void read_sequence(const SequenceNode& type, void* sequence);
    void read_map(const MapNode& type, void* map);
    void read_entries(const MapNode& type, void* map);
    void read_entry(const MapNode& type, void* map);
    void insert(const MapNode& type, void* map, const std::string& key);
    void read_nullable(const NullableNode& type, void* nullable);
    void read_choice(const ChoiceNode& type, void* choice);
    std::vector<std::size_t> candidates(const ChoiceNode& type);
    void keep_fitting(const ChoiceNode& type, std::vector<std::size_t>& possible);
    /// For bytes that are read more than once. Throws Mismatch once there were too many.
    void pay(std::size_t bytes);

    JsonReader json_;
    std::string path_ = "$";
    /// Bytes that may be read more than once: each level of nesting to choose an alternative, and
    /// what then fails.
    std::size_t budget_;
};

/// Whether JSON of that kind may be of the type.
bool takes(const TypeNode& type, JsonKind kind);
/// Gives a member that is not there its value; false if it may not be missing.
bool set_missing(const TypeNode& type, void* value);
/// The index of the member, or how many there are.
std::size_t find_member(const ObjectNode& type, std::string_view name);

}  // namespace llmproc::detail
