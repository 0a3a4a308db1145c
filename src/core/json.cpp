#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include "core/json_reader.hpp"
#include "core/json_token.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <system_error>

namespace llmproc {

namespace {

/// Integers stay integers as far as 64 bits go.
Json read_number(JsonReader& reader) {
    const std::string_view text = reader.raw();
    const char* const end = text.data() + text.size();
    std::uint64_t natural = 0;
    if (const auto parsed = std::from_chars(text.data(), end, natural);
        parsed.ec == std::errc() && parsed.ptr == end) {
        return natural;
    }
    std::int64_t negative = 0;
    if (const auto parsed = std::from_chars(text.data(), end, negative);
        parsed.ec == std::errc() && parsed.ptr == end) {
        return negative;
    }
    const double number = to_double(text);
    if (!std::isfinite(number)) {
        reader.fail("a number within the range of double before this place");
    }
    return number;
}

/// The reader bounds the depth, so the recursion is bounded too.
Json read_value(JsonReader& reader) {
    switch (reader.peek()) {
        case JsonKind::object: {
            Json object = Json::object();
            std::string_view key;
            reader.begin_object();
            while (reader.next_key(key)) {
                Json& member = object[std::string(key)];
                member = read_value(reader);
            }
            return object;
        }
        case JsonKind::array: {
            Json array = Json::array();
            reader.begin_array();
            while (reader.next_element()) {
                array.push_back(read_value(reader));
            }
            return array;
        }
        case JsonKind::string: return reader.string();
        case JsonKind::number: return read_number(reader);
        case JsonKind::boolean: return reader.boolean();
        case JsonKind::null: reader.null(); return nullptr;
    }
    return nullptr;
}

}  // namespace

Json parse_json(std::string_view text) {
    JsonReader reader(text);
    Json document = read_value(reader);
    reader.finish();
    return document;
}

std::string dump_json(const Json& document) {
    return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace llmproc
