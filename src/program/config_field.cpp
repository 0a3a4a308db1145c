#include "program/config_field.hpp"

#include <llmproc/http_message.hpp>
#include "core/json_writer.hpp"
#include "core/text_scan.hpp"
#include "program/file_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace llmproc {

namespace {

constexpr std::size_t longest_shown = 60;

bool is_utf8(const std::string& text) {
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end) {
        const unsigned length = static_cast<unsigned char>(*at) < 0x80 ? 1 : utf8_sequence(at, end);
        if (length == 0) {
            return false;
        }
        at += length;
    }
    return true;
}

std::string number_text(double value) {
    if (!std::isfinite(value)) {
        return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
    }
    std::array<char, 32> buffer{};
    const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return {buffer.data(), result.ptr};
}

/// Writes one value of TOML as JSON; recursion is bounded by the reader of the document.
void write_json(const ConfigField& field, JsonWriter& json) {
    const auto& data = field.value().data;
    if (const auto* const text = std::get_if<std::string>(&data)) {
        json.string(*text);
    } else if (const auto* const integer = std::get_if<std::int64_t>(&data)) {
        json.integer(*integer);
    } else if (const auto* const number = std::get_if<double>(&data)) {
        if (!std::isfinite(*number)) {
            field.fail("JSON has no " + number_text(*number) + "; write a finite number");
        }
        json.number(*number);
    } else if (const auto* const boolean = std::get_if<bool>(&data)) {
        json.boolean(*boolean);
    } else if (const auto* const array = std::get_if<ConfigArray>(&data)) {
        json.begin_array();
        for (const ConfigValue& element : *array) {
            write_json(field.element(element), json);
        }
        json.end_array();
    } else if (const auto* const table = std::get_if<ConfigTable>(&data)) {
        json.begin_object();
        for (const ConfigMember& member : *table) {
            json.key(member.key);
            write_json(field.member(member), json);
        }
        json.end_object();
    } else {
        field.fail("JSON has no dates; write it as a string");
    }
}

bool equal_names(std::string_view left, std::string_view right) {
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b;
    });
}

// They say where a message ends or whom it is for; a second opinion breaks the connection.
constexpr std::array<std::string_view, 10> framing_headers{
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade"};

}  // namespace

ConfigPlace ConfigSource::place(const ConfigPosition& position, const std::string& key) const {
    ConfigPlace result;
    result.file = name;
    result.line = position.line;
    result.column = position.column;
    result.key = key;
    return result;
}

std::string shown(std::string_view text) {
    std::string result;
    append_json_string(result, text.substr(0, longest_shown));
    result.front() = '\'';
    result.back() = '\'';
    if (text.size() > longest_shown) {
        result += "...";
    }
    return result;
}

std::string dotted_key(const std::string& parent, std::string_view key) {
    const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
    });
    std::string result = parent.empty() ? parent : parent + ".";
    if (bare) {
        result += key;
    } else {
        append_json_string(result, key);
    }
    return result;
}

ConfigField::ConfigField(const ConfigSource& source, std::string key, const ConfigMember& member)
    : source_(source),
      key_(std::move(key)),
      key_position_(member.position),
      value_(member.value) {}

ConfigField::ConfigField(const ConfigSource& source, std::string key, const ConfigValue& element)
    : source_(source),
      key_(std::move(key)),
      key_position_(element.position),
      value_(element) {}

void ConfigField::fail(const std::string& problem) const {
    throw ConfigError(place(), problem);
}

void ConfigField::fail_type(std::string_view expected) const {
    fail("expected " + std::string(expected) + ", got " + std::string(type_name(value_)));
}

const std::string& ConfigField::text() const {
    const auto* const text = std::get_if<std::string>(&value_.data);
    if (text == nullptr) {
        fail_type("a string");
    }
    return *text;
}

const std::string& ConfigField::line() const {
    const std::string& result = text();
    if (result.find_first_not_of(" \t\r\n") == std::string::npos) {
        fail("expected a text, got an empty string; write a value or remove the key");
    }
    const bool control = std::any_of(result.begin(), result.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    });
    if (control) {
        fail("must be one line without control characters; remove them");
    }
    return result;
}

bool ConfigField::boolean() const {
    const auto* const value = std::get_if<bool>(&value_.data);
    if (value == nullptr) {
        fail_type("a boolean (true or false)");
    }
    return *value;
}

std::int64_t ConfigField::integer(std::int64_t low, std::int64_t high) const {
    const auto* const value = std::get_if<std::int64_t>(&value_.data);
    if (value == nullptr) {
        fail_type("an integer");
    }
    if (*value < low || *value > high) {
        const std::string range = high == std::numeric_limits<std::int64_t>::max()
                                      ? "of at least " + std::to_string(low)
                                      : "from " + std::to_string(low) + " to " +
                                            std::to_string(high);
        fail("expected an integer " + range + ", got " + std::to_string(*value));
    }
    return *value;
}

double ConfigField::number(double low, double high) const {
    double value = 0;
    if (const auto* const integer = std::get_if<std::int64_t>(&value_.data)) {
        value = static_cast<double>(*integer);
    } else if (const auto* const floating = std::get_if<double>(&value_.data)) {
        value = *floating;
    } else {
        fail_type("a number");
    }
    // Written so that NaN is refused too.
    if (!(value >= low && value <= high)) {
        fail(
            "expected a number from " + number_text(low) + " to " + number_text(high) + ", got " +
            number_text(value)
        );
    }
    return value;
}

std::chrono::milliseconds ConfigField::seconds(double low, double high) const {
    const bool is_number = std::holds_alternative<std::int64_t>(value_.data) ||
                           std::holds_alternative<double>(value_.data);
    if (!is_number) {
        fail_type("a number of seconds");
    }
    const double value = number(low, high);
    return std::chrono::milliseconds(std::llround(value * 1000));
}

std::size_t ConfigField::one_of(std::initializer_list<std::string_view> choices) const {
    std::string expected;
    for (const std::string_view choice : choices) {
        expected += (expected.empty() ? "" : " or ") + ("\"" + std::string(choice) + "\"");
    }
    const auto* const text = std::get_if<std::string>(&value_.data);
    if (text == nullptr) {
        fail_type(expected);
    }
    const auto* const found = std::find(choices.begin(), choices.end(), *text);
    if (found == choices.end()) {
        fail("expected " + expected + ", got " + shown(*text));
    }
    return static_cast<std::size_t>(found - choices.begin());
}

std::vector<std::string> ConfigField::texts() const {
    std::vector<std::string> result;
    const auto add = [&](const ConfigField& field) {
        const auto* const text = std::get_if<std::string>(&field.value().data);
        if (text == nullptr) {
            field.fail_type("a string");
        }
        if (text->empty()) {
            field.fail("expected a text, got an empty string; remove it");
        }
        result.push_back(*text);
    };
    if (const auto* const array = std::get_if<ConfigArray>(&value_.data)) {
        for (const ConfigValue& inner : *array) {
            add(element(inner));
        }
    } else if (std::holds_alternative<std::string>(value_.data)) {
        add(*this);
    } else {
        fail_type("a string or an array of strings");
    }
    return result;
}

std::filesystem::path ConfigField::path() const {
    return resolve_path(source_.base_dir, line());
}

std::string ConfigField::file_text() const {
    const std::filesystem::path file = path();
    std::string problem;
    std::string content = read_file_text(file, problem);
    if (!problem.empty()) {
        fail(problem + "; name a readable file, relative to the program file");
    }
    if (!is_utf8(content)) {
        fail("the file " + file.string() + " is not UTF-8; convert it");
    }
    return content;
}

const ConfigTable& ConfigField::table() const {
    const auto* const table = std::get_if<ConfigTable>(&value_.data);
    if (table == nullptr) {
        fail_type("a table");
    }
    return *table;
}

std::vector<std::pair<std::string, std::string>> ConfigField::headers() const {
    std::vector<std::pair<std::string, std::string>> result;
    Headers checked;
    for (const ConfigMember& entry : table()) {
        const ConfigField field = member(entry);
        const bool framing = std::any_of(
            framing_headers.begin(),
            framing_headers.end(),
            [&](std::string_view name) { return equal_names(entry.key, name); }
        );
        if (framing) {
            field.fail("this header is set by the library; remove it");
        }
        if (checked.contains(entry.key)) {
            field.fail("this header is given twice (names compare without case); remove one");
        }
        try {
            checked.add(entry.key, field.text());
        } catch (const std::invalid_argument& problem) {
            field.fail(std::string(problem.what()) + "; correct the name or the value");
        }
        result.emplace_back(entry.key, field.text());
    }
    return result;
}

std::string ConfigField::json() const {
    static_cast<void>(table());
    std::string text;
    JsonWriter writer(text);
    write_json(*this, writer);
    return text;
}

ConfigField ConfigField::member(const ConfigMember& inner) const {
    return {source_, dotted_key(key_, inner.key), inner};
}

ConfigField ConfigField::element(const ConfigValue& inner) const {
    return {source_, key_, inner};
}

}  // namespace llmproc
