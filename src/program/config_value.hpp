/// @file
/// A TOML document as plain values that know their places.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llmproc {

struct ConfigPosition {
    std::uint32_t line = 0;    ///< From 1.
    std::uint32_t column = 0;  ///< From 1, in characters.
    bool operator==(const ConfigPosition&) const = default;
};

struct ConfigMember;
struct ConfigValue;
using ConfigArray = std::vector<ConfigValue>;
using ConfigTable = std::vector<ConfigMember>;

/// A date or a time.
struct ConfigDate {
    std::string day;  ///< "2026-11-21"; empty if it is more or less than a day.
};

struct ConfigValue {
    using Data =
        std::variant<std::string, std::int64_t, double, bool, ConfigDate, ConfigArray, ConfigTable>;
    Data data;
    ConfigPosition position;
};

struct ConfigMember {
    std::string key;
    ConfigPosition position;  ///< Of the key.
    ConfigValue value;
};

/// The type with its article, as error texts name it: "an integer".
std::string_view type_name(const ConfigValue& value) noexcept;

}  // namespace llmproc
