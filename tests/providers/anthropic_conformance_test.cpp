// Replays the recorded cassettes of Anthropic Messages: every stream at every split of its bytes,
// and every reply.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "model/reply_builder.hpp"
#include "providers/cassette.hpp"
#include "providers/codec_checks.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

using providers::StreamDriver;
using testing_cassettes::Meaning;
using testing_cassettes::meaning_of;
using testing_cassettes::test_name;

std::string read_cassette(const std::string& name) {
    return testing_cassettes::read_cassette("anthropic", name);
}

const Codec& codec() {
    return *find_codec("anthropic");
}

std::int64_t count_at(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? 0 : found->get<std::int64_t>();
}

Usage expected_usage(const Json& counts) {
    Usage usage;
    usage.reported = true;
    usage.cached_input_tokens = count_at(counts, "cache_read_input_tokens");
    usage.cache_write_tokens = count_at(counts, "cache_creation_input_tokens");
    usage.input_tokens = count_at(counts, "input_tokens") + usage.cached_input_tokens +
                         usage.cache_write_tokens;
    usage.output_tokens = count_at(counts, "output_tokens");
    usage.reasoning_tokens = count_at(counts.at("output_tokens_details"), "thinking_tokens");
    usage.total_tokens = usage.input_tokens + usage.output_tokens;
    return usage;
}

StopReason expected_stop(const std::string& word) {
    if (word == "refusal") {
        return StopReason::refusal;
    }
    return word == "tool_use" ? StopReason::tool_use : StopReason::end_turn;
}

/// The meaning of a whole message, read by another parser than the codec's.
Meaning expected_meaning(const Json& message) {
    Meaning meaning;
    for (const Json& block : message.at("content")) {
        const auto type = block.at("type").get<std::string>();
        if (type == "text") {
            meaning.text += block.at("text").get<std::string>();
        } else if (type == "thinking") {
            meaning.thinking += block.at("thinking").get<std::string>();
        } else if (type == "tool_use") {
            meaning.calls.emplace_back(
                block.at("id").get<std::string>(),
                block.at("name").get<std::string>(),
                block.at("input").dump()
            );
        }
    }
    const Json& details = message.at("stop_details");
    if (details.is_object() && details.at("explanation").is_string()) {
        meaning.refusal = details.at("explanation").get<std::string>();
    }
    meaning.usage = expected_usage(message.at("usage"));
    meaning.finish_reason = message.at("stop_reason").get<std::string>();
    meaning.stop_reason = expected_stop(meaning.finish_reason);
    meaning.stops = 1;
    return meaning;
}

/// Spaces of the model's own text are kept; the expected ones are a dump.
Meaning without_spaces(Meaning meaning) {
    for (ToolCallBlock& call : meaning.calls) {
        call.arguments = parse_json(call.arguments).dump();
    }
    return meaning;
}

/// As a document: raw JSON and arguments count by what they mean, not by their spaces.
Json comparable(const Message& message) {
    Json document = parse_json(message.to_json());
    for (Json& block : document.at("content")) {
        if (block.contains("arguments")) {
            block["arguments"] = parse_json(block.at("arguments").get<std::string>());
        }
    }
    return document;
}

/// The content as it would be sent back.
Json replayed(const Message& message) {
    Endpoint endpoint;
    endpoint.base_url = "https://api.anthropic.com";
    endpoint.model = "m";
    ChatRequest request("before");
    request.add(message);
    EncodeCache cache;
    const HttpRequest http = codec().encode(request, endpoint, false, cache);
    return parse_json(http.body).at("messages").at(1).at("content");
}

/// What of a recorded answer may be sent back: what is null or the rule is left out.
Json sendable(const Json& content) {
    Json blocks = Json::array();
    for (Json block : content) {
        if (block.contains("citations") && block.at("citations").empty()) {
            block.erase("citations");
        }
        block.erase("caller");
        blocks.push_back(std::move(block));
    }
    return blocks;
}

// --- streams -------------------------------------------------------------------------------------

class AnthropicStreamConformanceTest : public testing::TestWithParam<std::string> {
protected:
    ChatReply read(std::string_view body, std::uint64_t& unknown) const {
        StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
        StreamEvents events;
        driver.feed(body, events);
        driver.finish(events);
        unknown = driver.unknown_events();
        ReplyBuilder builder;
        for (const StreamEvent& event : events) {
            builder.add(event);
        }
        ChatReply reply = builder.finish();
        driver.decoder().complete(reply);
        return reply;
    }

    std::string body_ = read_cassette(GetParam() + ".sse");
    Json expected_json_ = parse_json(read_cassette(GetParam() + ".expected.json"));
    /// The events are compared with their own spaces, so take those from one uncut run.
    Meaning whole_ = meaning_of(testing_cassettes::decode_pieces(codec(), {body_}));
};

TEST_P(AnthropicStreamConformanceTest, MeansWhatTheOfficialSdkReads) {
    EXPECT_EQ(without_spaces(whole_), expected_meaning(expected_json_));
    std::uint64_t unknown = 0;
    const ChatReply reply = read(body_, unknown);
    EXPECT_EQ(unknown, GetParam() == "anthropic-stream-unknown" ? 1U : 0U);
    EXPECT_EQ(reply.id, expected_json_.at("id").get<std::string>());
    EXPECT_EQ(reply.model, expected_json_.at("model").get<std::string>());
    EXPECT_EQ(reply.message.tool_calls(), whole_.calls);
}

TEST_P(AnthropicStreamConformanceTest, TheStreamedReplyIsTheReplyOfTheSameMessage) {
    std::uint64_t unknown = 0;
    const ChatReply streamed = read(body_, unknown);
    HttpResponse response(200);
    response.body = expected_json_.dump();
    const ChatReply reply = codec().decode(response);
    EXPECT_EQ(comparable(streamed.message), comparable(reply.message));
    EXPECT_EQ(streamed.usage, reply.usage);
    EXPECT_EQ(streamed.stop_reason, reply.stop_reason);
    EXPECT_EQ(streamed.raw_stop_reason, reply.raw_stop_reason);
}

TEST_P(AnthropicStreamConformanceTest, TheReplyGoesBackAsItCame) {
    if (expected_json_.at("stop_reason") == "refusal") {
        return;  // must not go back
    }
    std::uint64_t unknown = 0;
    Json sent = replayed(read(body_, unknown).message);
    if (sent.is_string()) {
        sent = Json::array({Json{{"type", "text"}, {"text", sent}}});
    }
    EXPECT_EQ(sent, sendable(expected_json_.at("content")));
}

TEST_P(AnthropicStreamConformanceTest, MeansTheSameAtEverySplit) {
    testing_cassettes::check_every_split(codec(), body_, whole_);
}

TEST_P(AnthropicStreamConformanceTest, MeansTheSameByteByByte) {
    testing_cassettes::check_byte_by_byte(codec(), body_, whole_);
}

TEST_P(AnthropicStreamConformanceTest, CutAnywhereIsNeverASuccessBeforeMessageStop) {
    // The event counts with the empty line behind it.
    const std::size_t complete = body_.find("\n\n", body_.find("event: message_stop"));
    ASSERT_NE(complete, std::string::npos);
    testing_cassettes::check_cut_anywhere(codec(), body_, complete + 2, whole_);
}

TEST_P(AnthropicStreamConformanceTest, AMutatedByteIsABoundedErrorOrAnotherAnswer) {
    testing_cassettes::check_mutated_bytes(codec(), body_);
}

TEST_P(AnthropicStreamConformanceTest, NamesOfEventsMayBeMissing) {
    std::string body = body_;
    for (std::size_t at = body.find("event: "); at != std::string::npos;
         at = body.find("event: ", at)) {
        body.erase(at, body.find('\n', at) + 1 - at);
    }
    testing_cassettes::check_byte_by_byte(codec(), body, whole_);
}

INSTANTIATE_TEST_SUITE_P(
    Anthropic,
    AnthropicStreamConformanceTest,
    testing::Values(
        "anthropic-stream",
        "anthropic-stream-tool",
        "anthropic-stream-thinking",
        "anthropic-stream-refusal",
        "anthropic-stream-unknown"
    ),
    test_name
);

TEST(AnthropicErrorStreamConformanceTest, ReportsTheErrorAtEverySplitWithTheTextBefore) {
    const std::string body = read_cassette("anthropic-stream-error.sse");
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
        StreamEvents events;
        try {
            driver.feed(std::string_view(body).substr(0, cut), events);
            driver.feed(std::string_view(body).substr(cut), events);
            FAIL() << "no error, cut at " << cut;
        } catch (const LLMError& error) {
            ASSERT_EQ(error.errc(), Errc::overloaded);
            ASSERT_TRUE(error.code() == make_error_condition(Condition::retryable));
            ASSERT_FALSE(error.diagnostics().status.has_value());
            ASSERT_EQ(error.diagnostics().provider_type, "overloaded_error");
            ASSERT_EQ(error.diagnostics().request_id, "req_wire0008");
            ASSERT_EQ(meaning_of(events).text, "Partial");
            ASSERT_EQ(driver.decoder().usage().input_tokens, 1049);
        }
        EXPECT_THROW(driver.finish(events), LLMError);
    }
}

// --- replies -------------------------------------------------------------------------------------

class AnthropicReplyConformanceTest : public testing::TestWithParam<std::string> {};

TEST_P(AnthropicReplyConformanceTest, MeansWhatTheBodySays) {
    HttpResponse response(200);
    response.headers.add("x-request-id", "of a gateway");
    response.headers.add("request-id", "req_1");
    response.body = read_cassette(GetParam() + ".json");
    const Json body = parse_json(response.body);
    const Meaning expected = expected_meaning(body);
    const ChatReply reply = codec().decode(response);
    EXPECT_EQ(reply.text(), expected.text + expected.refusal);
    EXPECT_EQ(reply.message.role(), Role::assistant);
    Meaning calls;
    calls.calls = reply.message.tool_calls();
    EXPECT_EQ(without_spaces(calls).calls, expected.calls);
    EXPECT_EQ(reply.usage, expected.usage);
    EXPECT_EQ(reply.stop_reason, expected.stop_reason);
    EXPECT_EQ(reply.raw_stop_reason, expected.finish_reason);
    EXPECT_EQ(reply.id, body.at("id").get<std::string>());
    EXPECT_EQ(reply.model, body.at("model").get<std::string>());
    EXPECT_EQ(reply.request_id, "req_1");
}

TEST_P(AnthropicReplyConformanceTest, CutAnywhereIsMalformed) {
    testing_cassettes::check_cut_reply(codec(), read_cassette(GetParam() + ".json"));
}

INSTANTIATE_TEST_SUITE_P(
    Anthropic,
    AnthropicReplyConformanceTest,
    testing::Values("anthropic-response", "anthropic-response-tools", "anthropic-response-refusal"),
    test_name
);

}  // namespace
}  // namespace llmproc
