#include "program/api_key.hpp"

#include <llmproc/error.hpp>
#include "program/file_text.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace llmproc {

namespace {

// In place: a copy of the key would stay behind in memory.
void trim(std::string& text) {
    constexpr std::string_view space = " \t\r\n";
    text.erase(text.find_last_not_of(space) + 1);
    text.erase(0, text.find_first_not_of(space));
}

void check(const Secret& key, const KeySource& source, const std::string& origin) {
    const std::string_view text = key.reveal();
    const bool clean = std::all_of(text.begin(), text.end(), [](char c) {
        return c > 0x20 && c < 0x7f;
    });
    if (!clean) {
        throw ConfigError(
            source.place,
            "the key in " + origin +
                " has a space, a control character or a character outside ASCII; store the key alone"
        );
    }
}

Secret key_from_file(const KeySource& source) {
    std::string problem;
    std::string text = read_file_text(source.file, problem);
    if (!problem.empty()) {
        throw ConfigError(
            source.place,
            problem + "; name a readable file that holds the key and nothing else"
        );
    }
    trim(text);
    Secret key(std::move(text));
    if (key.empty()) {
        throw ConfigError(
            Errc::missing_api_key,
            source.place,
            "the key file " + source.file + " is empty; write the key into it"
        );
    }
    check(key, source, "the file " + source.file);
    return key;
}

Secret key_from_variable(const KeySource& source, const VariableLookup& variable) {
    std::optional<std::string> value = variable(source.env);
    if (value) {
        trim(*value);
    }
    if (!value || value->empty()) {
        if (!source.needed) {
            return {};
        }
        throw ConfigError(
            Errc::missing_api_key,
            source.place,
            "the environment variable " + source.env + " is not set; set it to the key, or name " +
                "another variable with " + source.table + ".api_key_env or a file with " +
                source.table + ".api_key_file (" + source.table +
                ".api_key_env = \"\" if the server needs no key)"
        );
    }
    Secret key(std::move(*value));
    check(key, source, "the environment variable " + source.env);
    return key;
}

}  // namespace

Secret resolve_key(const KeySource& source, const VariableLookup& variable) {
    if (!source.file.empty()) {
        return key_from_file(source);
    }
    if (!source.env.empty()) {
        return key_from_variable(source, variable);
    }
    check(source.inline_key, source, source.table + ".api_key");
    return source.inline_key;
}

}  // namespace llmproc
