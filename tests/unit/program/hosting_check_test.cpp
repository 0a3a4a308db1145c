#include "program/hosting_check.hpp"

#include "unit/program/bad_program.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

std::string model_of(const std::string& provider, const std::string& more) {
    return "[model]\nname = \"m\"\nprovider = \"" + provider + "\"\n" + more;
}

ProgramSettings read(const std::string& provider, const std::string& more) {
    return read_program(model_of(provider, more), "p.toml", "/");
}

TEST(HostingCheckTest, OpenAiSpeaksResponsesToItselfAndChatToEveryOther) {
    const auto codec = [](const std::string& base) {
        return read("openai", base.empty() ? "" : "base_url = \"" + base + "\"\n").codec;
    };
    EXPECT_EQ(codec(""), "openai_responses");
    EXPECT_EQ(codec("https://api.openai.com/v1"), "openai_responses");
    EXPECT_EQ(codec("https://API.OpenAI.com:443/v1/"), "openai_responses");
    EXPECT_EQ(codec("https://eu.api.openai.com/v1"), "openai_responses");
    EXPECT_EQ(codec("https://fakeapi.openai.com/v1"), "openai_chat");
    EXPECT_EQ(codec("https://api.openai.com.example/v1"), "openai_chat");
    EXPECT_EQ(codec("http://localhost:8080/v1"), "openai_chat");
    const std::string here = "base_url = \"http://localhost:8080/v1\"\n";
    EXPECT_EQ(read("openai_responses", here).codec, "openai_responses");
    EXPECT_EQ(read("openai_chat", "").codec, "openai_chat");
}

TEST(HostingCheckTest, ElsewhereNothingIsTakenForGrantedThatOnlyOpenAiKnows) {
    const std::string elsewhere = "base_url = \"http://localhost:8080/v1\"\n";
    const ProviderQuirks own = quirks_of(read("openai", ""));
    EXPECT_TRUE(own.developer_role);
    EXPECT_TRUE(own.max_completion_tokens);
    const ProviderQuirks other = quirks_of(read("openai", elsewhere));
    EXPECT_FALSE(other.developer_role);
    EXPECT_FALSE(other.max_completion_tokens);
    EXPECT_TRUE(other.send_top_k);
    // openai_chat leaves nothing to the address.
    const ProviderQuirks said = quirks_of(read("openai_chat", elsewhere));
    EXPECT_TRUE(said.developer_role);
}

TEST(HostingCheckTest, GoogleCloudsAddressFollowsFromRegionAndProject) {
    const auto address = [](const std::string& provider, const std::string& more) {
        return read(provider, "project_id = \"p-1\"\n" + more).base_url;
    };
    const auto place = [](const std::string& region) {
        return "/projects/p-1/locations/" + region;
    };
    EXPECT_EQ(
        address("anthropic_vertex", "region = \"us-east5\"\n"),
        "https://us-east5-aiplatform.googleapis.com/v1" + place("us-east5")
    );
    EXPECT_EQ(
        address("gemini_vertex", "region = \"global\"\n"),
        "https://aiplatform.googleapis.com/v1" + place("global")
    );
    EXPECT_EQ(
        address("gemini_vertex", "region = \"eu\"\napi_version = \"v1beta1\"\n"),
        "https://aiplatform.eu.rep.googleapis.com/v1beta1" + place("eu")
    );
    // Its version is the one of Anthropic's API, which stands in the body.
    EXPECT_EQ(
        address("anthropic_vertex", "region = \"global\"\napi_version = \"2023-06-01\"\n"),
        "https://aiplatform.googleapis.com/v1" + place("global")
    );
    const std::string region = "region = \"global\"\nbase_url = \"";
    EXPECT_EQ(
        address("gemini_vertex", region + "http://localhost:1/x?a=b\"\n"),
        "http://localhost:1/x/v1" + place("global") + "?a=b"
    );
    EXPECT_EQ(
        address("gemini_vertex", region + "http://localhost:1/v1beta1\"\n"),
        "http://localhost:1/v1beta1" + place("global")
    );
    EXPECT_EQ(
        address("gemini_vertex", region + "http://localhost:1/v2/projects/q/locations/r\"\n"),
        "http://localhost:1/v2/projects/q/locations/r"
    );
}

TEST(HostingCheckTest, KeepsVersionAndDeployment) {
    const ProgramSettings azure = read(
        "azure",
        "base_url = \"https://r.openai.azure.com\"\napi_version = \"2024-10-21\"\n"
        "deployment = \"team-a\"\n"
    );
    EXPECT_EQ(azure.profile->name, "azure_openai");
    EXPECT_EQ(azure.api_version, "2024-10-21");
    EXPECT_EQ(azure.deployment, "team-a");
    EXPECT_EQ(azure.base_url, "https://r.openai.azure.com");
    EXPECT_EQ(read("gemini", "api_version = \"v1\"\n").api_version, "v1");
    EXPECT_EQ(read("claude", "api_version = \"2023-06-01\"\n").api_version, "2023-06-01");
    const std::string same = "base_url = \"https://h/v1\"\napi_version = \"v1\"\n";
    EXPECT_EQ(read("gemini", same).base_url, "https://h/v1");
}

class HostingErrorTest : public testing::TestWithParam<BadProgram> {};

TEST_P(HostingErrorTest, NamesPlaceKeyAndRemedy) {
    expect_refused(GetParam());
}

std::vector<BadProgram> bad_rows() {
    const std::string azure = "base_url = \"https://r.openai.azure.com\"\n";
    const std::string place = "project_id = \"p\"\nregion = \"r\"\n";
    return {
        {"a version of nothing",
         model_of("groq", "api_version = \"v1\"\n"),
         4,
         1,
         "model.api_version",
         "provider 'groq' has none; remove it"},
        {"an unknown version",
         model_of("anthropic", "api_version = \"2024-01-01\"\n"),
         4,
         1,
         "model.api_version",
         "expected \"2026-10-21\" or \"2023-06-01\", got '2024-01-01'; to send another one"},
        {"another vendor's version",
         model_of("gemini", "api_version = \"v1beta1\"\n"),
         4,
         1,
         "model.api_version",
         "expected \"v1beta\" or \"v1\""},
        {"two versions",
         model_of("gemini", "api_version = \"v1\"\nbase_url = \"https://h/v1beta\"\n"),
         4,
         1,
         "model.api_version",
         "contradicts model.base_url, which ends with '/v1beta'"},
        {"a version that the address has no room for",
         model_of(
             "gemini_vertex",
             place + "api_version = \"v1beta1\"\n" +
                 "base_url = \"https://h/v1/projects/p/locations/r\"\n"
         ),
         6,
         1,
         "model.api_version",
         "contradicts model.base_url, which names everything before the model's path"},
        {"a version that is more",
         model_of("azure_openai", azure + "api_version = \"1&a=b\"\n"),
         5,
         1,
         "model.api_version",
         "stands in the address"},
        {"a version in the query",
         model_of("azure_openai", "base_url = \"https://r/openai?api-version=1\"\n"),
         4,
         1,
         "model.base_url",
         "write it as model.api_version"},
        {"a resource is missing",
         model_of("azure_openai", ""),
         1,
         2,
         "model.base_url",
         "https://RESOURCE.openai.azure.com"},
        {"a deployment elsewhere",
         with("deployment = \"d\"\n"),
         4,
         1,
         "model.deployment",
         "write the server's name of the model as model.name"},
        {"a deployment that is a path",
         model_of("azure_openai", azure + "deployment = \"a/b\"\n"),
         5,
         1,
         "model.deployment",
         "stands in the address"},
        {"no project",
         model_of("gemini_vertex", "region = \"r\"\n"),
         1,
         2,
         "model.project_id",
         "provider 'gemini_vertex' needs it"},
        {"no region",
         model_of("anthropic_vertex", "project_id = \"p\"\n"),
         1,
         2,
         "model.region",
         "region = \"global\""},
        {"a region that is a host",
         model_of("anthropic_vertex", "project_id = \"p\"\nregion = \"evil.example/\"\n"),
         5,
         1,
         "model.region",
         "stands in the address"},
        {"a project elsewhere", with("project_id = \"p\"\n"), 4, 1, "model.project_id", "has none"},
        {"a region elsewhere", with("region = \"r\"\n"), 4, 1, "model.region", "has none"},
        {"a version of Gemini for Claude",
         model_of("anthropic_vertex", place + "api_version = \"v1\"\n"),
         6,
         1,
         "model.api_version",
         "expected \"vertex-2023-10-16\""},
    };
}

INSTANTIATE_TEST_SUITE_P(Rows, HostingErrorTest, testing::ValuesIn(bad_rows()));

}  // namespace
}  // namespace llmproc
