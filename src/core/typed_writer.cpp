#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "core/typed_json.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmproc::detail {

/// Writes values of described types as JSON.
class TypedWriter {
public:
    explicit TypedWriter(std::string& out) noexcept : json_(out) {}

    void write(const TypeNode& type, const void* value);
    void write_entry(std::string_view key, const TypeNode& type, const void* value);

private:
    void write_integer(const IntegerNode& type, const void* value);
    void write_enumerator(const EnumNode& type, const void* value);
    void write_object(const ObjectNode& type, const void* object);
    void write_choice(const ChoiceNode& type, const void* choice);

    JsonWriter json_;
};

void TypedWriter::write(const TypeNode& type, const void* value) {
    switch (type.kind) {
        case TypeKind::null: json_.null(); return;
        case TypeKind::boolean: json_.boolean(*static_cast<const bool*>(value)); return;
        case TypeKind::string: json_.string(*static_cast<const std::string*>(value)); return;
        case TypeKind::integer: write_integer(as<IntegerNode>(type), value); return;
        case TypeKind::number: json_.number(as<NumberNode>(type).get(value)); return;
        case TypeKind::enumeration: write_enumerator(as<EnumNode>(type), value); return;
        case TypeKind::object: write_object(as<ObjectNode>(type), value); return;
        case TypeKind::sequence:
            json_.begin_array();
            as<SequenceNode>(type).write(*this, value);
            json_.end_array();
            return;
        case TypeKind::map:
            json_.begin_object();
            as<MapNode>(type).write(*this, value);
            json_.end_object();
            return;
        case TypeKind::nullable: {
            const auto& nullable = as<NullableNode>(type);
            if (const void* const held = nullable.get(value)) {
                write(nullable.value(), held);
            } else {
                json_.null();
            }
            return;
        }
        case TypeKind::choice: write_choice(as<ChoiceNode>(type), value); return;
    }
}

void TypedWriter::write_entry(std::string_view key, const TypeNode& type, const void* value) {
    json_.key(key);
    write(type, value);
}

void TypedWriter::write_integer(const IntegerNode& type, const void* value) {
    const std::uint64_t bits = type.get(value);
    if (type.min < 0) {
        json_.integer(static_cast<std::int64_t>(bits));
    } else {
        json_.raw(std::to_string(bits));
    }
}

void TypedWriter::write_enumerator(const EnumNode& type, const void* value) {
    const std::uint64_t bits = type.get(value);
    const EnumeratorNode* const end = type.enumerators + type.count;
    const EnumeratorNode* const found = std::find_if(
        type.enumerators,
        end,
        [bits](const EnumeratorNode& enumerator) { return enumerator.bits == bits; }
    );
    if (found == end) {
        throw LLMError(
            Errc::invalid_argument,
            "an enum has the value " + std::to_string(static_cast<std::int64_t>(bits)) +
                ", which is none of its described enumerators"
        );
    }
    json_.string(found->name);
}

void TypedWriter::write_object(const ObjectNode& type, const void* object) {
    json_.begin_object();
    for (std::size_t i = 0; i < type.count; ++i) {
        const MemberNode& member = type.members[i];
        write_entry(member.name, member.type(), member.get(object));
    }
    json_.end_object();
}

void TypedWriter::write_choice(const ChoiceNode& type, const void* choice) {
    const std::size_t index = type.index(choice);
    if (index >= type.count) {
        throw LLMError(Errc::invalid_argument, "a variant is valueless, so JSON cannot show it");
    }
    write(type.alternatives[index](), type.get(choice));
}

void write_value(TypedWriter& writer, const TypeNode& type, const void* value) {
    writer.write(type, value);
}

void write_entry(
    TypedWriter& writer,
    std::string_view key,
    const TypeNode& type,
    const void* value
) {
    writer.write_entry(key, type, value);
}

std::string write_json(const TypeNode& type, const void* value) {
    std::string text;
    TypedWriter(text).write(type, value);
    return text;
}

}  // namespace llmproc::detail
