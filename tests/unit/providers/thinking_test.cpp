#include "unit/providers/request_support.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

namespace llmproc {
namespace {

using namespace testing_requests;  // NOLINT(google-build-using-namespace)

const Thinking off{Thinking::Mode::off};
const Thinking adaptive{Thinking::Mode::adaptive};

ChatRequest asking(std::optional<Thinking> thinking, std::optional<std::string> effort = {}) {
    ChatRequest request("hi");
    request.params.thinking = thinking;
    request.params.reasoning_effort = effort;
    return request;
}

/// The member at `path` ("a/b") of the body, or null.
Json said(
    std::string_view protocol,
    const ChatRequest& request,
    std::string_view model,
    const std::string& path
) {
    const Json body = body_of(protocol, request, endpoint_of(model));
    const Json::json_pointer pointer("/" + path);
    return body.contains(pointer) ? body.at(pointer) : Json();
}

TEST(ThinkingTest, NothingIsSaidUnlessAsked) {
    EXPECT_EQ(said(chat, asking({}), "m", "reasoning_effort"), Json());
    EXPECT_EQ(said(responses, asking({}), "m", "reasoning"), Json());
    EXPECT_EQ(said(anthropic, asking({}), "m", "thinking"), Json());
    EXPECT_EQ(said(gemini, asking({}), "m", "generationConfig"), Json());
}

TEST(ThinkingTest, OpenAiHasEfforts) {
    for (const auto& [protocol, path] :
         {std::pair{chat, "reasoning_effort"}, std::pair{responses, "reasoning/effort"}}) {
        EXPECT_EQ(said(protocol, asking(off), "m", path), "none");
        EXPECT_EQ(said(protocol, asking(adaptive), "m", path), "medium");
        EXPECT_EQ(said(protocol, asking(adaptive, "high"), "m", path), "high");
        EXPECT_EQ(said(protocol, asking(off), "gpt-4o", path), Json()) << "it never thinks";
        const LLMError budget =
            failure(protocol, asking(Thinking::budget(1024)), endpoint_of("gpt-5"));
        EXPECT_EQ(budget.errc(), Errc::not_supported);
        EXPECT_NE(budget.message().find("parameters.reasoning_effort"), std::string::npos);
        EXPECT_EQ(failure(protocol, asking(off, "low")).errc(), Errc::invalid_argument);
        EXPECT_EQ(failure(protocol, asking(adaptive, "none")).errc(), Errc::invalid_argument);
        const LLMError refused = failure(protocol, asking(adaptive), endpoint_of("gpt-4.1"));
        EXPECT_EQ(refused.errc(), Errc::not_supported);
        EXPECT_NE(
            refused.message().find("gpt-4.1; remove it, or set model.rules.adaptive_thinking"),
            std::string::npos
        ) << refused.message();
    }
}

TEST(ThinkingTest, AnthropicHasTypes) {
    const auto thinking = [](const ChatRequest& request, std::string_view model) {
        return said(anthropic, request, model, "thinking");
    };
    EXPECT_EQ(thinking(asking(off), "m"), parse_json(R"({"type":"disabled"})"));
    EXPECT_EQ(thinking(asking(adaptive), "m"), parse_json(R"({"type":"adaptive"})"));
    EXPECT_EQ(
        thinking(asking(Thinking::budget(2048)), "m"),
        parse_json(R"({"type":"enabled","budget_tokens":2048})")
    );
    EXPECT_EQ(thinking(asking(off), "claude-3-haiku-20240307"), Json()) << "it never thinks";
    EXPECT_NE(thinking(asking(adaptive), "claude-opus-4-6"), Json());
    EXPECT_NE(thinking(asking(Thinking::budget(2048)), "claude-opus-4-6"), Json());
    LLMError error = failure(anthropic, asking(adaptive), endpoint_of("claude-haiku-4-5"));
    EXPECT_EQ(error.errc(), Errc::not_supported);
    EXPECT_NE(error.message().find("give a number of tokens instead"), std::string::npos);
    EXPECT_NE(error.message().find("model.rules.adaptive_thinking = true"), std::string::npos);
    error = failure(anthropic, asking(Thinking::budget(2048)), endpoint_of("claude-opus-5-5"));
    EXPECT_EQ(error.errc(), Errc::not_supported);
    EXPECT_NE(error.message().find("use \"adaptive\""), std::string::npos);
    EXPECT_NE(error.message().find("model.rules.thinking_budget = true"), std::string::npos);
    Endpoint insisting = endpoint_of("claude-opus-5-5");
    insisting.rules.thinking_budget = true;
    EXPECT_NO_THROW(body_of(anthropic, asking(Thinking::budget(2048)), insisting));
    // Counting sees it as well.
    const auto counted =
        find_codec(anthropic)->encode_count_tokens(asking(adaptive), endpoint_of());
    EXPECT_TRUE(parse_json(counted->body).contains("thinking"));
}

TEST(ThinkingTest, TheLimitThatAnthropicDemandsLeavesRoomForTheBudget) {
    const auto limit = [](const ChatRequest& request, const Endpoint& endpoint) {
        return body_of(anthropic, request, endpoint).at("max_tokens").get<std::int64_t>();
    };
    EXPECT_EQ(limit(asking({}), endpoint_of("m")), 16384);
    EXPECT_EQ(limit(asking(Thinking::budget(20'000)), endpoint_of("m")), 36384);
    EXPECT_EQ(limit(asking({}), endpoint_of("claude-3-haiku-20240307")), 4096);
    Endpoint own = endpoint_of("m");
    own.rules.max_output_tokens = 64'000;
    EXPECT_EQ(limit(asking(Thinking::budget(20'000)), own), 64'000);
    own.rules.max_output_tokens = 20'000;  // all of it would be thinking
    const LLMError error = failure(anthropic, asking(Thinking::budget(20'000)), own);
    EXPECT_EQ(error.errc(), Errc::invalid_argument);
    EXPECT_NE(error.message().find("model.rules.max_output_tokens (20000)"), std::string::npos);
    ChatRequest request = asking({});
    request.params.max_tokens = 7;
    EXPECT_EQ(limit(request, own), 7);
}

TEST(ThinkingTest, GeminiHasLevelsOrBudgets) {
    const auto config = [](const ChatRequest& request, std::string_view model) {
        return said(gemini, request, model, "generationConfig/thinkingConfig");
    };
    EXPECT_EQ(config(asking(off), "gemini-2.5-flash"), parse_json(R"({"thinkingBudget":0})"));
    EXPECT_EQ(
        config(asking(adaptive), "gemini-2.5-flash"),
        parse_json(R"({"includeThoughts":true,"thinkingBudget":-1})")
    );
    EXPECT_EQ(
        config(asking(Thinking::budget(500)), "gemini-2.5-flash"),
        parse_json(R"({"includeThoughts":true,"thinkingBudget":500})")
    );
    EXPECT_EQ(
        config(asking(adaptive), "gemini-3.8-flash"),
        parse_json(R"({"includeThoughts":true})")
    );
    EXPECT_EQ(
        config(asking(adaptive, "low"), "gemini-3.8-flash"),
        parse_json(R"({"includeThoughts":true,"thinkingLevel":"LOW"})")
    );
    EXPECT_EQ(config(asking({}, "none"), "m"), parse_json(R"({"thinkingBudget":0})"));
    for (const ChatRequest& request : {asking(off), asking({}, "none")}) {
        EXPECT_EQ(config(request, "gemini-2.0-flash"), Json()) << "it never thinks";
        const LLMError error = failure(gemini, request, endpoint_of("gemini-3.8-flash"));
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_NE(error.message().find("reasoning_effort = \"minimal\""), std::string::npos);
    }
    for (const Thinking& thinking : {off, Thinking::budget(500)}) {
        const LLMError error = failure(gemini, asking(thinking), endpoint_of("gemini-3.8-flash"));
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_NE(error.message().find("parameters.reasoning_effort"), std::string::npos);
        EXPECT_NE(error.message().find("model.rules.thinking_budget = true"), std::string::npos);
    }
    EXPECT_EQ(
        failure(gemini, asking(adaptive), endpoint_of("gemini-2.0-flash")).errc(),
        Errc::not_supported
    );
    EXPECT_EQ(failure(gemini, asking(Thinking::budget(5), "low")).errc(), Errc::invalid_argument);
    EXPECT_EQ(failure(gemini, asking(off, "low")).errc(), Errc::invalid_argument);
    EXPECT_EQ(failure(gemini, asking(adaptive, "none")).errc(), Errc::invalid_argument);
}

}  // namespace
}  // namespace llmproc
