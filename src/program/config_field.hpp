/// @file
/// One key of a program file on its way to a setting: checks with errors that name the place.
#pragma once

#include <llmproc/error.hpp>
#include "program/config_value.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {

/// The file that a program is read from.
struct ConfigSource {
    std::string name;                ///< As errors show it.
    std::filesystem::path base_dir;  ///< What relative paths are relative to.

    ConfigPlace place(const ConfigPosition& position, const std::string& key) const;
};

/// `text` as it may be shown in an error: control characters escaped, at most 60 bytes.
std::string shown(std::string_view text);

/// A key with its value.
/// Lifetime: source and value must outlive it.
/// Throws: every reader ConfigError at the place of the value: expected type, range, remedy.
class ConfigField {
public:
    ConfigField(const ConfigSource& source, std::string key, const ConfigMember& member);
    /// An element of an array: its own place is that of its key too.
    ConfigField(const ConfigSource& source, std::string key, const ConfigValue& element);

    const std::string& key() const noexcept { return key_; }
    const ConfigValue& value() const noexcept { return value_; }
    /// Of the value.
    ConfigPlace place() const { return source_.place(value_.position, key_); }
    /// Of the key.
    ConfigPlace key_place() const { return source_.place(key_position_, key_); }
    [[noreturn]] void fail(const std::string& problem) const;
    /// "expected ..., got a ..."
    [[noreturn]] void fail_type(std::string_view expected) const;

    /// Any string in UTF-8.
    const std::string& text() const;
    /// A string with more than white space, without control characters.
    const std::string& line() const;
    bool boolean() const;
    std::int64_t integer(std::int64_t low, std::int64_t high) const;
    /// An integer or a float.
    double number(double low, double high) const;
    /// Seconds, an integer or a float.
    std::chrono::milliseconds seconds(double low = 0.001, double high = 86'400) const;
    /// The index of the string among `choices`, of which there are two or more.
    std::size_t one_of(std::initializer_list<std::string_view> choices) const;
    /// A string or an array of strings, none empty.
    std::vector<std::string> texts() const;
    /// A path, made absolute against the file's directory.
    std::filesystem::path path() const;
    /// The content of the file named by the value; must be UTF-8.
    std::string file_text() const;
    const ConfigTable& table() const;
    /// A table of strings that can be header fields of a request.
    std::vector<std::pair<std::string, std::string>> headers() const;
    /// A table as JSON text, in the order of the file.
    std::string json() const;
    /// The field of one member of this table.
    ConfigField member(const ConfigMember& inner) const;
    /// The field of one element of this array; it goes by the array's key.
    ConfigField element(const ConfigValue& inner) const;

private:
    const ConfigSource& source_;
    std::string key_;
    ConfigPosition key_position_;
    const ConfigValue& value_;
};

/// `parent.key`; a key that TOML would want in quotes is quoted.
std::string dotted_key(const std::string& parent, std::string_view key);

}  // namespace llmproc
