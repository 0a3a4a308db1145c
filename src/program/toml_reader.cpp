#include "program/toml_reader.hpp"

#include <llmproc/error.hpp>

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace llmproc {

namespace {

constexpr unsigned max_depth = 128;
constexpr unsigned max_key_parts = 32;

[[noreturn]] void fail(
    const std::string& name,
    const ConfigPosition& position,
    const std::string& problem
) {
    ConfigPlace place;
    place.file = name;
    place.line = position.line;
    place.column = position.column;
    throw ConfigError(std::move(place), problem);
}

/// Finds dotted keys of absurd length before toml++ does: it nests one table for each part and
/// recurses over them, so that a long enough key overflows the stack.
class KeyLengthCheck {
public:
    KeyLengthCheck(std::string_view text, const std::string& name) : text_(text), name_(name) {}

    void run() {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"' || c == '\'') {
                skip_string(c);
            } else if (c == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else {
                count(c);
                ++at_;
            }
        }
    }

private:
    void count(char c) {
        if (c == '.') {
            ++dots_;
        } else if (std::string_view("\n=,{}[]").find(c) != std::string_view::npos) {
            dots_ = 0;
        }
        if (dots_ >= max_key_parts) {
            const auto before = text_.substr(0, at_);
            ConfigPosition position;
            position.line =
                static_cast<std::uint32_t>(std::count(before.begin(), before.end(), '\n')) + 1;
            position.column = static_cast<std::uint32_t>(at_ - (before.rfind('\n') + 1)) + 1;
            fail(name_, position, "the dotted key has more than 32 parts; shorten it");
        }
    }

    void skip_string(char quote) {
        const std::string fence(3, quote);
        const bool fenced = text_.substr(at_, 3) == fence;
        at_ += fenced ? 3 : 1;
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '\\' && quote == '"') {
                ++at_;
            } else if (fenced ? text_.substr(at_, 3) == fence : c == quote || c == '\n') {
                break;
            }
        }
        at_ += fenced ? 3 : 1;
        // A fence may follow up to two quotes that belong to the text.
        while (fenced && at_ < text_.size() && text_[at_] == quote) {
            ++at_;
        }
    }

    std::string_view text_;
    const std::string& name_;
    std::size_t at_ = 0;
    unsigned dots_ = 0;
};

ConfigPosition position_of(const toml::source_region& source) {
    return ConfigPosition{source.begin.line, source.begin.column};
}

std::string day_text(const toml::date& date) {
    std::array<char, 16> text{};
    const int length = std::snprintf(
        text.data(),
        text.size(),
        "%04u-%02u-%02u",
        static_cast<unsigned>(date.year),
        static_cast<unsigned>(date.month),
        static_cast<unsigned>(date.day)
    );
    return {text.data(), static_cast<std::size_t>(length)};
}

class Converter {
public:
    explicit Converter(const std::string& name) : name_(name) {}

    ConfigTable table(const toml::table& from, unsigned depth) const {
        ConfigTable result;
        result.reserve(from.size());
        for (const auto& [key, node] : from) {
            ConfigMember& member = result.emplace_back();
            member.key = key.str();
            member.position = position_of(key.source());
            member.value = value(node, depth);
        }
        // toml++ sorts by name; the first problem to report is the first of the text.
        std::stable_sort(result.begin(), result.end(), [](const auto& left, const auto& right) {
            return std::pair(left.position.line, left.position.column) <
                   std::pair(right.position.line, right.position.column);
        });
        return result;
    }

private:
    ConfigValue value(const toml::node& node, unsigned depth) const {
        ConfigValue result;
        result.position = position_of(node.source());
        if (depth >= max_depth) {
            fail(name_, result.position, "values are nested more than 128 deep; flatten them");
        }
        if (const auto* const table_node = node.as_table()) {
            result.data = table(*table_node, depth + 1);
        } else if (const auto* const array_node = node.as_array()) {
            result.data = array(*array_node, depth + 1);
        } else if (const auto* const text = node.as_string()) {
            result.data = text->get();
        } else if (const auto* const integer = node.as_integer()) {
            result.data = integer->get();
        } else if (const auto* const number = node.as_floating_point()) {
            result.data = number->get();
        } else if (const auto* const boolean = node.as_boolean()) {
            result.data = boolean->get();
        } else {
            const auto* const date = node.as_date();
            result.data = ConfigDate{date != nullptr ? day_text(date->get()) : std::string()};
        }
        return result;
    }

    ConfigArray array(const toml::array& from, unsigned depth) const {
        ConfigArray result;
        result.reserve(from.size());
        for (const toml::node& element : from) {
            result.push_back(value(element, depth));
        }
        return result;
    }

    const std::string& name_;
};

}  // namespace

std::string_view type_name(const ConfigValue& value) noexcept {
    switch (value.data.index()) {
        case 0: return "a string";
        case 1: return "an integer";
        case 2: return "a float";
        case 3: return "a boolean";
        case 4: return "a date or time";
        case 5: return "an array";
        default: return "a table";
    }
}

ConfigTable read_toml(std::string_view text, const std::string& name) {
    KeyLengthCheck(text, name).run();
    try {
        const toml::table document = toml::parse(text);
        return Converter(name).table(document, 0);
    } catch (const toml::parse_error& error) {
        fail(
            name,
            position_of(error.source()),
            "invalid TOML: " + std::string(error.description()) + "; correct the text here"
        );
    }
}

}  // namespace llmproc
