#include "providers/model_rules.hpp"

#include <llmproc/error.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {
namespace {

TEST(ModelRulesTest, ARowStandsForAModelItsDatesAndWords) {
    for (const std::string_view model :
         {"claude-opus-4-7",
          "claude-opus-4-7-20260101",
          "claude-opus-4-7@20260101",
          "claude-opus-4-7-latest"}) {
        EXPECT_EQ(table_rules("anthropic", model).sampling, false) << model;
        EXPECT_EQ(table_rules("anthropic", model).thinking_budget, false) << model;
    }
    EXPECT_EQ(table_rules("anthropic", "claude-opus-4-5-20251101").adaptive_thinking, false);
    EXPECT_EQ(table_rules("anthropic", "claude-3-haiku-20240307").max_output_tokens, 4096);
    EXPECT_EQ(table_rules("gemini", "models/gemini-2.5-flash-lite").thinking_budget, true);
    EXPECT_EQ(table_rules("openai_chat", "gpt-5-mini-2025-08-07").sampling, false);
    EXPECT_EQ(table_rules("openai_chat", "ft:gpt-4o-2024-08-06:acme::1").adaptive_thinking, false);
}

TEST(ModelRulesTest, TheLongestNameWins) {
    EXPECT_EQ(table_rules("openai_responses", "gpt-5").adaptive_thinking, true);
    EXPECT_EQ(table_rules("openai_responses", "gpt-5-chat-latest").adaptive_thinking, false);
    EXPECT_EQ(table_rules("openai_responses", "gpt-5-chat-latest").sampling, std::nullopt);
}

TEST(ModelRulesTest, AnUnknownModelHasNoRules) {
    const auto none = [](std::string_view codec, std::string_view model) {
        const ModelRules rules = table_rules(codec, model);
        return !rules.sampling && !rules.max_completion_tokens && !rules.developer_role &&
               !rules.structured_output && !rules.adaptive_thinking && !rules.thinking_budget &&
               !rules.max_output_tokens;
    };
    EXPECT_TRUE(none("anthropic", ""));
    EXPECT_TRUE(none("anthropic", "claude-opus-4-9"));
    EXPECT_TRUE(none("anthropic", "claude-opus-6"));
    EXPECT_TRUE(none("openai_chat", "gpt-5.9"));
    EXPECT_TRUE(none("openai_chat", "o10"));
    EXPECT_TRUE(none("openai_chat", "llama3.2"));
    EXPECT_TRUE(none("openai_chat", "claude-opus-4-7")) << "a rule is for one protocol";
    EXPECT_TRUE(none("gemini", "gemini-5"));
    EXPECT_TRUE(none("toy", "gpt-5"));
}

TEST(ModelRulesTest, TheProgramFileCountsMoreThanTheTableAndThatMoreThanTheProfile) {
    Endpoint endpoint;
    EXPECT_EQ(rules_for("openai_chat", "gpt-5", endpoint).max_completion_tokens, true);
    EXPECT_EQ(rules_for("openai_chat", "llama3.2", endpoint).max_completion_tokens, false);
    endpoint.quirks.max_completion_tokens = true;
    endpoint.quirks.developer_role = true;
    EXPECT_EQ(rules_for("openai_chat", "llama3.2", endpoint).max_completion_tokens, true);
    EXPECT_EQ(rules_for("openai_chat", "llama3.2", endpoint).developer_role, true);
    endpoint.rules.max_completion_tokens = false;
    endpoint.rules.sampling = true;
    EXPECT_EQ(rules_for("openai_chat", "gpt-5", endpoint).max_completion_tokens, false);
    EXPECT_EQ(rules_for("openai_chat", "gpt-5", endpoint).sampling, true);
}

TEST(ModelRulesTest, AModelFollowsSchemasUnlessItIsKnownNotTo) {
    Endpoint endpoint;
    EXPECT_TRUE(follows_schema("openai_chat", "llama3.2", endpoint));
    EXPECT_TRUE(follows_schema("anthropic", "claude-opus-4-5", endpoint));
    EXPECT_FALSE(follows_schema("anthropic", "claude-3-haiku-20240307", endpoint));
    EXPECT_FALSE(follows_schema("openai_chat", "deepseek-chat", endpoint));
    endpoint.rules.structured_output = true;
    EXPECT_TRUE(follows_schema("openai_chat", "deepseek-chat", endpoint));
    endpoint.rules.structured_output = false;
    EXPECT_FALSE(follows_schema("openai_chat", "llama3.2", endpoint));
}

TEST(ModelRulesTest, ARefusalNamesParameterModelRemedyAndOverride) {
    SamplingParams params;
    params.max_tokens = 5;
    ModelRules rules;
    EXPECT_NO_THROW(check_model_sampling(params, rules, "m"));
    rules.sampling = false;
    EXPECT_NO_THROW(check_model_sampling(params, rules, "m"));
    for (const std::string_view name : {"temperature", "top_p", "top_k"}) {
        SamplingParams set;
        if (name == "temperature") {
            set.temperature = 1;
        } else if (name == "top_p") {
            set.top_p = 1;
        } else {
            set.top_k = 1;
        }
        try {
            check_model_sampling(set, rules, "gpt-5");
            ADD_FAILURE() << name;
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::not_supported);
            EXPECT_EQ(
                error.message(),
                "parameters." + std::string(name) +
                    " is refused by the model gpt-5; remove it, or set model.rules.sampling = true "
                    "if the model takes it after all"
            );
        }
    }
}

}  // namespace
}  // namespace llmproc::providers
