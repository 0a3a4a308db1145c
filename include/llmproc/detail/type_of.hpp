/// @file
/// The node of a C++ type, by Boost.Describe. Not for users.
#pragma once

#include <llmproc/detail/type_node.hpp>

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <boost/describe/enumerators.hpp>
#include <boost/describe/members.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace llmproc::detail {

template <typename T>
const TypeNode& node_of() noexcept;

template <typename T, template <typename...> class Template>
inline constexpr bool is_a = false;
template <template <typename...> class Template, typename... Arguments>
inline constexpr bool is_a<Template<Arguments...>, Template> = true;

template <typename T>
inline constexpr bool is_std_array = false;
template <typename T, std::size_t Size>
inline constexpr bool is_std_array<std::array<T, Size>> = true;

template <typename T>
concept Character = std::is_same_v<T, char> || std::is_same_v<T, wchar_t> ||
    std::is_same_v<T, char8_t> || std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>;

template <typename T>
concept Integer = std::is_integral_v<T> && !Character<T> && !std::is_same_v<T, bool> &&
                  !std::is_const_v<T> && sizeof(T) <= sizeof(std::uint64_t);

template <typename T>
concept Number = std::is_same_v<T, float> || std::is_same_v<T, double>;

/// std::optional and std::unique_ptr, the latter for types that contain themselves.
template <typename T>
concept Nullable = is_a<T, std::optional> || is_a<T, std::unique_ptr>;

template <typename T>
concept DescribedEnum = std::is_enum_v<T> && boost::describe::has_describe_enumerators<T>::value;

template <typename T>
concept DescribedClass = std::is_class_v<T> && boost::describe::has_describe_members<T>::value &&
    !std::is_const_v<T>;

/// std::map, std::unordered_map and the like, with strings as keys.
template <typename T>
concept StringMap = requires(T map, typename T::mapped_type value, typename T::key_type key) {
    requires std::is_same_v<typename T::key_type, std::string>;
    map.clear();
    map.emplace(std::move(key), std::move(value));
    map.find(key) == map.end();
};

/// std::vector and the like.
template <typename T>
concept Sequence = !std::is_same_v<T, std::string> && requires(T sequence) {
    typename T::value_type;
    sequence.clear();
    sequence.emplace_back();
    sequence.begin() != sequence.end();
};

/// What JSON's null is read into.
template <typename T>
inline constexpr bool takes_null = Nullable<T> || std::is_same_v<T, std::monostate>;
template <typename... Alternatives>
inline constexpr bool takes_null<std::variant<Alternatives...>> = (takes_null<Alternatives> || ...);

/// A type's name without its namespace; for those who read the schema.
template <typename T>
constexpr std::string_view name_of() noexcept {
#if defined(__GNUC__)
    std::string_view text = __PRETTY_FUNCTION__;
    text = text.substr(text.find("T = ") + 4);
    text = text.substr(0, text.find_first_of(";]"));
    const std::size_t scope = text.substr(0, text.find('<')).rfind("::");
    return scope == std::string_view::npos ? text : text.substr(scope + 2);
#else
    return "object";
#endif
}

inline constexpr TypeNode null_node{TypeKind::null};
inline constexpr TypeNode boolean_node{TypeKind::boolean};
inline constexpr TypeNode string_node{TypeKind::string};

template <typename T>
void set_bits(void* value, std::uint64_t bits) {
    *static_cast<T*>(value) = static_cast<T>(bits);
}
template <typename T>
std::uint64_t get_bits(const void* value) {
    return static_cast<std::uint64_t>(*static_cast<const T*>(value));
}

template <typename T>
inline constexpr IntegerNode integer_node{
    {TypeKind::integer},
    static_cast<std::int64_t>(std::numeric_limits<T>::min()),
    static_cast<std::uint64_t>(std::numeric_limits<T>::max()),
    &set_bits<T>,
    &get_bits<T>};

template <typename T>
inline constexpr NumberNode number_node{
    {TypeKind::number},
    static_cast<double>(std::numeric_limits<T>::max()),
    [](void* value, double number) { *static_cast<T*>(value) = static_cast<T>(number); },
    [](const void* value) { return static_cast<double>(*static_cast<const T*>(value)); }};

template <template <typename...> class List, typename... Descriptors>
constexpr std::array<EnumeratorNode, sizeof...(Descriptors)> enumerators(
    List<Descriptors...>* /*list*/
) noexcept {
    return {{EnumeratorNode{Descriptors::name, static_cast<std::uint64_t>(Descriptors::value)}...}};
}

template <typename T>
inline constexpr auto enumerators_of =
    enumerators(static_cast<boost::describe::describe_enumerators<T>*>(nullptr));

template <typename T>
inline constexpr EnumNode enum_node{
    {TypeKind::enumeration},
    enumerators_of<T>.data(),
    enumerators_of<T>.size(),
    &set_bits<T>,
    &get_bits<T>};

template <typename T, typename Descriptor>
constexpr MemberNode member() noexcept {
    using Member = std::remove_reference_t<decltype(std::declval<T&>().*Descriptor::pointer)>;
    return MemberNode{
        Descriptor::name,
        &node_of<Member>,
        [](void* object) -> void* { return &(static_cast<T*>(object)->*Descriptor::pointer); },
        [](const void* object) -> const void* {
            return &(static_cast<const T*>(object)->*Descriptor::pointer);
        }};
}

template <typename T, template <typename...> class List, typename... Descriptors>
constexpr std::array<MemberNode, sizeof...(Descriptors)> members(List<Descriptors...>* /*list*/
) noexcept {
    return {{member<T, Descriptors>()...}};
}

template <typename T>
inline constexpr auto members_of =
    members<T>(static_cast<boost::describe::describe_members<
                   T,
                   boost::describe::mod_any_access | boost::describe::mod_inherited>*>(nullptr));

template <typename T>
inline constexpr ObjectNode object_node{
    {TypeKind::object},
    name_of<T>(),
    members_of<T>.data(),
    members_of<T>.size()};

template <typename T>
void read_element(TypedReader& reader, T& element) {
    read_value(reader, node_of<T>(), &element);
}

template <typename T>
void write_elements(TypedWriter& writer, const void* sequence) {
    for (const typename T::value_type& element : *static_cast<const T*>(sequence)) {
        write_value(writer, node_of<typename T::value_type>(), &element);
    }
}

template <typename T>
inline constexpr SequenceNode sequence_node{
    {TypeKind::sequence},
    &node_of<typename T::value_type>,
    SequenceNode::any_size,
    [](void* sequence) { static_cast<T*>(sequence)->clear(); },
    [](TypedReader& reader, void* sequence, std::size_t /*index*/) {
        if constexpr (std::is_same_v<typename T::value_type, bool>) {
            // The elements of std::vector<bool> have no address.
            bool element = false;
            read_element(reader, element);
            static_cast<T*>(sequence)->push_back(element);
        } else {
            read_element(reader, static_cast<T*>(sequence)->emplace_back());
        }
    },
    &write_elements<T>};

template <typename T>
inline constexpr SequenceNode array_node{
    {TypeKind::sequence},
    &node_of<typename T::value_type>,
    std::tuple_size_v<T>,
    [](void* /*array*/) {},
    [](TypedReader& reader, void* array, std::size_t index) {
        read_element(reader, static_cast<T*>(array)->at(index));
    },
    &write_elements<T>};

template <typename T>
inline constexpr MapNode map_node{
    {TypeKind::map},
    &node_of<typename T::mapped_type>,
    [](void* map) { static_cast<T*>(map)->clear(); },
    [](TypedReader& reader, void* map, const std::string& key) {
        T& self = *static_cast<T*>(map);
        if (self.find(key) != self.end()) {
            return false;
        }
        typename T::mapped_type element{};
        read_element(reader, element);
        self.emplace(key, std::move(element));
        return true;
    },
    [](TypedWriter& writer, const void* map) {
        for (const auto& [key, element] : *static_cast<const T*>(map)) {
            write_entry(writer, key, node_of<typename T::mapped_type>(), &element);
        }
    }};

template <typename T>
struct Pointee {
    using Value = typename T::value_type;
};
template <typename T>
struct Pointee<std::unique_ptr<T>> {
    using Value = T;
};

template <typename T>
inline constexpr NullableNode nullable_node{
    {TypeKind::nullable},
    &node_of<typename Pointee<T>::Value>,
    [](void* nullable) { static_cast<T*>(nullable)->reset(); },
    [](void* nullable) -> void* {
        T& self = *static_cast<T*>(nullable);
        if constexpr (is_a<T, std::optional>) {
            return &self.emplace();
        } else {
            self = std::make_unique<typename Pointee<T>::Value>();
            return self.get();
        }
    },
    [](const void* nullable) -> const void* {
        const T& self = *static_cast<const T*>(nullable);
        return self ? &*self : nullptr;
    }};

template <typename T>
struct Choice;

template <typename... Alternatives>
struct Choice<std::variant<Alternatives...>> {
    using Variant = std::variant<Alternatives...>;
    static constexpr std::size_t count = sizeof...(Alternatives);
    static constexpr std::array<NodeOf, count> nodes{&node_of<Alternatives>...};

    static void* emplace(void* choice, std::size_t index) {
        return emplace(*static_cast<Variant*>(choice), index, std::make_index_sequence<count>());
    }
    static std::size_t index(const void* choice) {
        return static_cast<const Variant*>(choice)->index();
    }
    static const void* get(const void* choice) {
        return std::visit(
            [](const auto& value) -> const void* { return &value; },
            *static_cast<const Variant*>(choice)
        );
    }

private:
    template <std::size_t... Indexes>
    static void* emplace(
        Variant& self,
        std::size_t index,
        std::index_sequence<Indexes...> /*all*/
    ) {
        void* made = nullptr;
        static_cast<void>(
            ((index == Indexes && (made = &self.template emplace<Indexes>()) != nullptr) || ...)
        );
        return made;
    }
};

template <typename T>
inline constexpr ChoiceNode choice_node{
    {TypeKind::choice},
    Choice<T>::nodes.data(),
    Choice<T>::count,
    &Choice<T>::emplace,
    &Choice<T>::index,
    &Choice<T>::get};

template <typename T>
inline constexpr bool not_described = false;

template <typename T>
const TypeNode& node_of() noexcept {
    if constexpr (std::is_same_v<T, bool>) {
        return boolean_node;
    } else if constexpr (std::is_same_v<T, std::string>) {
        return string_node;
    } else if constexpr (std::is_same_v<T, std::monostate>) {
        return null_node;
    } else if constexpr (Integer<T>) {
        return integer_node<T>;
    } else if constexpr (Number<T>) {
        return number_node<T>;
    } else if constexpr (DescribedEnum<T>) {
        return enum_node<T>;
    } else if constexpr (DescribedClass<T>) {
        return object_node<T>;
    } else if constexpr (Nullable<T>) {
        static_assert(
            !takes_null<typename Pointee<T>::Value>,
            "llmproc: an optional of something that may be null itself is ambiguous in JSON"
        );
        return nullable_node<T>;
    } else if constexpr (is_a<T, std::variant>) {
        return choice_node<T>;
    } else if constexpr (is_std_array<T>) {
        return array_node<T>;
    } else if constexpr (StringMap<T>) {
        return map_node<T>;
    } else if constexpr (Sequence<T>) {
        return sequence_node<T>;
    } else if constexpr (std::is_enum_v<T>) {
        static_assert(
            not_described<T>,
            "llmproc: this enum is not described: add BOOST_DESCRIBE_ENUM(Enum, a, b, ...)"
        );
    } else if constexpr (std::is_pointer_v<T> || std::is_same_v<T, std::string_view>) {
        static_assert(
            not_described<T>,
            "llmproc: pointers and views own nothing that could be read into: use std::string, "
            "std::optional or std::unique_ptr"
        );
    } else if constexpr (std::is_class_v<T>) {
        static_assert(
            not_described<T>,
            "llmproc: this class is not described: add BOOST_DESCRIBE_STRUCT(Struct, (Bases...), "
            "(member, ...)) beside it; maps need std::string as key"
        );
    } else {
        static_assert(
            not_described<T>,
            "llmproc: JSON has no such type: use bool, integers of up to 64 bits, float, double, "
            "std::string, std::vector, std::array, std::map, std::optional, std::variant, and "
            "described structs and enums of these; none of them const"
        );
    }
}

template <typename T>
inline constexpr bool can_be_read = std::is_same_v<T, std::remove_cvref_t<T>>&&
    std::is_default_constructible_v<T>&& std::is_move_constructible_v<T>;

template <typename T>
AnswerType answer_type() {
    static_assert(
        can_be_read<T>,
        "llmproc: a type that is read from JSON is neither const nor a reference, has a default "
        "constructor and can be moved"
    );
    return AnswerType{&node_of<T>(), []() -> std::shared_ptr<void> {
                          return std::make_shared<T>();
                      }};
}

}  // namespace llmproc::detail
