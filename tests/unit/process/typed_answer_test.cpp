#include "process/typed_answer.hpp"

#include <llmproc/typed.hpp>
#include "support/described_types.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using namespace testing;

ChatReply reply(const std::string& text, StopReason reason = StopReason::end_turn) {
    ChatReply reply;
    reply.message = Message::assistant(text);
    reply.stop_reason = reason;
    reply.usage.input_tokens = 10;
    reply.usage.reported = true;
    return reply;
}

template <typename T>
class Asked {
public:
    explicit Asked(int reasks = 1)
        : run_(detail::answer_type<T>(), RunOptions().reasks(reasks)),
          request_("a question") {
        run_.prepare(request_);
    }

    bool accepts(const ChatReply& answer) {
        spent_.usage += answer.usage;
        ++spent_.exchanges;
        return run_.accepts(answer, spent_, request_);
    }
    LLMError failure(const ChatReply& answer) {
        try {
            accepts(answer);
        } catch (const LLMError& error) {
            return error;
        }
        return LLMError(Errc::internal, "accepted");
    }
    T value() { return run_.finish(RunResult()).template take_value<T>(); }
    const ChatRequest& request() const { return request_; }

private:
    TypedRun run_;
    ChatRequest request_;
    SpendingTotals spent_;
};

TEST(TypedAnswerTest, TheRequestHasTheSchemaToBeAdapted) {
    Asked<Place> asked;
    ASSERT_TRUE(asked.request().params.response_schema);
    EXPECT_EQ(asked.request().params.response_schema->text(), json_schema_of<Place>());
    EXPECT_EQ(asked.request().params.adapt_schemas, true);
}

TEST(TypedAnswerTest, AValidAnswerIsTheValue) {
    Asked<Weather> asked;
    EXPECT_TRUE(asked.accepts(reply(weather_text)));
    EXPECT_EQ(asked.value(), weather());

    Asked<std::vector<int>> wrapped;
    EXPECT_TRUE(wrapped.accepts(reply("```json\n{\"value\":[1,2]}\n```")));
    EXPECT_EQ(wrapped.value(), (std::vector<int>{1, 2}));
}

TEST(TypedAnswerTest, AmongSeveralObjectsTheFirstThatFitsCounts) {
    Asked<Place> asked;
    EXPECT_TRUE(
        asked.accepts(reply(R"(<think>{"latitude":"x"}</think> {"latitude":1,"longitude":2} {})"))
    );
    EXPECT_EQ(asked.value(), (Place{1, 2}));
}

TEST(TypedAnswerTest, AnInvalidOneGoesBackWithItsErrorOnce) {
    Asked<Place> asked;
    EXPECT_FALSE(asked.accepts(reply(R"({"latitude":1})")));
    const History& messages = asked.request().messages;
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_EQ(messages[1]->role(), Role::assistant);
    EXPECT_EQ(messages[1]->text(), R"({"latitude":1})");
    EXPECT_EQ(messages[2]->role(), Role::user);
    EXPECT_NE(
        messages[2]->text().find(R"($: expected the member "longitude", found an object without)"),
        std::string::npos
    ) << messages[2]->text();

    EXPECT_TRUE(asked.accepts(reply(R"({"latitude":1,"longitude":2})")));
}

TEST(TypedAnswerTest, TheSecondInvalidOneIsAnError) {
    Asked<Place> asked;
    EXPECT_FALSE(asked.accepts(reply("I do not know.")));
    const LLMError error = asked.failure(reply(R"({"latitude":1,"longitude":"east"})"));
    EXPECT_EQ(error.errc(), Errc::invalid_answer);
    EXPECT_EQ(
        error.message(),
        "the model's answer is not an object (Place): $.longitude: expected a number, found "
        "\"east\"; asked 2 times"
    );
    EXPECT_EQ(error.diagnostics().partial_text, R"({"latitude":1,"longitude":"east"})");
    ASSERT_TRUE(error.diagnostics().partial_usage);
    EXPECT_EQ(error.diagnostics().partial_usage->input_tokens, 20);
}

TEST(TypedAnswerTest, HowOftenIsAnOption) {
    Asked<Place> never(0);
    EXPECT_EQ(never.failure(reply("{}")).errc(), Errc::invalid_answer);
    Asked<Place> twice(2);
    EXPECT_FALSE(twice.accepts(reply("{}")));
    EXPECT_FALSE(twice.accepts(reply("{}")));
    EXPECT_EQ(twice.failure(reply("{}")).errc(), Errc::invalid_answer);
    Asked<Place> negative(-1);
    EXPECT_EQ(negative.failure(reply("{}")).errc(), Errc::invalid_answer);
}

TEST(TypedAnswerTest, AnAnswerThatEndedEarlyIsNotAskedForAgain) {
    const std::string whole = R"({"latitude":1,"longitude":2})";
    const std::vector<std::pair<StopReason, std::string>> ends{
        {StopReason::max_tokens, "max_tokens"},
        {StopReason::tool_use, "tools"},
        {StopReason::refusal, "declined"},
        {StopReason::content_filter, "policy"}};
    for (const auto& [reason, word] : ends) {
        Asked<Place> asked;
        const LLMError error = asked.failure(reply(whole, reason));
        EXPECT_EQ(error.errc(), Errc::invalid_answer);
        EXPECT_NE(error.message().find(word), std::string::npos) << error.message();
        EXPECT_EQ(error.diagnostics().partial_text, whole);
    }
    Asked<Place> asked;
    EXPECT_TRUE(asked.accepts(reply(whole, StopReason::unknown)));
}

TEST(TypedAnswerTest, AnEmptyAnswerIsNotSentBack) {
    Asked<Place> asked;
    ChatReply empty;
    empty.stop_reason = StopReason::end_turn;
    empty.message = Message(Role::assistant, std::vector<ContentBlock>());
    EXPECT_FALSE(asked.accepts(empty));
    ASSERT_EQ(asked.request().messages.size(), 2U);
    EXPECT_EQ(asked.request().messages[1]->role(), Role::user);
}

}  // namespace
}  // namespace llmproc
