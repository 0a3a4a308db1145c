// The keys that say how a model is asked: [model.rules], thinking, caching, hosted tools.
#include "program/program_file.hpp"
#include "unit/program/bad_program.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

ProgramSettings read(const std::string& more) {
    return read_program(with(more), "p.toml", "/");
}

TEST(ProgramModelKeysTest, RulesAreTheMembersOfModelRules) {
    const ModelRules rules =
        read("rules = { sampling = true, max_completion_tokens = false, developer_role = true, "
             "structured_output = false, adaptive_thinking = true, thinking_budget = false, "
             "max_output_tokens = 9000 }\n")
            .rules;
    EXPECT_EQ(rules.sampling, true);
    EXPECT_EQ(rules.max_completion_tokens, false);
    EXPECT_EQ(rules.developer_role, true);
    EXPECT_EQ(rules.structured_output, false);
    EXPECT_EQ(rules.adaptive_thinking, true);
    EXPECT_EQ(rules.thinking_budget, false);
    EXPECT_EQ(rules.max_output_tokens, 9000);
    const ModelRules none = read("").rules;
    EXPECT_FALSE(none.sampling || none.max_completion_tokens || none.developer_role);
    EXPECT_FALSE(none.structured_output || none.adaptive_thinking || none.thinking_budget);
    EXPECT_FALSE(none.max_output_tokens);
    EXPECT_EQ(read("[model.rules]\nsampling = false\n").rules.sampling, false);
}

TEST(ProgramModelKeysTest, ThinkingHasThreeForms) {
    EXPECT_EQ(
        read("[parameters]\nthinking = \"off\"\n").params.thinking,
        Thinking(Thinking::Mode::off)
    );
    EXPECT_EQ(
        read("[parameters]\nthinking = \"adaptive\"\n").params.thinking,
        Thinking(Thinking::Mode::adaptive)
    );
    EXPECT_EQ(read("[parameters]\nthinking = 4096\n").params.thinking, Thinking::budget(4096));
    EXPECT_EQ(read("").params.thinking, std::nullopt);
}

TEST(ProgramModelKeysTest, SwitchesAreNotSetByThemselves) {
    const SamplingParams params =
        read("[parameters]\nprompt_caching = true\nadapt_schemas = true\n").params;
    EXPECT_EQ(params.prompt_caching, true);
    EXPECT_EQ(params.adapt_schemas, true);
    const SamplingParams none = read("").params;
    EXPECT_EQ(none.prompt_caching, std::nullopt);
    EXPECT_EQ(none.adapt_schemas, std::nullopt);
    EXPECT_TRUE(none.hosted_tools.empty());
}

TEST(ProgramModelKeysTest, HostedToolsAreNamesOrTables) {
    const std::vector<HostedTool> tools =
        read("[tools]\nhosted = [\"web_search\", { max_uses = 3, kind = \"web_fetch\", "
             "user_location = { city = \"Porto\" } }, { kind = \"code_execution\" }]\n")
            .params.hosted_tools;
    const std::vector<HostedTool> expected{
        HostedTool("web_search"),
        HostedTool("web_fetch", RawJson(R"({"max_uses":3,"user_location":{"city":"Porto"}})")),
        HostedTool("code_execution")};
    EXPECT_EQ(tools, expected);
    EXPECT_TRUE(read("[tools]\nhosted = []\n").params.hosted_tools.empty());
}

TEST(ProgramModelKeysTest, FallbacksHaveTheirOwnRulesAndTheSameTools) {
    const ProgramSettings program = read(
        "[model.rules]\nsampling = false\n"
        "[[model.fallback]]\nname = \"a\"\n"
        "[[model.fallback]]\nname = \"b\"\nrules = { sampling = true }\n"
        "[model.fallback.parameters]\nthinking = \"off\"\n"
        "[tools]\nhosted = [\"web_search\"]\n"
    );
    ASSERT_EQ(program.fallbacks.size(), 2U);
    EXPECT_EQ(program.rules.sampling, false);
    EXPECT_EQ(program.fallbacks[0].rules.sampling, std::nullopt) << "it is another model";
    EXPECT_EQ(program.fallbacks[1].rules.sampling, true);
    for (const ProgramSettings& fallback : program.fallbacks) {
        EXPECT_EQ(fallback.params.hosted_tools, program.params.hosted_tools);
    }
    EXPECT_EQ(program.params.hosted_tools.size(), 1U);
}

std::vector<BadProgram> rows() {
    return {
        {"rules no table", with("rules = true\n"), 4, 9, "model.rules", "expected a table"},
        {"rule",
         with("[model.rules]\nsamplng = true\n"),
         5,
         1,
         "model.rules.samplng",
         "did you mean sampling?; docs/program_file.md"},
        {"rule, nothing close",
         with("[model.rules]\ncolour = true\n"),
         5,
         1,
         "model.rules.colour",
         "unknown key; docs/program_file.md lists all keys"},
        {"rule's type",
         with("[model.rules]\nsampling = 1\n"),
         5,
         12,
         "model.rules.sampling",
         "expected a boolean"},
        {"rule's range",
         with("[model.rules]\nmax_output_tokens = 0\n"),
         5,
         21,
         "model.rules.max_output_tokens",
         "1"},
        {"thinking",
         with("[parameters.thinking]\nbudget_tokens = 1\n"),
         4,
         1,
         "parameters.thinking",
         "expected \"off\", \"adaptive\" or a number of tokens, got a table"},
        {"thinking's word",
         with("[parameters]\nthinking = \"on\"\n"),
         5,
         12,
         "parameters.thinking",
         "\"adaptive\""},
        {"thinking's range",
         with("[parameters]\nthinking = 0\n"),
         5,
         12,
         "parameters.thinking",
         "1"},
        {"caching",
         with("[parameters]\nprompt_caching = \"1h\"\n"),
         5,
         18,
         "parameters.prompt_caching",
         "expected a boolean"},
        {"hosted",
         with("[tools]\nhosted = \"web_search\"\n"),
         5,
         10,
         "tools.hosted",
         "an array of tools"},
        {"hosted, inside",
         with("[tools]\nhosted = [1]\n"),
         5,
         11,
         "tools.hosted",
         "the name of a tool, or a table"},
        {"hosted without a kind",
         with("[tools]\nhosted = [{ max_uses = 1 }]\n"),
         5,
         11,
         "tools.hosted",
         "has no kind"},
        {"hosted, empty", with("[tools]\nhosted = [\"\"]\n"), 5, 11, "tools.hosted", "empty"},
        {"tools, unknown",
         with("[tools]\nhostd = []\n"),
         5,
         1,
         "tools.hostd",
         "did you mean tools.hosted?"},
        {"tools, later",
         with("[tools]\nbuiltin = []\n"),
         5,
         1,
         "tools.builtin",
         "not yet available"},
    };
}

class ProgramModelKeyErrorsTest : public testing::TestWithParam<BadProgram> {};

TEST_P(ProgramModelKeyErrorsTest, NamesPlaceKeyAndRemedy) {
    expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Keys, ProgramModelKeyErrorsTest, testing::ValuesIn(rows()));

}  // namespace
}  // namespace llmproc
