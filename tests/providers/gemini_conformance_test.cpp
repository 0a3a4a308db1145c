// Replays the recorded Gemini answers: every stream at every split of its bytes, and
// every reply; both go back to the provider as they came.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "model/reply_builder.hpp"
#include "providers/codec_checks.hpp"
#include "providers/gemini_cassette.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

using providers::StreamDriver;
using testing_cassettes::gemini;
using testing_cassettes::gemini_cassette;
using testing_cassettes::gemini_endpoint;
using testing_cassettes::Meaning;
using testing_cassettes::meaning_of;
using testing_cassettes::test_name;

std::int64_t count_at(const Json& object, const char* key) {
    return object.value(key, std::int64_t{0});
}

Json parts_of(const Json& answer) {
    const Json candidate = answer.value("candidates", Json::array({Json::object()})).at(0);
    return candidate.value("content", Json::object()).value("parts", Json::array());
}

/// The meaning of a whole answer, read by another parser than the codec's.
Meaning expected_meaning(const Json& answer) {
    Meaning meaning;
    meaning.stops = 1;
    for (const Json& part : parts_of(answer)) {
        const std::string text = part.value("text", "");
        (part.value("thought", false) ? meaning.thinking : meaning.text) += text;
        if (part.contains("functionCall")) {
            const Json& call = part.at("functionCall");
            meaning.calls.emplace_back(
                call.at("id").get<std::string>(),
                call.at("name").get<std::string>(),
                call.at("args").dump()
            );
        }
    }
    const Json& usage = answer.at("usageMetadata");
    meaning.usage.reported = true;
    meaning.usage.input_tokens = count_at(usage, "promptTokenCount");
    meaning.usage.reasoning_tokens = count_at(usage, "thoughtsTokenCount");
    meaning.usage.output_tokens = count_at(usage, "candidatesTokenCount") +
                                  meaning.usage.reasoning_tokens;
    meaning.usage.total_tokens = count_at(usage, "totalTokenCount");
    if (answer.contains("promptFeedback")) {
        meaning.finish_reason = answer.at("promptFeedback").at("blockReason").get<std::string>();
        meaning.stop_reason = StopReason::content_filter;
        return meaning;
    }
    meaning.finish_reason = answer.at("candidates").at(0).at("finishReason").get<std::string>();
    meaning.stop_reason = meaning.finish_reason == "SAFETY" ? StopReason::content_filter
                          : meaning.calls.empty()           ? StopReason::end_turn
                                                            : StopReason::tool_use;
    return meaning;
}

/// The parts that the message is sent back as.
Json replayed_parts(const Message& message) {
    ChatRequest request;
    request.add(Message::user("q")).add(message).add(Message::user("go on"));
    EncodeCache cache;
    const HttpRequest http =
        gemini().encode(request, gemini_endpoint("gemini-3.8-flash"), false, cache);
    const Json contents = parse_json(http.body).at("contents");
    return contents.size() == 3 ? contents.at(1).at("parts") : Json::array();
}

ChatReply reply_of(StreamDriver& driver, const StreamEvents& events) {
    ReplyBuilder builder;
    for (const StreamEvent& event : events) {
        builder.add(event);
    }
    ChatReply reply = builder.finish();
    driver.decoder().complete(reply);
    return reply;
}

// --- streams -------------------------------------------------------------------------------------

class GeminiStreamConformanceTest : public testing::TestWithParam<std::string> {
protected:
    std::string body_ = gemini_cassette(GetParam() + ".sse");
    Json expected_json_ = parse_json(gemini_cassette(GetParam() + ".expected.json"));
    Meaning expected_ = expected_meaning(expected_json_);
};

TEST_P(GeminiStreamConformanceTest, MeansWhatTheMergedAnswerSays) {
    StreamDriver driver(gemini().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body_, events);
    driver.finish(events);
    EXPECT_EQ(meaning_of(events), expected_);
    EXPECT_EQ(driver.unknown_events(), 0U);
    const ChatReply reply = reply_of(driver, events);
    EXPECT_EQ(reply.id, "wire0004");
    EXPECT_EQ(reply.model, "gemini-3.8-flash");
    EXPECT_EQ(reply.text(), expected_.text);
    EXPECT_EQ(reply.message.thinking(), expected_.thinking);
    EXPECT_EQ(reply.message.tool_calls(), expected_.calls);
    EXPECT_EQ(driver.decoder().usage(), expected_.usage);
}

TEST_P(GeminiStreamConformanceTest, GoesBackPartByPart) {
    StreamDriver driver(gemini().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body_, events);
    driver.finish(events);
    EXPECT_EQ(replayed_parts(reply_of(driver, events).message), parts_of(expected_json_));
}

TEST_P(GeminiStreamConformanceTest, MeansTheSameAtEverySplit) {
    testing_cassettes::check_every_split(gemini(), body_, expected_);
}

TEST_P(GeminiStreamConformanceTest, MeansTheSameByteByByte) {
    testing_cassettes::check_byte_by_byte(gemini(), body_, expected_);
}

TEST_P(GeminiStreamConformanceTest, CutAnywhereIsNeverASuccessBeforeTheFinishReason) {
    // The event with the finish reason is complete with its closing brace.
    const std::size_t reason = body_.find("\"finishReason\":\"");
    ASSERT_NE(reason, std::string::npos);
    testing_cassettes::check_cut_anywhere(gemini(), body_, body_.find('\r', reason), expected_);
}

TEST_P(GeminiStreamConformanceTest, AMutatedByteIsABoundedErrorOrAnotherAnswer) {
    testing_cassettes::check_mutated_bytes(gemini(), body_);
}

TEST_P(GeminiStreamConformanceTest, UnknownMembersAndEventsChangeNothing) {
    std::string body;
    std::istringstream lines(body_);
    for (std::string line; std::getline(lines, line);) {
        const std::string_view start = "data: {";
        if (line.rfind(start, 0) == 0) {
            line.insert(start.size(), R"("newMember":{"candidates":[{"finishReason":"x"}]},)");
            body += "event: gateway.ping\ndata: {\"t\":1}\n\nevent: note\ndata: hello\n\n";
        }
        body += line + "\n";
    }
    StreamDriver driver(gemini().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body, events);
    driver.finish(events);
    EXPECT_EQ(meaning_of(events), expected_);
    EXPECT_GT(driver.unknown_events(), 2U);
}

INSTANTIATE_TEST_SUITE_P(
    Gemini,
    GeminiStreamConformanceTest,
    testing::Values("gemini-stream", "gemini-stream-tool", "gemini-stream-safety"),
    test_name
);

/// Feeds a body that must end in an error, cut in two at every place.
template <class Check>
void check_failure_at_every_split(const std::string& body, const std::string& text, Check check) {
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        StreamDriver driver(gemini().stream_decoder(), wire::SseLimits());
        StreamEvents events;
        try {
            driver.feed(std::string_view(body).substr(0, cut), events);
            driver.feed(std::string_view(body).substr(cut), events);
            driver.finish(events);
            FAIL() << "no error, cut at " << cut;
        } catch (const LLMError& error) {
            check(error);
            ASSERT_EQ(meaning_of(events).text, text);
        }
    }
}

TEST(GeminiStreamErrorConformanceTest, Trap15_AnErrorAfterHttp200IsReportedWithTheTextBefore) {
    const auto check = [](const LLMError& error) {
        ASSERT_EQ(error.errc(), Errc::overloaded);
        ASSERT_TRUE(error.code() == make_error_condition(Condition::retryable));
        ASSERT_FALSE(error.diagnostics().status.has_value());
        ASSERT_EQ(error.diagnostics().provider_type, "UNAVAILABLE");
    };
    check_failure_at_every_split(gemini_cassette("gemini-stream-error.sse"), "Partial", check);
}

TEST(GeminiStreamErrorConformanceTest, AContinuationIsNoSuccess) {
    const auto check = [](const LLMError& error) {
        ASSERT_EQ(error.errc(), Errc::truncated_stream);
        ASSERT_TRUE(error.code() == make_error_condition(Condition::retryable));
        ASSERT_EQ(error.diagnostics().provider_code, "CONTINUATION");
    };
    const std::string body = gemini_cassette("gemini-stream-continuation-1.sse");
    check_failure_at_every_split(body, "First half, still first.", check);
    StreamDriver driver(gemini().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body, events);
    ASSERT_FALSE(events.empty());
    EXPECT_EQ(events.back().type, StreamEvent::Type::other);
    EXPECT_EQ(events.back().data, R"({"continuationToken":"Y2hlY2twb2ludC0y"})");
}

TEST(GeminiStreamErrorConformanceTest, TheContinuedStreamIsAnAnswerOfItsOwn) {
    const std::string body = gemini_cassette("gemini-stream-continuation-2.sse");
    const Meaning meaning = meaning_of(testing_cassettes::decode_pieces(gemini(), {body}));
    EXPECT_EQ(meaning.text, " Second half.");
    EXPECT_EQ(meaning.stop_reason, StopReason::end_turn);
}

// --- replies -------------------------------------------------------------------------------------

class GeminiReplyConformanceTest : public testing::TestWithParam<std::string> {
protected:
    std::string body_ = gemini_cassette(GetParam() + ".json");
};

TEST_P(GeminiReplyConformanceTest, MeansWhatTheBodySays) {
    HttpResponse response(200);
    response.body = body_;
    const Json body = parse_json(body_);
    const Meaning expected = expected_meaning(body);
    const ChatReply reply = gemini().decode(response);
    EXPECT_EQ(reply.text(), expected.text);
    EXPECT_EQ(reply.message.thinking(), expected.thinking);
    EXPECT_EQ(reply.message.role(), Role::assistant);
    const auto calls = reply.message.tool_calls();
    ASSERT_EQ(calls.size(), expected.calls.size());
    for (std::size_t i = 0; i < calls.size(); ++i) {
        EXPECT_EQ(calls[i].id, expected.calls[i].id);
        EXPECT_EQ(calls[i].name, expected.calls[i].name);
        EXPECT_EQ(parse_json(calls[i].arguments), parse_json(expected.calls[i].arguments));
    }
    EXPECT_EQ(reply.usage, expected.usage);
    EXPECT_EQ(reply.stop_reason, expected.stop_reason);
    EXPECT_EQ(reply.raw_stop_reason, expected.finish_reason);
    EXPECT_EQ(reply.id, body.at("responseId").get<std::string>());
    EXPECT_EQ(reply.model, body.at("modelVersion").get<std::string>());
    EXPECT_EQ(replayed_parts(reply.message), parts_of(body));
    EXPECT_EQ(Message::from_json(reply.message.to_json()), reply.message);
}

TEST_P(GeminiReplyConformanceTest, CutAnywhereIsMalformed) {
    testing_cassettes::check_cut_reply(gemini(), body_);
}

INSTANTIATE_TEST_SUITE_P(
    Gemini,
    GeminiReplyConformanceTest,
    testing::Values(
        "gemini-response",
        "gemini-response-tools",
        "gemini-response-blocked",
        "gemini-response-safety"
    ),
    test_name
);

}  // namespace
}  // namespace llmproc
