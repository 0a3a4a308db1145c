/// @file
/// What the compiled reader and writer of typed JSON know of a C++ type. Not for users.
#pragma once

#include <llmproc/export.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace llmproc::detail {

class TypedReader;
class TypedWriter;

enum class TypeKind {
    null,
    boolean,
    integer,
    number,
    string,
    enumeration,
    object,
    sequence,
    map,
    nullable,
    choice,
};

/// A type; what it has beyond its kind is in the derived node. All nodes are constants that live for
/// ever; a node names others by function, so that types may contain themselves.
struct TypeNode {
    TypeKind kind;
};
using NodeOf = const TypeNode& (*)() noexcept;

/// Values go as 64 bits in two's complement.
struct IntegerNode : TypeNode {
    std::int64_t min;
    std::uint64_t max;
    void (*set)(void* value, std::uint64_t bits);
    std::uint64_t (*get)(const void* value);
};

struct NumberNode : TypeNode {
    double max;
    void (*set)(void* value, double number);
    double (*get)(const void* value);
};

struct EnumeratorNode {
    std::string_view name;
    std::uint64_t bits;
};
struct EnumNode : TypeNode {
    const EnumeratorNode* enumerators;
    std::size_t count;
    void (*set)(void* value, std::uint64_t bits);
    std::uint64_t (*get)(const void* value);
};

struct MemberNode {
    std::string_view name;
    NodeOf type;
    void* (*at)(void* object);
    const void* (*get)(const void* object);
};
struct ObjectNode : TypeNode {
    std::string_view name;  ///< Of the C++ type, without its namespace.
    const MemberNode* members;
    std::size_t count;
};

struct SequenceNode : TypeNode {
    static constexpr std::size_t any_size = static_cast<std::size_t>(-1);

    NodeOf element;
    std::size_t size;  ///< Of an array.
    void (*clear)(void* sequence);
    /// Reads an element at `index`, the present end.
    void (*read)(TypedReader& reader, void* sequence, std::size_t index);
    void (*write)(TypedWriter& writer, const void* sequence);
};

struct MapNode : TypeNode {
    NodeOf element;
    void (*clear)(void* map);
    /// Reads an element for a new key; false, without reading, if there is one.
    bool (*read)(TypedReader& reader, void* map, const std::string& key);
    void (*write)(TypedWriter& writer, const void* map);
};

struct NullableNode : TypeNode {
    NodeOf value;
    void (*reset)(void* nullable);
    void* (*emplace)(void* nullable);
    const void* (*get)(const void* nullable);  ///< Null if empty.
};

struct ChoiceNode : TypeNode {
    const NodeOf* alternatives;
    std::size_t count;
    void* (*emplace)(void* choice, std::size_t index);
    std::size_t (*index)(const void* choice);
    const void* (*get)(const void* choice);
};

// For the functions in the nodes.
LLMPROC_API void read_value(TypedReader& reader, const TypeNode& type, void* value);
LLMPROC_API void write_value(TypedWriter& writer, const TypeNode& type, const void* value);
LLMPROC_API void write_entry(
    TypedWriter& writer,
    std::string_view key,
    const TypeNode& type,
    const void* value
);

/// Reads one JSON value of that type. Throws LLMError{invalid_json} that names the place.
LLMPROC_API void read_json(const TypeNode& type, void* value, std::string_view text);
LLMPROC_API std::string write_json(const TypeNode& type, const void* value);
LLMPROC_API std::string write_schema(const TypeNode& type);

/// What `run_as` needs of a type.
struct AnswerType {
    const TypeNode* node;
    std::shared_ptr<void> (*make)();  ///< A new value.
};

}  // namespace llmproc::detail
