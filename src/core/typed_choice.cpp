#include "core/typed_json.hpp"
#include "core/typed_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

namespace llmproc::detail {

std::size_t find_member(const ObjectNode& type, std::string_view name) {
    const MemberNode* const end = type.members + type.count;
    const MemberNode* const found = std::find_if(type.members, end, [&](const MemberNode& member) {
        return member.name == name;
    });
    return static_cast<std::size_t>(found - type.members);
}

bool takes(const TypeNode& type, JsonKind kind) {
    switch (type.kind) {
        case TypeKind::null: return kind == JsonKind::null;
        case TypeKind::boolean: return kind == JsonKind::boolean;
        case TypeKind::integer:
        case TypeKind::number: return kind == JsonKind::number;
        case TypeKind::string:
        case TypeKind::enumeration: return kind == JsonKind::string;
        case TypeKind::object: return kind == JsonKind::object;
        case TypeKind::sequence: return kind == JsonKind::array;
        case TypeKind::map: return kind == JsonKind::object || kind == JsonKind::array;
        case TypeKind::nullable:
            return kind == JsonKind::null || takes(as<NullableNode>(type).value(), kind);
        case TypeKind::choice: {
            const auto& choice = as<ChoiceNode>(type);
            return std::any_of(
                choice.alternatives,
                choice.alternatives + choice.count,
                [kind](NodeOf alternative) { return takes(alternative(), kind); }
            );
        }
    }
    return false;
}

bool set_missing(const TypeNode& type, void* value) {
    if (!takes(type, JsonKind::null)) {
        return false;
    }
    if (type.kind == TypeKind::nullable) {
        as<NullableNode>(type).reset(value);
    } else if (type.kind == TypeKind::choice) {
        const auto& choice = as<ChoiceNode>(type);
        std::size_t index = 0;
        while (!takes(choice.alternatives[index](), JsonKind::null)) {
            ++index;
        }
        set_missing(choice.alternatives[index](), choice.emplace(value, index));
    }
    return true;
}

void TypedReader::read_nullable(const NullableNode& type, void* nullable) {
    if (json_.consume_null()) {
        type.reset(nullable);
        return;
    }
    if (!takes(type.value(), json_.peek())) {
        mismatch(described(type));
    }
    read(type.value(), type.emplace(nullable));
}

/// Whether the next object has all members that it must have, and no others.
bool TypedReader::has_members_of(const ObjectNode& type) const {
    JsonReader ahead = json_;
    std::vector<bool> seen(type.count);
    std::string_view key;
    ahead.begin_object();
    while (ahead.next_key(key)) {
        const std::size_t index = find_member(type, key);
        if (index == type.count || seen[index]) {
            return false;
        }
        seen[index] = true;
        ahead.skip();
    }
    for (std::size_t i = 0; i < type.count; ++i) {
        if (!seen[i] && !takes(type.members[i].type(), JsonKind::null)) {
            return false;
        }
    }
    return true;
}

/// The alternatives that the next value may be, by its kind and its members.
std::vector<std::size_t> TypedReader::candidates(const ChoiceNode& type) {
    const JsonKind kind = json_.peek();
    std::vector<std::size_t> by_kind;
    for (std::size_t i = 0; i < type.count; ++i) {
        if (takes(type.alternatives[i](), kind)) {
            by_kind.push_back(i);
        }
    }
    if (kind != JsonKind::object || by_kind.size() < 2) {
        return by_kind;
    }
    std::vector<std::size_t> fitting;
    for (const std::size_t index : by_kind) {
        const TypeNode& alternative = type.alternatives[index]();
        if (alternative.kind != TypeKind::object || has_members_of(as<ObjectNode>(alternative))) {
            fitting.push_back(index);
        }
    }
    return fitting;
}

void TypedReader::pay_for_failure(std::size_t begin) {
    // A failure costs more than the bytes that were read for it.
    const std::size_t price = json_.offset() - begin + 16;
    if (price > budget_) {
        mismatch("a value that is found without trying so many alternatives", "too many");
    }
    budget_ -= price;
}

void TypedReader::read_choice(const ChoiceNode& type, void* choice) {
    const std::vector<std::size_t> possible = candidates(type);
    if (possible.empty()) {
        const bool object = takes(type, json_.peek()) && json_.peek() == JsonKind::object;
        mismatch(described(type), object ? "an object with the members of none" : next_value());
    }
    const std::size_t place = path_.size();
    const JsonReader begin = json_;
    for (std::size_t i = 0; i + 1 < possible.size(); ++i) {
        try {
            read(type.alternatives[possible[i]](), type.emplace(choice, possible[i]));
            return;
        } catch (const Mismatch&) {
            pay_for_failure(begin.offset());
            json_ = begin;
            path_.resize(place);
        }
    }
    // What is wrong with the last one is told.
    read(type.alternatives[possible.back()](), type.emplace(choice, possible.back()));
}

}  // namespace llmproc::detail
