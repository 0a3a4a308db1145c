#include <llmproc/error.hpp>
#include "program/program_file.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>

namespace llmproc {
namespace {

constexpr std::string_view seed_text = R"([model]
name = "m"
provider = "groq"
base_url = "https://h:8443/v1"
api_key_env = "K"
[prompt]
system = """a
b"""
user = 'u'
[parameters]
temperature = 0.5
stop = ["a", 'b']
extra_headers = { X-A = "b" }
response_schema.properties.a.type = "string"
[parameters.extra_body]
a = [1, 2.5, {b = true}]
[connection]
timeout = 1e1
ca_file = "ca.pem"
min_tls = "1.3"
proxy = "http://p:1"
no_proxy = ["a", "10.0.0.0/8"]
[retry]
max_delay = 1.5
jitter = "sdk"
[rate_limit]
max_in_flight = 3
[limits.run]
max_requests = 3
max_tool_calls = 4
[limits]
process = { max_tokens = 5 }
)";

class Mutator {
public:
    explicit Mutator(unsigned seed) : random_(seed) {}

    std::string mutate(std::string text) {
        const std::size_t count = 1 + below(6);
        for (std::size_t i = 0; i < count; ++i) {
            change(text);
        }
        return text;
    }

private:
    std::size_t below(std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
    }

    void change(std::string& text) {
        constexpr std::array<std::string_view, 16> pieces{
            "[",
            "]",
            "{",
            "}",
            "=",
            ".",
            "\"",
            "'''",
            "\n",
            "#",
            "nan",
            "-1",
            "1e400",
            "[[",
            "\xff",
            "a.b"};
        const std::size_t at = below(text.size() + 1);
        switch (below(4)) {
            case 0: text.insert(at, pieces[below(pieces.size())]); break;
            case 1: text.erase(at, below(8)); break;
            case 2: text.insert(at, 1, static_cast<char>(below(256))); break;
            default: text.insert(at, text, below(text.size() + 1), below(40)); break;
        }
    }

    std::mt19937 random_;
};

TEST(ProgramFuzzTest, AnyTextIsReadOrRefusedWithAPlace) {
    const std::filesystem::path nowhere = "/no/such/folder";
    int read = 0;
    int refused = 0;
    for (unsigned seed = 0; seed < 5000; ++seed) {
        const std::string text = Mutator(seed).mutate(std::string(seed_text));
        try {
            read_program(text, "fuzz.toml", nowhere);
            ++read;
        } catch (const ConfigError& error) {
            ASSERT_EQ(error.file(), "fuzz.toml") << "seed " << seed;
            ASSERT_GT(error.line(), 0U) << "seed " << seed << ": " << error.what();
            ASSERT_GT(error.column(), 0U) << "seed " << seed << ": " << error.what();
            ++refused;
        }
    }
    EXPECT_GT(read, 0);
    EXPECT_GT(refused, 0);
}

TEST(ProgramFuzzTest, EveryPrefixIsReadOrRefused) {
    for (std::size_t length = 0; length <= seed_text.size(); ++length) {
        try {
            read_program(seed_text.substr(0, length), "fuzz.toml", "/no/such/folder");
        } catch (const ConfigError& error) {
            ASSERT_GT(error.line(), 0U) << "length " << length;
        }
    }
}

}  // namespace
}  // namespace llmproc
