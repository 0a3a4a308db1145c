#include "program/api_key.hpp"

#include <llmproc/error.hpp>

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <system_error>

namespace llmproc {
namespace {

VariableLookup variables(std::map<std::string, std::string> known) {
    return [known](const std::string& name) -> std::optional<std::string> {
        const auto entry = known.find(name);
        return entry == known.end() ? std::nullopt : std::optional(entry->second);
    };
}

KeySource from_variable(const std::string& name, bool needed = true) {
    KeySource source;
    source.env = name;
    source.needed = needed;
    source.place = ConfigPlace{"p.toml", 3, 1, "model.api_key_env"};
    return source;
}

class KeyFile {
public:
    explicit KeyFile(const std::string& text)
        : path_(
              std::filesystem::temp_directory_path() / ("llmproc-key-" + std::to_string(::getpid()))
          ) {
        std::ofstream(path_, std::ios::binary) << text;
    }
    KeyFile(const KeyFile&) = delete;
    KeyFile& operator=(const KeyFile&) = delete;
    ~KeyFile() {
        std::error_code ignored;
        std::filesystem::remove(path_, ignored);
    }
    KeySource source() const {
        KeySource result;
        result.file = path_.string();
        result.needed = true;
        result.place = ConfigPlace{"p.toml", 4, 16, "model.api_key_file"};
        return result;
    }

private:
    std::filesystem::path path_;
};

Errc code_of(const KeySource& source, const VariableLookup& lookup, std::string& what) {
    try {
        resolve_key(source, lookup);
    } catch (const ConfigError& error) {
        what = error.what();
        return error.errc();
    }
    return Errc::internal;
}

TEST(ApiKeyTest, ReadsAndTrimsTheVariable) {
    const auto lookup = variables({{"KEY", " abc\n"}});
    EXPECT_EQ(resolve_key(from_variable("KEY"), lookup).reveal(), "abc");
}

TEST(ApiKeyTest, NamesTheMissingVariableAndTheRemedy) {
    for (const char* const value : {"", " \n"}) {
        std::string what;
        const auto lookup = variables({{"OTHER", "x"}, {"KEY", value}});
        EXPECT_EQ(code_of(from_variable("KEY"), lookup, what), Errc::missing_api_key);
        EXPECT_EQ(what.find("p.toml:3:1: model.api_key_env: "), 0U) << what;
        EXPECT_NE(what.find("environment variable KEY is not set"), std::string::npos) << what;
        EXPECT_NE(what.find("model.api_key_file"), std::string::npos) << what;
    }
}

TEST(ApiKeyTest, NeedsNoKeyWhereNoneIsNamed) {
    EXPECT_TRUE(resolve_key(from_variable("KEY", false), variables({})).empty());
    EXPECT_TRUE(resolve_key(KeySource(), variables({{"OPENAI_API_KEY", "x"}})).empty());
}

TEST(ApiKeyTest, ReadsTheFile) {
    const KeyFile file("\n  key-in-file \r\n");
    EXPECT_EQ(resolve_key(file.source(), variables({})).reveal(), "key-in-file");
}

TEST(ApiKeyTest, RefusesFilesWithoutAKey) {
    std::string what;
    const KeyFile empty(" \n");
    EXPECT_EQ(code_of(empty.source(), variables({}), what), Errc::missing_api_key);
    KeySource absent = empty.source();
    absent.file = "/no/such/key";
    EXPECT_EQ(code_of(absent, variables({}), what), Errc::invalid_config);
    EXPECT_NE(what.find("cannot read /no/such/key: No such file"), std::string::npos) << what;
    EXPECT_EQ(what.find("p.toml:4:16: model.api_key_file: "), 0U) << what;
}

TEST(ApiKeyTest, RefusesWhatCannotStandInAHeaderWithoutShowingIt) {
    for (const char* const value :
         {"sesame\r\nX: y", "sesame sesame", "sesame\x01", "sesame\xc3\xa9"}) {
        std::string what;
        const auto lookup = variables({{"KEY", value}});
        EXPECT_EQ(code_of(from_variable("KEY"), lookup, what), Errc::invalid_config);
        EXPECT_EQ(what.find("sesame"), std::string::npos) << what;
        const KeyFile file(value);
        EXPECT_EQ(code_of(file.source(), variables({}), what), Errc::invalid_config);
        EXPECT_EQ(what.find("sesame"), std::string::npos) << what;
    }
}

TEST(ApiKeyTest, TakesTheLiteralKey) {
    KeySource source;
    source.inline_key = Secret("literal");
    EXPECT_EQ(resolve_key(source, variables({})).reveal(), "literal");
}

}  // namespace
}  // namespace llmproc
