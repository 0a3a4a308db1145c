#include <llmproc/program.hpp>
#include "program/program_schema.hpp"
#include "unit/program/bad_program.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

ProgramSettings read(const std::string& text) {
    return read_program(text, "good.toml", LLMPROC_CASSETTE_DIR "/openai_chat");
}

const std::string own_server =
    "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\nbase_url = \"http://localhost:1/v1\"\n"
    "api_key_env = \"OWN_KEY\"\n";

TEST(ProgramFallbackTest, AProgramNeedsNone) {
    EXPECT_TRUE(read(good).fallbacks.empty());
    EXPECT_TRUE(read(with("fallback = []\n")).fallbacks.empty());
}

TEST(ProgramFallbackTest, AProviderOfItsOwnBringsItsAddressAndKey) {
    const ProgramSettings program = read(
        own_server + "[[model.fallback]]\nname = \"claude\"\nprovider = \"anthropic\"\n"
                     "[[model.fallback]]\nname = \"gemini\"\nprovider = \"google\"\n"
                     "base_url = \"https://proxy.example/g/\"\napi_key_file = \"key\"\n"
    );
    ASSERT_EQ(program.fallbacks.size(), 2U);
    const ProgramSettings& first = program.fallbacks[0];
    EXPECT_EQ(first.model, "claude");
    EXPECT_EQ(first.profile->name, "anthropic");
    EXPECT_EQ(first.base_url, "https://api.anthropic.com");
    EXPECT_EQ(first.key.env, "ANTHROPIC_API_KEY");
    EXPECT_TRUE(first.key.needed);
    EXPECT_TRUE(first.foreign);
    const ProgramSettings& second = program.fallbacks[1];
    EXPECT_EQ(second.profile->name, "gemini");
    EXPECT_EQ(second.base_url, "https://proxy.example/g");
    EXPECT_EQ(second.key.file, LLMPROC_CASSETTE_DIR "/openai_chat/key");
    EXPECT_EQ(program.model, "m");
    EXPECT_EQ(program.key.env, "OWN_KEY");
    EXPECT_FALSE(program.foreign);
}

TEST(ProgramFallbackTest, WithoutAProviderItIsAnotherModelOfTheSameServer) {
    const ProgramSettings program = read(own_server + "[[model.fallback]]\nname = \"n\"\n");
    const ProgramSettings& fallback = program.fallbacks.at(0);
    EXPECT_EQ(fallback.model, "n");
    EXPECT_EQ(fallback.profile, program.profile);
    EXPECT_EQ(fallback.base_url, "http://localhost:1/v1");
    EXPECT_EQ(fallback.key.env, "OWN_KEY");
    EXPECT_FALSE(fallback.foreign);
}

TEST(ProgramFallbackTest, AnAddressOfItsOwnDoesNotGetTheKey) {
    const ProgramSettings fallback =
        read(own_server + "[[model.fallback]]\nname = \"n\"\nbase_url = \"http://localhost:2\"\n")
            .fallbacks.at(0);
    EXPECT_EQ(fallback.base_url, "http://localhost:2");
    EXPECT_EQ(fallback.profile->name, "openai_compatible");
    EXPECT_TRUE(fallback.key.env.empty());
    EXPECT_FALSE(fallback.key.needed);
    EXPECT_TRUE(fallback.foreign);
}

TEST(ProgramFallbackTest, TheTableMayAlsoBeWrittenInline) {
    const ProgramSettings program = read(with("fallback = [{name = \"a\"}, {name = \"b\"}]\n"));
    ASSERT_EQ(program.fallbacks.size(), 2U);
    EXPECT_EQ(program.fallbacks[1].model, "b");
}

TEST(ProgramFallbackTest, ConnectionAndLimitsAreThoseOfTheProgram) {
    const ProgramSettings fallback = read(with("[[model.fallback]]\nname = \"n\"\n"
                                               "[connection]\nmax_connections_per_host = 7\n"
                                               "[rate_limit]\nmax_in_flight = 3\n"))
                                         .fallbacks.at(0);
    EXPECT_EQ(fallback.connection.max_connections_per_host, 7U);
    EXPECT_EQ(fallback.rate_limit.max_in_flight, 3U);
}

const std::string parameters =
    "[parameters]\ntemperature = 0.5\nmax_tokens = 9\nextra_body = {a = 1}\n"
    "extra_headers = {x-a = \"b\"}\n";

TEST(ProgramFallbackTest, ParametersAreTheProgramsUnlessItHasItsOwn) {
    const ProgramSettings program = read(with(
        "[[model.fallback]]\nname = \"n\"\n[[model.fallback]]\nname = \"o\"\n"
        "[model.fallback.parameters]\nmax_tokens = 4\n" +
        parameters
    ));
    const SamplingParams& same = program.fallbacks.at(0).params;
    EXPECT_EQ(same.temperature, 0.5);
    EXPECT_EQ(same.max_tokens, 9);
    EXPECT_TRUE(same.extra_body);
    EXPECT_EQ(same.extra_headers.size(), 1U);
    const SamplingParams& own = program.fallbacks.at(1).params;
    EXPECT_EQ(own.max_tokens, 4);
    EXPECT_FALSE(own.temperature);
    EXPECT_FALSE(own.extra_body);
}

TEST(ProgramFallbackTest, WhatWasMeantForOneServerIsNotSentToAnother) {
    const SamplingParams params =
        read(with("[[model.fallback]]\nname = \"n\"\nprovider = \"anthropic\"\n" + parameters))
            .fallbacks.at(0)
            .params;
    EXPECT_EQ(params.max_tokens, 9);
    EXPECT_FALSE(params.extra_body);
    EXPECT_TRUE(params.extra_headers.empty());
}

TEST(ProgramFallbackTest, RulesAreThoseOfTheModelItself) {
    const ProgramSettings program = read(
        own_server + "[model.rules]\nsampling = false\n[[model.fallback]]\nname = \"n\"\n"
                     "[[model.fallback]]\nname = \"o\"\n[model.fallback.rules]\n"
                     "developer_role = true\n"
    );
    EXPECT_EQ(program.rules.sampling, false);
    EXPECT_FALSE(program.fallbacks.at(0).rules.sampling);
    EXPECT_EQ(program.fallbacks.at(1).rules.developer_role, true);
    EXPECT_FALSE(program.fallbacks.at(1).rules.sampling);
}

class BadFallbackTest : public ::testing::TestWithParam<BadProgram> {};

TEST_P(BadFallbackTest, IsRefused) {
    expect_refused(GetParam());
}

std::vector<BadProgram> bad_rows() {
    const std::string table = "[[model.fallback]]\n";
    return {
        {"no array", with("fallback = 1\n"), 4, 12, "model.fallback", "[[model.fallback]]"},
        {"one table",
         with("[model.fallback]\nname = \"n\"\n"),
         4,
         1,
         "model.fallback",
         "[[model.fallback]]"},
        {"no table inside", with("fallback = [1]\n"), 4, 13, "model.fallback", "got an integer"},
        {"no name", with(table), 4, 1, "model.fallback.name", "table [model.fallback]"},
        {"unknown key",
         with(table + "nam = \"n\"\n"),
         5,
         1,
         "model.fallback.nam",
         "did you mean model.fallback.name?"},
        {"a parameter",
         with(table + "name = \"n\"\ntemperature = 1\n"),
         6,
         1,
         "model.fallback.temperature",
         "in the table [model.fallback.parameters]"},
        {"wrong type",
         with(table + "name = 1\n"),
         5,
         8,
         "model.fallback.name",
         "expected a string"},
        {"unknown provider",
         with(table + "name = \"n\"\nprovider = \"opneai\"\n"),
         6,
         1,
         "model.fallback.provider",
         "did you mean 'openai'"},
        {"no address",
         with(table + "name = \"n\"\nprovider = \"openai_compatible\"\n"),
         4,
         1,
         "model.fallback.base_url",
         "has no address of its own"},
        {"plain http",
         with(table + "name = \"n\"\nbase_url = \"http://far.example\"\n"),
         6,
         1,
         "model.fallback.base_url",
         "allow_insecure_http",
         Errc::insecure_url},
        {"unknown rule",
         with(table + "name = \"n\"\nrules = {samplin = true}\n"),
         6,
         10,
         "model.fallback.rules.samplin",
         "unknown key"},
        {"a key in the file",
         with(table + "name = \"n\"\napi_key = \"abc\"\n"),
         6,
         1,
         "model.fallback.api_key",
         "allow_inline_key"},
        {"two keys",
         with(table + "name = \"n\"\napi_key_env = \"A\"\napi_key_file = \"b\"\n"),
         7,
         1,
         "model.fallback.api_key_file",
         "cannot be combined with model.fallback.api_key_env at line 6"},
        {"one inside another",
         with(table + "name = \"n\"\n[[model.fallback.fallback]]\nname = \"o\"\n"),
         6,
         18,
         "model.fallback.fallback",
         "write one more [[model.fallback]]"},
        {"bad parameter of its own",
         with(table + "name = \"n\"\n[model.fallback.parameters]\ntop_p = 2\n"),
         7,
         9,
         "model.fallback.parameters.top_p",
         "from 0 to 1"},
        {"unknown parameter of its own",
         with(table + "name = \"n\"\n[model.fallback.parameters]\ntop_pp = 2\n"),
         7,
         1,
         "model.fallback.parameters.top_pp",
         "did you mean model.fallback.parameters.top_p?"},
        {"the second one",
         with(table + "name = \"n\"\n" + table + "name = \"\"\n"),
         7,
         8,
         "model.fallback.name",
         "empty string"},
    };
}

INSTANTIATE_TEST_SUITE_P(All, BadFallbackTest, ::testing::ValuesIn(bad_rows()));

TEST(ProgramFallbackTest, AMissingKeyIsReportedAtStartWithItsPlace) {
    const LLMProgram program = LLMProgram::from_toml_string(
        with("[[model.fallback]]\nname = \"n\"\nprovider = \"openai\"\n"
             "api_key_env = \"LLMPROC_TEST_NEVER_SET\"\n"),
        "p.toml"
    );
    try {
        static_cast<void>(program.start_sync());
        FAIL() << "started";
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.errc(), Errc::missing_api_key);
        EXPECT_EQ(error.key(), "model.fallback.api_key_env");
        EXPECT_EQ(error.line(), 7U);
        const std::string what = error.what();
        EXPECT_NE(what.find("LLMPROC_TEST_NEVER_SET"), std::string::npos) << what;
        EXPECT_NE(what.find("model.fallback.api_key_file"), std::string::npos) << what;
    }
}

}  // namespace
}  // namespace llmproc
