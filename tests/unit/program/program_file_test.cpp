#include "program/program_file.hpp"

#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::milliseconds;

/// A folder of its own that goes away with the test.
class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "llmproc-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::runtime_error("no temporary folder");
        }
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path write(const std::string& name, const std::string& text) const {
        std::ofstream(path_ / name, std::ios::binary) << text;
        return path_ / name;
    }

private:
    std::filesystem::path path_;
};

ProgramSettings read(const std::string& rest) {
    return read_program("[model]\nname = \"m\"\nprovider = \"ollama\"\n" + rest, "p.toml", "/base");
}

constexpr std::string_view full_program = R"(
[model]
name = "big-model"
provider = "groq"
base_url = "https://Proxy.Example.com:8443/llm/v1/"
api_key_env = "MY_KEY"
allow_inline_key = false

[prompt]
system = """
Be brief.
"""
user = "Hello"

[parameters]
temperature = 1
top_p = 0.5
top_k = 40
max_tokens = 1000
stop = ["END", "STOP"]
seed = -7
reasoning_effort = "low"
extra_headers = { X-Title = "a: b", x-other = "" }

[parameters.response_schema]
type = "object"
additionalProperties = false
required = ["b", "a"]
[parameters.response_schema.properties]
b.type = "number"
a.type = "string"

[parameters.extra_body]
whole = 9223372036854775807
fraction = 0.1
nested = [{ z = 1, a = [] }, "\u00e9\"", true]

[connection]
timeout = 30
connect_timeout = 2.5
idle_timeout = 0.001
max_connections_per_host = 7
allow_insecure_http = false
ca_file = "certs/../ca.pem"
max_header_bytes = 1024
max_body_bytes = 2048
resend_on_stale = false
)";

TEST(ProgramFileTest, ReadsEveryKey) {
    const ProgramSettings program = read_program(full_program, "full.toml", "/etc/app");
    EXPECT_EQ(program.model, "big-model");
    ASSERT_NE(program.profile, nullptr);
    EXPECT_EQ(program.profile->name, "groq");
    EXPECT_EQ(program.base_url, "https://proxy.example.com:8443/llm/v1");
    EXPECT_EQ(program.key.env, "MY_KEY");
    EXPECT_TRUE(program.key.needed);
    EXPECT_EQ(program.key.place.line, 6U);
    EXPECT_EQ(program.key.place.key, "model.api_key_env");
    EXPECT_EQ(program.system_prompt, "Be brief.\n");
    EXPECT_EQ(program.user_prompt, "Hello");
    EXPECT_EQ(program.timeouts.limit(Stage::total), milliseconds(30'000));
}

TEST(ProgramFileTest, ReadsParameters) {
    const SamplingParams params = read_program(full_program, "full.toml", "/etc/app").params;
    EXPECT_EQ(params.temperature, 1.0);
    EXPECT_EQ(params.top_p, 0.5);
    EXPECT_EQ(params.top_k, 40);
    EXPECT_EQ(params.max_tokens, 1000);
    EXPECT_EQ(params.stop, (std::vector<std::string>{"END", "STOP"}));
    EXPECT_EQ(params.seed, -7);
    EXPECT_EQ(params.reasoning_effort, "low");
    const std::vector<std::pair<std::string, std::string>> headers{
        {"X-Title", "a: b"},
        {"x-other", ""}};
    EXPECT_EQ(params.extra_headers, headers);
}

TEST(ProgramFileTest, KeepsTheOrderOfTheFileInJson) {
    const SamplingParams params = read_program(full_program, "full.toml", "/etc/app").params;
    ASSERT_TRUE(params.response_schema);
    EXPECT_EQ(
        params.response_schema->text(),
        R"({"type":"object","additionalProperties":false,"required":["b","a"],)"
        R"("properties":{"b":{"type":"number"},"a":{"type":"string"}}})"
    );
    ASSERT_TRUE(params.extra_body);
    EXPECT_EQ(
        params.extra_body->text(),
        "{\"whole\":9223372036854775807,\"fraction\":0.1,"
        "\"nested\":[{\"z\":1,\"a\":[]},\"\u00e9\\\"\",true]}"
    );
}

TEST(ProgramFileTest, ReadsConnection) {
    const ProgramSettings program = read_program(full_program, "full.toml", "/etc/app");
    const net::NetSettings& connection = program.connection;
    EXPECT_EQ(program.timeouts.limit(Stage::connect), milliseconds(2500));
    EXPECT_EQ(connection.idle_timeout, milliseconds(1));
    EXPECT_EQ(connection.max_connections_per_host, 7U);
    EXPECT_FALSE(connection.allow_insecure_http);
    EXPECT_EQ(connection.tls.ca_file, "/etc/app/ca.pem");
    EXPECT_EQ(connection.max_header_bytes, 1024U);
    EXPECT_EQ(connection.max_body_bytes, 2048U);
    EXPECT_FALSE(connection.resend_on_stale);
    ASSERT_EQ(program.start_places.size(), 1U);
    const ConfigPlace& place = program.start_places.at("connection.ca_file");
    EXPECT_EQ(place.file, "full.toml");
    EXPECT_EQ(place.line, 44U);
    EXPECT_EQ(place.key, "connection.ca_file");
}

TEST(ProgramFileTest, EveryProviderNeedsOnlyNameProviderAndItsPlace) {
    for (const ProviderProfile& profile : provider_profiles()) {
        SCOPED_TRACE(profile.name);
        std::string text = "[model]\nname = \"m\"\nprovider = \"" + profile.name + "\"\n";
        std::string base_url = profile.base_url;
        if (base_url.empty()) {
            base_url = "https://example.com";
            text += "base_url = \"https://example.com\"\n";
        }
        if (profile.hosting == Hosting::vertex) {
            base_url += "/v1/projects/p/locations/r";
            text += "project_id = \"p\"\nregion = \"r\"\n";
        }
        const ProgramSettings program = read_program(text, "p.toml", "/");
        EXPECT_EQ(program.profile, find_profile(profile.name));
        EXPECT_EQ(program.base_url, base_url);
        EXPECT_EQ(program.key.env, profile.api_key_env);
        EXPECT_EQ(program.key.needed, !profile.api_key_env.empty());
        EXPECT_EQ(program.key.place.line, 3U);
    }
}

TEST(ProgramFileTest, SetsNoParameterByItself) {
    const ProgramSettings program = read("");
    EXPECT_FALSE(program.params.temperature);
    EXPECT_FALSE(program.params.max_tokens);
    EXPECT_FALSE(program.params.extra_body);
    EXPECT_TRUE(program.params.stop.empty());
    EXPECT_EQ(program.timeouts.limit(Stage::total), std::nullopt);
    EXPECT_EQ(program.connection.max_connections_per_host, 100U);
}

TEST(ProgramFileTest, AcceptsTheOtherNames) {
    const ProgramSettings program = read(
        "[prompt]\nsystem_prompt = \"s\"\nuser_prompt = \"u\"\n"
        "[parameters]\nstop_sequences = \"x\"\nmax_completion_tokens = 5\n"
    );
    EXPECT_EQ(program.system_prompt, "s");
    EXPECT_EQ(program.user_prompt, "u");
    EXPECT_EQ(program.params.stop, std::vector<std::string>{"x"});
    EXPECT_EQ(program.params.max_tokens, 5);
}

TEST(ProgramFileTest, ReadsDottedKeysInlineTablesAndByteOrderMark) {
    const ProgramSettings program = read_program(
        "\xef\xbb\xbfmodel.name = 'm'\r\nmodel.provider = 'vllm'\r\nprompt = { user = 'hi' }\r\n",
        "p.toml",
        "/"
    );
    EXPECT_EQ(program.model, "m");
    EXPECT_EQ(program.user_prompt, "hi");
}

TEST(ProgramFileTest, AllowsPlainHttpWhereItIsAsked) {
    EXPECT_EQ(read("base_url = \"http://127.0.0.1:8080\"\n").base_url, "http://127.0.0.1:8080");
    EXPECT_EQ(read("base_url = \"http://[::1]:8080/\"\n").base_url, "http://[::1]:8080");
    EXPECT_EQ(
        read("base_url = \"http://host/v1?v=1\"\n[connection]\nallow_insecure_http = true\n")
            .base_url,
        "http://host/v1?v=1"
    );
    EXPECT_EQ(read("base_url = \"\"\n").base_url, "http://localhost:11434/v1");
}

TEST(ProgramFileTest, KeySourcesAreExplicit) {
    const ProgramSettings none =
        read_program("[model]\nname = 'm'\nprovider = 'openai'\napi_key_env = ''\n", "p.toml", "/");
    EXPECT_TRUE(none.key.env.empty());
    EXPECT_FALSE(none.key.needed);

    const ProgramSettings file = read("api_key_file = \"secret/key\"\n");
    EXPECT_EQ(file.key.file, "/base/secret/key");
    EXPECT_TRUE(file.key.env.empty());
    EXPECT_EQ(file.key.place.key, "model.api_key_file");

    const ProgramSettings literal = read("api_key = \"sesame\"\nallow_inline_key = true\n");
    EXPECT_EQ(literal.key.inline_key.reveal(), "sesame");

    const ProgramSettings header = read(
        "allow_inline_key = true\n[parameters.extra_headers]\napi-key = \"x\"\n"
    );
    EXPECT_EQ(header.params.extra_headers.size(), 1U);
}

TEST(ProgramFileTest, NeverShowsAKey) {
    for (const std::string rest : {
             "api_key = \"gsk_sesame\"\n",
             "api_key_env = \"gsk_sesame\"\n",
             "api_key_env = \"sk-sesame\"\n",
             "base_url = \"https://user:sesame@host/\"\n",
             "api_key = sesame\n",
             "[connection]\nproxy = \"http://user:sesame@host:1\"\n",
             "[connection]\nproxy = \"http://user:sesame\"\n",
             "[connection]\nproxy = \"http://user:se/sesame@host:1\"\n",
             "allow_inline_key = true\n[connection]\nproxy = \"http://u:sesame@h:x\"\n",
             "allow_inline_key = true\n[connection]\nproxy = \"http://u:%sesame@h:1\"\n",
             "[connection]\nclient_key_passphrase_env = \"open sesame\"\n",
             "[parameters.extra_headers]\nX-Api-Key = \"sesame\"\n",
             "[parameters.extra_headers]\nX-Any = \"sesame\\n\"\n",
         }) {
        SCOPED_TRACE(rest);
        try {
            read(rest);
            FAIL() << "accepted";
        } catch (const ConfigError& error) {
            EXPECT_EQ(std::string(error.what()).find("sesame"), std::string::npos) << error.what();
        }
    }
}

TEST(ProgramFileTest, ResolvesPathsAgainstTheFile) {
    const Folder folder;
    folder.write("prompt.txt", "From a file: \xc3\xa9\n");
    folder.write("schema.json", " { \"b\" : 1.50, \"a\" : 2 }\n");
    const auto path = folder.write(
        "p.toml",
        "[model]\nname = 'm'\nprovider = 'ollama'\n[prompt]\nsystem_prompt_file = 'prompt.txt'\n"
        "[parameters]\nresponse_schema = './schema.json'\n[connection]\nca_file = '/abs/ca.pem'\n"
    );
    const ProgramSettings program = load_program(path);
    EXPECT_EQ(program.system_prompt, "From a file: \xc3\xa9\n");
    ASSERT_TRUE(program.params.response_schema);
    EXPECT_NE(program.params.response_schema->text().find("1.50"), std::string::npos);
    EXPECT_EQ(program.connection.tls.ca_file, "/abs/ca.pem");
}

TEST(ProgramFileTest, RefusesFilesThatAreNotWhatTheyShouldBe) {
    const Folder folder;
    folder.write("latin1.txt", "\xe9");
    folder.write("array.json", "[1]");
    const auto problem = [&](const std::string& rest) {
        try {
            read_program("[model]\nname='m'\nprovider='ollama'\n" + rest, "p.toml", folder.path());
        } catch (const ConfigError& error) {
            return std::string(error.what());
        }
        return std::string("accepted");
    };
    EXPECT_NE(problem("[prompt]\nsystem_file='latin1.txt'").find("not UTF-8"), std::string::npos);
    EXPECT_NE(
        problem("[parameters]\nresponse_schema='array.json'").find("not a JSON object"),
        std::string::npos
    );
    EXPECT_NE(
        problem("[prompt]\nsystem_file='~/x'").find("'~' is not expanded"),
        std::string::npos
    );
}

TEST(ProgramFileTest, NamesAMissingProgramFileAsGiven) {
    try {
        load_program("no/such/program.toml");
        FAIL() << "accepted";
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.file(), "no/such/program.toml");
        EXPECT_EQ(error.line(), 0U);
        EXPECT_NE(
            std::string(error.what()).find("cannot read no/such/program.toml: No such file"),
            std::string::npos
        ) << error.what();
    }
}

TEST(ProgramFileTest, RefusesAFolderAsProgram) {
    const Folder folder;
    EXPECT_THROW(load_program(folder.path()), ConfigError);
}

}  // namespace
}  // namespace llmproc
