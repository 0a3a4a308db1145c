// Every row of the table of providers: what a process that names it really sends, and where to.
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/provider.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include <llmproc/version.hpp>
#include "program/hosting_check.hpp"
#include "program/program_file.hpp"
#include "providers/cassette.hpp"
#include "wire/url.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

using testing::RecordedRequest;
using testing::Reply;
using testing::ScriptedServer;
using testing_cassettes::read_cassette;

constexpr std::string_view model = "a-model";
constexpr std::string_view key = "k-of-this-test";
constexpr std::array<std::string_view, 4> key_headers{
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key"};

/// What one row has to make of a program that says no more than it must.
struct Expected {
    std::string key_variable = {};  ///< Empty = the row needs no key.
    std::string key_header = {};
    std::string host = {};            ///< With nothing but the row's own address,
    std::string target = {};          ///< and there.
    std::string codec = {};           ///< There.
    std::string lines = {};           ///< What the row needs in [model].
    std::string address = {};         ///< model.base_url, where the row has none of its own.
    bool model_in_body = true;        ///< Else it is in the target.
    std::string version_header = {};  ///< anthropic-version.
    std::string elsewhere = {};       ///< The target at another address, where it differs.
};

const std::string cloud_lines = "project_id = \"p-1\"\nregion = \"europe-west1\"\n";
const std::string cloud_path = "/v1/projects/p-1/locations/europe-west1/publishers/";
const std::string cloud_host = "europe-west1-aiplatform.googleapis.com";
const std::string chat_target = "/v1/chat/completions";

Expected chat(
    const std::string& variable,
    const std::string& host,
    const std::string& target = chat_target
) {
    return {variable, variable.empty() ? "" : "authorization", host, target, "openai_chat"};
}

std::map<std::string, Expected> make_expectations() {
    std::map<std::string, Expected> all{
        {"deepseek", chat("DEEPSEEK_API_KEY", "api.deepseek.com", "/chat/completions")},
        {"groq", chat("GROQ_API_KEY", "api.groq.com", "/openai/v1/chat/completions")},
        {"llamacpp", chat("", "localhost:8080")},
        {"lmstudio", chat("", "localhost:1234")},
        {"mistral", chat("MISTRAL_API_KEY", "api.mistral.ai")},
        {"ollama", chat("", "localhost:11434")},
        {"openai_chat", chat("OPENAI_API_KEY", "api.openai.com")},
        {"openrouter", chat("OPENROUTER_API_KEY", "openrouter.ai", "/api/v1/chat/completions")},
        {"together", chat("TOGETHER_API_KEY", "api.together.xyz")},
        {"vllm", chat("", "localhost:8000")},
        {"xai", chat("XAI_API_KEY", "api.x.ai")},
    };
    Expected& compatible = all["openai_compatible"] =
        chat("", "any.example", "/p/chat/completions");
    compatible.address = "https://any.example/p";
    Expected responses = chat("OPENAI_API_KEY", "api.openai.com", "/v1/responses");
    responses.codec = "openai_responses";
    all["openai_responses"] = responses;
    responses.elsewhere = chat_target;
    all["openai"] = responses;

    Expected azure = chat("AZURE_OPENAI_API_KEY", "res.openai.azure.com");
    azure.key_header = "api-key";
    azure.target = "/openai/v1/chat/completions";
    azure.address = "https://res.openai.azure.com";
    all["azure_openai"] = azure;
    azure.target = "/openai/v1/responses";
    azure.codec = "openai_responses";
    all["azure_openai_responses"] = azure;

    Expected anthropic{"ANTHROPIC_API_KEY", "x-api-key", "api.anthropic.com", "/v1/messages"};
    anthropic.codec = "anthropic";
    anthropic.version_header = "2026-10-21";
    all["anthropic"] = anthropic;
    Expected gemini{"GEMINI_API_KEY", "x-goog-api-key", "generativelanguage.googleapis.com"};
    gemini.target = "/v1beta/models/a-model:generateContent";
    gemini.codec = "gemini";
    gemini.model_in_body = false;
    all["gemini"] = gemini;

    Expected cloud{"GOOGLE_OAUTH_ACCESS_TOKEN", "authorization", cloud_host};
    cloud.lines = cloud_lines;
    cloud.model_in_body = false;
    cloud.target = cloud_path + "anthropic/models/a-model:rawPredict";
    cloud.codec = "anthropic";
    all["anthropic_vertex"] = cloud;
    cloud.target = cloud_path + "google/models/a-model:generateContent";
    cloud.codec = "gemini";
    all["gemini_vertex"] = cloud;
    return all;
}

const Expected* expected_of(const std::string& name) {
    static const std::map<std::string, Expected> all = make_expectations();
    const auto row = all.find(name);
    return row == all.end() ? nullptr : &row->second;
}

std::vector<std::string> row_names() {
    std::vector<std::string> names;
    for (const ProviderProfile& row : provider_profiles()) {
        names.push_back(row.name);
    }
    return names;
}

std::string program_of(const std::string& name, const Expected& row, const std::string& address) {
    std::string text = "[model]\nname = \"" + std::string(model) + "\"\nprovider = \"" + name +
                       "\"\n" + row.lines;
    return address.empty() ? text : text + "base_url = \"" + address + "\"\n";
}

/// The answer that the protocol of `target` has.
Reply answer_to(const RecordedRequest& request) {
    const auto asks = [&](std::string_view word) {
        return request.target.find(word) != std::string::npos;
    };
    if (asks("/responses")) {
        return Reply::json(read_cassette("openai_responses", "openai-responses-response.json"));
    }
    if (asks("messages") || asks("rawPredict")) {
        return Reply::json(read_cassette("anthropic", "anthropic-response.json"));
    }
    if (asks("generateContent")) {
        return Reply::json(read_cassette("gemini", "gemini-response.json"));
    }
    return testing::openai_chat_reply("hi there");
}

/// A variable of the environment for the time of a test; no thread reads the environment then.
class Variable {
public:
    explicit Variable(std::string name) : name_(std::move(name)) {
        if (!name_.empty()) {
            ::setenv(name_.c_str(), std::string(key).c_str(), 1);
        }
    }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() {
        if (!name_.empty()) {
            ::unsetenv(name_.c_str());
        }
    }

private:
    std::string name_;
};

void expect_key(const Headers& headers, const Expected& row) {
    for (const std::string_view name : key_headers) {
        EXPECT_EQ(headers.get_all(name).size(), name == row.key_header ? 1U : 0U) << name;
    }
    if (!row.key_header.empty()) {
        const std::string scheme = row.key_header == "authorization" ? "Bearer " : "";
        EXPECT_EQ(headers.get(row.key_header), scheme + std::string(key));
    }
}

void expect_common(const Headers& headers, const std::string& body, const Expected& row) {
    EXPECT_EQ(headers.get("content-type"), "application/json");
    EXPECT_EQ(headers.get("accept"), "application/json");
    EXPECT_EQ(headers.get("user-agent"), "llmproc/" LLMPROC_VERSION);
    EXPECT_EQ(headers.contains("anthropic-version"), !row.version_header.empty());
    EXPECT_EQ(headers.get("anthropic-version").value_or(""), row.version_header);
    const Json json = parse_json(body);
    EXPECT_EQ(json.contains("model"), row.model_in_body);
    EXPECT_EQ(json.value("model", std::string(model)), model);
    const bool vertex_claude = row.codec == "anthropic" && !row.model_in_body;
    EXPECT_EQ(json.value("anthropic_version", ""), vertex_claude ? "vertex-2023-10-16" : "");
}

class ProfileRequestTest : public ::testing::TestWithParam<std::string> {};

TEST_P(ProfileRequestTest, AProcessSendsKeyHeadersAndModelWhereTheProviderWantsThem) {
    const Expected* const row = expected_of(GetParam());
    ASSERT_NE(row, nullptr) << "a new row of the table needs its expectation here";
    const Variable variable(row->key_variable);
    ScriptedServer server(testing::ServerOptions().https(false));
    server.handle(answer_to);
    // The path of the row's own address, on this machine.
    const ProgramSettings own =
        read_program(program_of(GetParam(), *row, row->address), "p.toml", "/");
    std::string path = wire::Url::parse(own.base_url).path();
    path.erase(std::min(path.find("/v1/projects/"), path.size()));
    const std::string text = program_of(GetParam(), *row, server.url() + path);
    SyncLLMProcess process = LLMProgram::from_toml_string(text).start_sync();
    EXPECT_FALSE(process.run("Hello").text().empty());

    const std::vector<RecordedRequest> requests = server.requests();
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_EQ(requests[0].method, "POST");
    EXPECT_EQ(requests[0].target, row->elsewhere.empty() ? row->target : row->elsewhere);
    EXPECT_EQ("http://" + requests[0].header("host"), server.url());
    Headers headers;
    for (const auto& [name, value] : requests[0].headers) {
        headers.add(name, value);
    }
    expect_key(headers, *row);
    expect_common(headers, requests[0].body, *row);
}

TEST_P(ProfileRequestTest, TheRowsOwnAddressIsTheProviders) {
    const Expected* const row = expected_of(GetParam());
    ASSERT_NE(row, nullptr) << "a new row of the table needs its expectation here";
    const ProgramSettings settings =
        read_program(program_of(GetParam(), *row, row->address), "p.toml", "/");
    const wire::Url url = wire::Url::parse(settings.base_url);
    EXPECT_EQ(url.host_header(), row->host);
    EXPECT_EQ(url.is_https(), !url.is_loopback());
    EXPECT_EQ(settings.key.env, row->key_variable);
    EXPECT_EQ(settings.key.needed, !row->key_variable.empty());
    EXPECT_EQ(settings.codec, row->codec);
    ASSERT_NE(find_codec(settings.codec), nullptr);

    Endpoint endpoint;
    endpoint.provider = settings.profile->name;
    endpoint.base_url = settings.base_url;
    endpoint.model = settings.model;
    endpoint.hosting = settings.profile->hosting;
    endpoint.quirks = quirks_of(settings);
    endpoint.api_key = row->key_variable.empty() ? Secret() : Secret(std::string(key));
    EncodeCache cache;
    const ChatRequest hello("Hello");
    const HttpRequest http = find_codec(settings.codec)->encode(hello, endpoint, false, cache);
    EXPECT_EQ(http.target, row->target);
    expect_key(http.headers, *row);
    expect_common(http.headers, http.body, *row);
    const HttpRequest streamed = find_codec(settings.codec)->encode(hello, endpoint, true, cache);
    expect_key(streamed.headers, *row);
    expect_common(streamed.headers, streamed.body, *row);
}

INSTANTIATE_TEST_SUITE_P(
    Rows,
    ProfileRequestTest,
    ::testing::ValuesIn(row_names()),
    testing_cassettes::test_name
);

TEST(ProfileTableTest, NoExpectationIsLeftOfARowThatIsGone) {
    for (const auto& [name, row] : make_expectations()) {
        ASSERT_NE(find_profile(name), nullptr) << name;
        EXPECT_EQ(find_profile(name)->name, name);
    }
}

}  // namespace
}  // namespace llmproc
