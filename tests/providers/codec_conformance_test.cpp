// Replays the recorded cassettes through the codecs: every stream at every split of its bytes,
// every reply, and the request as well as the answers.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"
#include "providers/codec_checks.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using providers::StreamDriver;
using testing_cassettes::check_byte_by_byte;
using testing_cassettes::check_cut_anywhere;
using testing_cassettes::check_cut_reply;
using testing_cassettes::check_every_split;
using testing_cassettes::check_mutated_bytes;
using testing_cassettes::codec;
using testing_cassettes::Meaning;
using testing_cassettes::meaning_of;
using testing_cassettes::read_cassette;
using testing_cassettes::test_name;

std::string text_or_empty(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t count_at(const Json& object, const char* key, const char* inner = nullptr) {
    const auto found = object.find(key);
    if (found == object.end()) {
        return 0;
    }
    return inner == nullptr ? found->get<std::int64_t>() : count_at(*found, inner);
}

Usage expected_usage(const Json& completion) {
    Usage usage;
    const auto found = completion.find("usage");
    if (found == completion.end() || found->is_null()) {
        return usage;
    }
    usage.reported = true;
    usage.input_tokens = count_at(*found, "prompt_tokens");
    usage.output_tokens = count_at(*found, "completion_tokens");
    usage.total_tokens = count_at(*found, "total_tokens");
    usage.cached_input_tokens = count_at(*found, "prompt_tokens_details", "cached_tokens");
    usage.cache_write_tokens = count_at(*found, "prompt_tokens_details", "cache_write_tokens");
    usage.reasoning_tokens = count_at(*found, "completion_tokens_details", "reasoning_tokens");
    return usage;
}

/// The meaning of a whole `chat.completion`, read by another parser than the codec's.
Meaning expected_meaning(const Json& completion) {
    const Json& choice = completion.at("choices").at(0);
    const Json& message = choice.at("message");
    Meaning meaning;
    meaning.text = text_or_empty(message, "content");
    meaning.refusal = text_or_empty(message, "refusal");
    meaning.thinking = text_or_empty(message, "reasoning");
    meaning.finish_reason = choice.at("finish_reason").get<std::string>();
    if (const auto calls = message.find("tool_calls"); calls != message.end()) {
        for (const Json& call : *calls) {
            const Json& function = call.at("function");
            meaning.calls.emplace_back(
                call.at("id").get<std::string>(),
                function.at("name").get<std::string>(),
                function.at("arguments").get<std::string>()
            );
        }
    }
    meaning.usage = expected_usage(completion);
    meaning.stops = 1;
    if (!meaning.calls.empty()) {
        meaning.stop_reason = StopReason::tool_use;
    } else if (meaning.finish_reason == "length") {
        meaning.stop_reason = StopReason::max_tokens;
    } else {
        meaning.stop_reason = meaning.refusal.empty() ? StopReason::end_turn : StopReason::refusal;
    }
    return meaning;
}

// --- streams -------------------------------------------------------------------------------------

class StreamConformanceTest : public testing::TestWithParam<std::string> {
protected:
    std::string body_ = read_cassette(GetParam() + ".sse");
    Json expected_json_ = parse_json(read_cassette(GetParam() + ".expected.json"));
    Meaning expected_ = expected_meaning(expected_json_);
};

TEST_P(StreamConformanceTest, MeansWhatTheOfficialSdkReads) {
    StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body_, events);
    driver.finish(events);
    EXPECT_EQ(meaning_of(events), expected_);
    EXPECT_EQ(driver.unknown_events(), 0U);
    ChatReply reply;
    driver.decoder().complete(reply);
    EXPECT_EQ(reply.id, expected_json_.at("id").get<std::string>());
    EXPECT_EQ(reply.model, expected_json_.at("model").get<std::string>());
}

TEST_P(StreamConformanceTest, MeansTheSameAtEverySplit) {
    check_every_split(codec(), body_, expected_);
}

TEST_P(StreamConformanceTest, MeansTheSameByteByByte) {
    check_byte_by_byte(codec(), body_, expected_);
}

TEST_P(StreamConformanceTest, CutAnywhereIsNeverASuccessBeforeTheFinishReason) {
    // The event with the finish reason is complete with its closing brace.
    const std::size_t reason = body_.find("\"finish_reason\":\"");
    ASSERT_NE(reason, std::string::npos);
    check_cut_anywhere(codec(), body_, std::min(body_.find('\n', reason), body_.size()), expected_);
}

TEST_P(StreamConformanceTest, AMutatedByteIsABoundedErrorOrAnotherAnswer) {
    check_mutated_bytes(codec(), body_);
}

TEST_P(StreamConformanceTest, UnknownMembersAndEventsChangeNothing) {
    std::string body;
    std::istringstream lines(body_);
    for (std::string line; std::getline(lines, line);) {
        const std::string_view start = "data: {";
        if (line.rfind(start, 0) == 0) {
            line.insert(start.size(), R"("new_member":{"choices":[{"delta":{"content":"x"}}]},)");
            body += "event: gateway.ping\ndata: {\"t\":1}\n\nevent: note\ndata: hello\n\n";
        }
        body += line + "\n";
    }
    StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body, events);
    driver.finish(events);
    EXPECT_EQ(meaning_of(events), expected_);
    EXPECT_GT(driver.unknown_events(), 2U);
}

INSTANTIATE_TEST_SUITE_P(
    OpenAiChat,
    StreamConformanceTest,
    testing::Values(
        "openai-chat-stream",
        "openai-chat-stream-tools",
        "openai-chat-stream-refusal",
        "openai-chat-stream-compat"
    ),
    test_name
);

TEST(StreamErrorConformanceTest, ReportsTheProvidersErrorAtEverySplitWithTheTextBefore) {
    const std::string body = read_cassette("openai-chat-stream-error.sse");
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
        StreamEvents events;
        try {
            driver.feed(std::string_view(body).substr(0, cut), events);
            driver.feed(std::string_view(body).substr(cut), events);
            FAIL() << "no error, cut at " << cut;
        } catch (const LLMError& error) {
            ASSERT_EQ(error.errc(), Errc::server_error);
            ASSERT_TRUE(error.code() == make_error_condition(Condition::retryable));
            ASSERT_FALSE(error.diagnostics().status.has_value());
            ASSERT_EQ(error.diagnostics().provider_type, "server_error");
            ASSERT_EQ(meaning_of(events).text, "Partial");
        }
        EXPECT_THROW(driver.finish(events), LLMError);
    }
}

// --- replies -------------------------------------------------------------------------------------

class ReplyConformanceTest : public testing::TestWithParam<std::string> {};

TEST_P(ReplyConformanceTest, MeansWhatTheBodySays) {
    HttpResponse response(200);
    response.headers.add("x-request-id", "req_1");
    response.body = read_cassette(GetParam() + ".json");
    const Json body = parse_json(response.body);
    const Meaning expected = expected_meaning(body);
    const ChatReply reply = codec().decode(response);
    std::string refusal;
    std::string text;
    for (const ContentBlock& block : reply.message.content()) {
        if (const auto* piece = std::get_if<TextBlock>(&block)) {
            (piece->refusal ? refusal : text) += piece->text;
        }
    }
    EXPECT_EQ(text, expected.text);
    EXPECT_EQ(refusal, expected.refusal);
    EXPECT_EQ(reply.message.role(), Role::assistant);
    EXPECT_EQ(reply.message.tool_calls(), expected.calls);
    EXPECT_EQ(reply.usage, expected.usage);
    EXPECT_EQ(reply.stop_reason, expected.stop_reason);
    EXPECT_EQ(reply.raw_stop_reason, expected.finish_reason);
    EXPECT_EQ(reply.id, body.at("id").get<std::string>());
    EXPECT_EQ(reply.model, body.at("model").get<std::string>());
    EXPECT_EQ(reply.request_id, "req_1");
}

TEST_P(ReplyConformanceTest, CutAnywhereIsMalformed) {
    check_cut_reply(codec(), read_cassette(GetParam() + ".json"));
}

INSTANTIATE_TEST_SUITE_P(
    OpenAiChat,
    ReplyConformanceTest,
    testing::Values(
        "openai-chat-response",
        "openai-chat-response-tools",
        "openai-chat-response-refusal",
        "openai-chat-response-logprobs"
    ),
    test_name
);

// --- request -------------------------------------------------------------------------------------

ChatRequest tool_round() {
    ChatRequest request;
    request.system = "Answer briefly.";
    request.params.reasoning_effort = "none";
    request.params.max_tokens = 512;
    request.parallel_tool_calls = true;
    request.tool_choice = ToolChoice(ToolChoice::Mode::automatic);
    request.add(Message::user(std::vector<ContentBlock>{
        TextBlock("Weather and local time in this city?"),
        ImageBlock(MediaSource::base64("iVBORw0KGgo=", "image/png"), "low")}));
    request.add(Message(
        Role::assistant,
        std::vector<ContentBlock>{
            ThinkingBlock("not sent back"),
            ToolCallBlock("call_wireA", "get_weather", R"({"city":"Lisbon","unit":"c"})"),
            ToolCallBlock("call_wireB", "get_time", R"({"tz":"Europe/Lisbon"})")}
    ));
    request.add(Message::tool_results(
        {ToolResultBlock("call_wireA", R"({"temp_c":24,"sky":"sunny"})"),
         ToolResultBlock("call_wireB", "unknown time zone", true)}
    ));
    const Json golden = parse_json(read_cassette("openai-chat-request-toolround.json"));
    for (const Json& tool : golden.at("tools")) {
        const Json& function = tool.at("function");
        ToolSpec& spec = request.tools.emplace_back(
            function.at("name").get<std::string>(),
            function.at("description").get<std::string>(),
            RawJson::from(function.at("parameters"))
        );
        if (function.contains("strict")) {
            spec.strict = function.at("strict").get<bool>();
        }
    }
    return request;
}

TEST(RequestConformanceTest, TheToolRoundIsTheRecordedOne) {
    Endpoint endpoint;
    endpoint.provider = "openai";
    endpoint.base_url = "https://api.openai.com/v1";
    endpoint.model = "gpt-6-luna";
    endpoint.api_key = Secret("sk-wire");
    endpoint.quirks = find_profile("openai")->quirks;
    EncodeCache cache;
    const ChatRequest request = tool_round();
    const Json golden = parse_json(read_cassette("openai-chat-request-toolround.json"));
    for (int turn = 0; turn < 2; ++turn) {  // the second time from the cache
        const HttpRequest http = codec().encode(request, endpoint, true, cache);
        EXPECT_EQ(parse_json(http.body), golden);
        EXPECT_EQ(http.method, "POST");
        EXPECT_EQ(http.target, "/v1/chat/completions");
        EXPECT_EQ(http.headers.get("authorization"), "Bearer sk-wire");
        EXPECT_EQ(http.headers.get("content-type"), "application/json");
        EXPECT_EQ(http.headers.get("accept"), "application/json");
        EXPECT_EQ(cache.size(), 3U);
    }
}

// --- small endpoints -----------------------------------------------------------------------------

TEST(ListConformanceTest, ModelsAndBothFormsOfEmbeddings) {
    HttpResponse models(200);
    models.body = read_cassette("openai-models.json");
    EXPECT_EQ(
        codec().decode_list_models(models),
        (std::vector<std::string>{"gpt-6-luna", "text-embedding-3-small"})
    );
    const std::vector<std::vector<float>> vectors{{0.25F, -0.5F, 1.0F}, {0.0F, 0.125F, -2.0F}};
    for (const char* file : {"openai-embeddings.json", "openai-embeddings-base64.json"}) {
        HttpResponse embeddings(200);
        embeddings.body = read_cassette(file);
        EXPECT_EQ(codec().decode_embeddings(embeddings), vectors) << file;
    }
}

}  // namespace
}  // namespace llmproc
