#include "core/typed_json.hpp"

#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "core/typed_reader.hpp"

#include <algorithm>
#include <string>

namespace llmproc::detail {

namespace {

std::string alternatives_of(const ChoiceNode& choice) {
    std::string text;
    for (std::size_t i = 0; i < choice.count; ++i) {
        text += (i == 0 ? "" : " or ") + described(choice.alternatives[i]());
    }
    return text;
}

std::string names_of(const EnumNode& type) {
    std::string text = type.count == 1 ? "" : "one of ";
    for (std::size_t i = 0; i < type.count; ++i) {
        text += (i == 0 ? "\"" : ", \"") + std::string(type.enumerators[i].name) + "\"";
    }
    return text;
}

/// Reads by `read`, and says where and what went wrong if it does not succeed.
template <typename Read>
void read_checked(std::string_view text, Read read) {
    TypedReader reader(text);
    try {
        read(reader);
        reader.finish();
    } catch (const TypedReader::Mismatch& problem) {
        throw LLMError(
            Errc::invalid_json,
            reader.path() + ": expected " + problem.expected + ", found " + problem.found
        );
    } catch (const LLMError& syntax) {
        throw LLMError(syntax.errc(), reader.path() + ": " + syntax.message());
    }
}

}  // namespace

std::string described(const TypeNode& type) {
    switch (type.kind) {
        case TypeKind::null: return "null";
        case TypeKind::boolean: return "true or false";
        case TypeKind::string: return "a string";
        case TypeKind::integer: {
            const auto& integer = as<IntegerNode>(type);
            return "an integer from " + std::to_string(integer.min) + " to " +
                   std::to_string(integer.max);
        }
        case TypeKind::number: return "a number";
        case TypeKind::enumeration: return names_of(as<EnumNode>(type));
        case TypeKind::object: return "an object (" + std::string(as<ObjectNode>(type).name) + ")";
        case TypeKind::sequence: {
            const std::size_t size = as<SequenceNode>(type).size;
            return size == SequenceNode::any_size ? "an array"
                                                  : "an array of " + std::to_string(size);
        }
        case TypeKind::map: return "an object with any members";
        case TypeKind::nullable: return described(as<NullableNode>(type).value()) + " or null";
        case TypeKind::choice: return alternatives_of(as<ChoiceNode>(type));
    }
    return "a value";
}

void read_value(TypedReader& reader, const TypeNode& type, void* value) {
    reader.read(type, value);
}

void read_json(const TypeNode& type, void* value, std::string_view text) {
    read_checked(text, [&](TypedReader& reader) { reader.read(type, value); });
}

bool is_wrapped(const TypeNode& type) noexcept {
    return type.kind != TypeKind::object;
}

void read_answer(const TypeNode& type, void* value, std::string_view text) {
    if (!is_wrapped(type)) {
        read_json(type, value, text);
        return;
    }
    read_checked(text, [&](TypedReader& reader) { reader.read_wrapped(type, value); });
}

}  // namespace llmproc::detail
