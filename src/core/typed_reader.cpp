#include "core/typed_reader.hpp"

#include "core/json_token.hpp"
#include "core/typed_json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>
#include <utility>

namespace llmproc::detail {

namespace {

std::string quoted(std::string_view name) {
    return "\"" + std::string(name) + "\"";
}

/// What an error shows of a text of the answer: so many bytes at most, no character halved.
std::string_view shortened(std::string_view text) {
    std::size_t longest = 60;
    if (text.size() <= longest) {
        return text;
    }
    while (longest > 0 && (static_cast<unsigned char>(text[longest]) & 0xc0U) == 0x80U) {
        --longest;
    }
    return text.substr(0, longest);
}

/// A name that needs no quotes in a path.
bool is_plain(std::string_view name) {
    constexpr std::string_view plain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    return !name.empty() && name.find_first_not_of(plain) == std::string_view::npos;
}

/// The number as an integer of up to 64 bits, exactly; the sign apart.
struct Whole {
    bool negative = false;
    std::uint64_t magnitude = 0;
};

/// Not only too small for double.
bool is_zero(std::string_view number) {
    const std::string_view mantissa = number.substr(0, number.find_first_of("eE"));
    return mantissa.find_first_of("123456789") == std::string_view::npos;
}

std::optional<Whole> whole_of(std::string_view text) {
    Whole whole;
    whole.negative = text.front() == '-';
    const char* const begin = text.data() + (whole.negative ? 1 : 0);
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(begin, end, whole.magnitude);
    if (parsed.ec == std::errc() && parsed.ptr == end) {
        return whole;
    }
    // 1.0 and 1e3; from 2^53 on a fraction or an exponent would no longer be exact.
    const double value = std::fabs(to_double(text));
    if (text.find_first_of(".eE") == std::string_view::npos || value >= 0x1p53 ||
        std::trunc(value) != value || (value == 0 && !is_zero(text))) {
        return std::nullopt;
    }
    whole.magnitude = static_cast<std::uint64_t>(value);
    return whole;
}

bool in_range(const IntegerNode& type, const Whole& whole) {
    if (!whole.negative || whole.magnitude == 0) {
        return whole.magnitude <= type.max;
    }
    return type.min < 0 && whole.magnitude - 1 <= static_cast<std::uint64_t>(-(type.min + 1));
}

std::string member_names(const ObjectNode& type) {
    std::string names;
    for (std::size_t i = 0; i < type.count; ++i) {
        names += (i == 0 ? "" : ", ") + quoted(type.members[i].name);
    }
    return names.empty() ? "no members" : "only the members " + names;
}

}  // namespace

void TypedReader::mismatch(std::string expected, std::string found) const {
    throw Mismatch{std::move(expected), std::move(found)};
}

void TypedReader::mismatch(std::string expected) {
    mismatch(std::move(expected), next_value());
}

std::string_view TypedReader::look_ahead() {
    JsonReader ahead = json_;
    const std::string_view text = ahead.raw();
    pay(ahead.offset() - json_.offset());
    return text;
}

std::string TypedReader::next_value() {
    switch (json_.peek()) {
        case JsonKind::object: return "an object";
        case JsonKind::array: return "an array";
        default: break;
    }
    const std::string_view text = look_ahead();
    const std::string_view part = shortened(text);
    return std::string(part) + (part.size() < text.size() ? "..." : "");
}

void TypedReader::expect(JsonKind kind, const TypeNode& type) {
    if (json_.peek() != kind) {
        mismatch(described(type));
    }
}

void TypedReader::enter_member(std::string_view name) {
    const std::string_view part = shortened(name);
    if (is_plain(part)) {
        path_.append(".").append(part);
    } else {
        path_.append("[").append(quoted(part)).append("]");
    }
}

void TypedReader::enter_element(std::size_t index) {
    path_.append("[").append(std::to_string(index)).append("]");
}

void TypedReader::read(const TypeNode& type, void* value) {
    switch (type.kind) {
        case TypeKind::null:
            expect(JsonKind::null, type);
            json_.null();
            return;
        case TypeKind::boolean:
            expect(JsonKind::boolean, type);
            *static_cast<bool*>(value) = json_.boolean();
            return;
        case TypeKind::string:
            expect(JsonKind::string, type);
            *static_cast<std::string*>(value) = json_.string();
            return;
        case TypeKind::integer: read_integer(as<IntegerNode>(type), value); return;
        case TypeKind::number: read_number(as<NumberNode>(type), value); return;
        case TypeKind::enumeration: read_enumeration(as<EnumNode>(type), value); return;
        case TypeKind::object: read_object(as<ObjectNode>(type), value); return;
        case TypeKind::sequence: read_sequence(as<SequenceNode>(type), value); return;
        case TypeKind::map: read_map(as<MapNode>(type), value); return;
        case TypeKind::nullable: read_nullable(as<NullableNode>(type), value); return;
        case TypeKind::choice: read_choice(as<ChoiceNode>(type), value); return;
    }
}

void TypedReader::read_integer(const IntegerNode& type, void* value) {
    expect(JsonKind::number, type);
    const std::optional<Whole> whole = whole_of(look_ahead());
    if (!whole || !in_range(type, *whole)) {
        mismatch(described(type));
    }
    json_.skip();
    type.set(value, whole->negative ? 0 - whole->magnitude : whole->magnitude);
}

void TypedReader::read_number(const NumberNode& type, void* value) {
    expect(JsonKind::number, type);
    const double number = to_double(look_ahead());
    if (std::fabs(number) > type.max) {
        mismatch("a number that its type can hold");
    }
    json_.skip();
    type.set(value, number);
}

void TypedReader::read_enumeration(const EnumNode& type, void* value) {
    expect(JsonKind::string, type);
    JsonReader ahead = json_;
    const std::string name = ahead.string();
    pay(ahead.offset() - json_.offset());
    const EnumeratorNode* const end = type.enumerators + type.count;
    const EnumeratorNode* const found = std::find_if(
        type.enumerators,
        end,
        [&](const EnumeratorNode& enumerator) { return enumerator.name == name; }
    );
    if (found == end) {
        mismatch(described(type));
    }
    json_.skip();
    type.set(value, found->bits);
}

void TypedReader::read_object(const ObjectNode& type, void* object) {
    expect(JsonKind::object, type);
    const std::size_t place = path_.size();
    std::vector<bool> seen(type.count);
    std::string_view key;
    json_.begin_object();
    while (json_.next_key(key)) {
        const std::size_t index = find_member(type, key);
        if (index == type.count) {
            mismatch(member_names(type), "the member " + quoted(shortened(key)));
        }
        if (seen[index]) {
            mismatch("the member " + quoted(key) + " once", "it twice");
        }
        seen[index] = true;
        const MemberNode& member = type.members[index];
        enter_member(key);
        read(member.type(), member.at(object));
        path_.resize(place);
    }
    for (std::size_t i = 0; i < type.count; ++i) {
        const MemberNode& member = type.members[i];
        if (!seen[i] && !set_missing(member.type(), member.at(object))) {
            mismatch("the member " + quoted(member.name), "an object without it");
        }
    }
}

void TypedReader::read_wrapped(const TypeNode& type, void* value) {
    if (json_.peek() != JsonKind::object) {
        mismatch("an object with the member " + quoted(wrapping_member));
    }
    std::string_view key;
    json_.begin_object();
    if (!json_.next_key(key) || key != wrapping_member) {
        mismatch("the member " + quoted(wrapping_member), "an object without it");
    }
    enter_member(wrapping_member);
    read(type, value);
    path_ = "$";
    if (json_.next_key(key)) {
        mismatch(
            "only the member " + quoted(wrapping_member),
            "the member " + quoted(shortened(key))
        );
    }
}

void TypedReader::read_sequence(const SequenceNode& type, void* sequence) {
    expect(JsonKind::array, type);
    type.clear(sequence);
    const std::size_t place = path_.size();
    std::size_t index = 0;
    json_.begin_array();
    for (; json_.next_element(); ++index) {
        if (index == type.size) {
            mismatch(described(type), "more");
        }
        enter_element(index);
        type.read(*this, sequence, index);
        path_.resize(place);
    }
    if (type.size != SequenceNode::any_size && index < type.size) {
        mismatch(described(type), "an array of " + std::to_string(index));
    }
}

void TypedReader::insert(const MapNode& type, void* map, const std::string& key) {
    if (!type.read(*this, map, key)) {
        mismatch("each key once", "it twice");
    }
}

void TypedReader::read_map(const MapNode& type, void* map) {
    type.clear(map);
    if (json_.peek() == JsonKind::array) {
        read_entries(type, map);
        return;
    }
    expect(JsonKind::object, type);
    const std::size_t place = path_.size();
    std::string_view key;
    json_.begin_object();
    while (json_.next_key(key)) {
        const std::string name(key);
        enter_member(name);
        insert(type, map, name);
        path_.resize(place);
    }
}

void TypedReader::read_entries(const MapNode& type, void* map) {
    const std::size_t place = path_.size();
    json_.begin_array();
    for (std::size_t index = 0; json_.next_element(); ++index) {
        enter_element(index);
        read_entry(type, map);
        path_.resize(place);
    }
}

void TypedReader::read_entry(const MapNode& type, void* map) {
    const std::string both = "an object with " + quoted(entry_key) + " and " + quoted(entry_value);
    if (json_.peek() != JsonKind::object) {
        mismatch(both);
    }
    std::optional<std::string> name;
    std::optional<JsonReader> value;
    std::string_view key;
    json_.begin_object();
    while (json_.next_key(key)) {
        if (key == entry_key && !name && json_.peek() == JsonKind::string) {
            name = json_.string();
        } else if (key == entry_value && !value) {
            value = json_;
            json_.skip();
            pay(json_.offset() - value->offset());
        } else {
            mismatch(both, "the member " + quoted(shortened(key)) + " as it is");
        }
    }
    if (!name || !value) {
        mismatch(both, "an object without them");
    }
    // The value may stand before its key.
    std::swap(json_, *value);
    enter_member(entry_value);
    insert(type, map, *name);
    std::swap(json_, *value);
}

}  // namespace llmproc::detail
