/// @file
/// JSON to C++ types and back, by Boost.Describe; `run_as` of the processes stands on it.
#pragma once

#include <llmproc/detail/type_node.hpp>
#include <llmproc/detail/type_of.hpp>

#include <string>
#include <string_view>

namespace llmproc {

// A type T is bool, an integer, float, double, std::string, an enum with BOOST_DESCRIBE_ENUM, a
// struct with BOOST_DESCRIBE_STRUCT, or made of these by std::optional, std::vector, std::array,
// std::map, std::unordered_map (with std::string as key), std::variant and std::unique_ptr. Another
// one does not compile, and says why. docs/typed_answers.md has it all.

/// The JSON Schema (draft 2020-12) of T: every member is required, an optional one may be null,
/// others are not allowed.
/// Throws LLMError{invalid_argument} if two members of a class have one name.
template <typename T>
std::string json_schema_of() {
    return detail::write_schema(detail::node_of<T>());
}

/// Reads one JSON value. Members that are missing (but optional ones), unknown or there twice,
/// numbers out of range and invalid UTF-8 are errors.
/// Throws LLMError{invalid_json} that names the place, what was expected and what was found.
template <typename T>
T from_json(std::string_view text) {
    static_assert(
        detail::can_be_read<T>,
        "llmproc: a type that is read from JSON is neither const nor a reference, has a default "
        "constructor and can be moved"
    );
    T value{};
    detail::read_json(detail::node_of<T>(), &value, text);
    return value;
}

/// One line of JSON text that `from_json` reads back as an equal value. Not so: a variant of which
/// another alternative takes the same JSON (2.0 of a variant of int and double becomes the int 2),
/// and strings that are not UTF-8 (each wrong byte becomes U+FFFD).
/// Throws LLMError{invalid_argument} for NaN, infinity and what is no enumerator of its enum.
template <typename T>
std::string to_json(const T& value) {
    return detail::write_json(detail::node_of<T>(), &value);
}

}  // namespace llmproc
