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

namespace {

/// An alternative that the object seen so far may be.
struct Fit {
    Fit(std::size_t own_index, const TypeNode& type)
        : index(own_index),
          object(type.kind == TypeKind::object ? &as<ObjectNode>(type) : nullptr),
          seen(object != nullptr ? object->count : 0) {}

    bool may_have(std::string_view name) {
        if (object == nullptr) {
            return true;
        }
        const std::size_t member = find_member(*object, name);
        if (member == object->count || seen[member]) {
            return false;
        }
        seen[member] = true;
        return true;
    }

    bool has_all() const {
        for (std::size_t i = 0; i < seen.size(); ++i) {
            if (!seen[i] && !takes(object->members[i].type(), JsonKind::null)) {
                return false;
            }
        }
        return true;
    }

    std::size_t index;
    const ObjectNode* object;  ///< Null: any members will do.
    std::vector<bool> seen;
};

}  // namespace

/// Keeps the alternatives of which the next object has all members that it must have, and no
/// others.
void TypedReader::keep_fitting(const ChoiceNode& type, std::vector<std::size_t>& possible) {
    std::vector<Fit> fits;
    fits.reserve(possible.size());
    for (const std::size_t index : possible) {
        fits.emplace_back(index, type.alternatives[index]());
    }
    JsonReader ahead = json_;
    std::string_view key;
    ahead.begin_object();
    while (!fits.empty() && ahead.next_key(key)) {
        std::erase_if(fits, [key](Fit& fit) { return !fit.may_have(key); });
        if (!fits.empty()) {
            ahead.skip();
        }
    }
    pay(ahead.offset() - json_.offset());
    possible.clear();
    for (const Fit& fit : fits) {
        if (fit.has_all()) {
            possible.push_back(fit.index);
        }
    }
}

/// The alternatives that the next value may be, by its kind and its members.
std::vector<std::size_t> TypedReader::candidates(const ChoiceNode& type) {
    const JsonKind kind = json_.peek();
    std::vector<std::size_t> possible;
    for (std::size_t i = 0; i < type.count; ++i) {
        if (takes(type.alternatives[i](), kind)) {
            possible.push_back(i);
        }
    }
    if (kind == JsonKind::object && possible.size() > 1) {
        keep_fitting(type, possible);
    }
    return possible;
}

void TypedReader::pay(std::size_t bytes) {
    if (bytes > budget_) {
        budget_ = 0;  // The alternatives around this one fail as well.
        mismatch("a value that is found without trying so many alternatives", "too many");
    }
    budget_ -= bytes;
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
            // A failure costs more than the bytes that were read for it.
            pay(json_.offset() - begin.offset() + 16);
            json_ = begin;
            path_.resize(place);
        }
    }
    // What is wrong with the last one is told.
    read(type.alternatives[possible.back()](), type.emplace(choice, possible.back()));
}

}  // namespace llmproc::detail
