// Replays the recorded cassettes of OpenAI Responses through its codec.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"
#include "providers/codec_checks.hpp"

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
using testing_cassettes::Meaning;
using testing_cassettes::meaning_of;

const Codec& responses() {
    return *find_codec("openai_responses");
}

std::string cassette(const std::string& name) {
    return testing_cassettes::read_cassette("openai_responses", name);
}

Endpoint openai() {
    Endpoint endpoint;
    endpoint.provider = "openai_responses";
    endpoint.base_url = "https://api.openai.com/v1";
    endpoint.model = "gpt-6-astra";
    endpoint.api_key = Secret("sk-wire");
    endpoint.quirks = find_profile("openai_responses")->quirks;
    return endpoint;
}

/// The meaning of a whole response object, read by another parser than the codec's.
Meaning expected_meaning(const Json& response) {
    Meaning meaning;
    for (const Json& item : response.at("output")) {
        const std::string type = item.at("type").get<std::string>();
        if (type == "reasoning") {
            for (const Json& part : item.at("summary")) {
                meaning.thinking += part.at("text").get<std::string>();
            }
        } else if (type == "function_call") {
            meaning.calls.emplace_back(
                item.at("call_id").get<std::string>(),
                item.at("name").get<std::string>(),
                item.at("arguments").get<std::string>()
            );
        } else if (type == "message") {
            for (const Json& part : item.at("content")) {
                meaning.text += part.value("text", "");
                meaning.refusal += part.value("refusal", "");
            }
        }
    }
    if (const Json& usage = response.at("usage"); !usage.is_null()) {
        meaning.usage.reported = true;
        meaning.usage.input_tokens = usage.at("input_tokens").get<std::int64_t>();
        meaning.usage.output_tokens = usage.at("output_tokens").get<std::int64_t>();
        meaning.usage.total_tokens = usage.at("total_tokens").get<std::int64_t>();
        const Json& input = usage.at("input_tokens_details");
        meaning.usage.cached_input_tokens = input.at("cached_tokens").get<std::int64_t>();
        meaning.usage.cache_write_tokens = input.at("cache_write_tokens").get<std::int64_t>();
        meaning.usage.reasoning_tokens =
            usage.at("output_tokens_details").at("reasoning_tokens").get<std::int64_t>();
    }
    meaning.stops = 1;
    meaning.finish_reason = response.at("status").get<std::string>();
    if (const Json& details = response.at("incomplete_details"); !details.is_null()) {
        meaning.finish_reason = details.at("reason").get<std::string>();
        meaning.stop_reason = StopReason::max_tokens;
    } else if (!meaning.calls.empty()) {
        meaning.stop_reason = StopReason::tool_use;
    } else {
        meaning.stop_reason = meaning.refusal.empty() ? StopReason::end_turn : StopReason::refusal;
    }
    return meaning;
}

/// The items that the message becomes when it is sent back.
Json replayed(const Message& message) {
    ChatRequest request;
    request.add(message);
    EncodeCache cache;
    return parse_json(responses().encode(request, openai(), false, cache).body).at("input");
}

/// The output as it must be sent back: helper members of the SDK and logprobs are not.
Json replayable(Json output) {
    for (Json& item : output) {
        item.erase("parsed_arguments");
        if (item.contains("content")) {
            for (Json& part : item.at("content")) {
                part.erase("parsed");
                part.erase("logprobs");
            }
        }
    }
    return output;
}

// --- streams -------------------------------------------------------------------------------------

class ResponsesStreamConformanceTest : public testing::TestWithParam<std::string> {
protected:
    std::string body_ = cassette(GetParam() + ".sse");
    Json expected_json_ = parse_json(cassette(GetParam() + ".expected.json"));
    Meaning expected_ = expected_meaning(expected_json_);
};

TEST_P(ResponsesStreamConformanceTest, MeansWhatTheOfficialSdkReads) {
    StreamDriver driver(responses().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body_, events);
    EXPECT_TRUE(driver.done());
    driver.finish(events);
    EXPECT_EQ(meaning_of(events), expected_);
    EXPECT_EQ(driver.unknown_events(), 0U);
    const ChatReply reply = testing_cassettes::read_stream(responses(), body_);
    EXPECT_EQ(reply.id, expected_json_.at("id").get<std::string>());
    EXPECT_EQ(reply.model, expected_json_.at("model").get<std::string>());
    EXPECT_EQ(replayed(reply.message), replayable(expected_json_.at("output")));
}

TEST_P(ResponsesStreamConformanceTest, MeansTheSameAtEverySplit) {
    testing_cassettes::check_every_split(responses(), body_, expected_);
}

TEST_P(ResponsesStreamConformanceTest, MeansTheSameByteByByte) {
    testing_cassettes::check_byte_by_byte(responses(), body_, expected_);
}

TEST_P(ResponsesStreamConformanceTest, CutAnywhereIsNeverASuccessBeforeTheLastEvent) {
    const std::string status = expected_json_.at("status").get<std::string>();
    const std::size_t last = body_.find("data: {\"type\":\"response." + status);
    ASSERT_NE(last, std::string::npos);
    testing_cassettes::check_cut_anywhere(responses(), body_, body_.find('\n', last), expected_);
}

TEST_P(ResponsesStreamConformanceTest, AMutatedByteIsABoundedErrorOrAnotherAnswer) {
    testing_cassettes::check_mutated_bytes(responses(), body_);
}

TEST_P(ResponsesStreamConformanceTest, UnknownMembersAndEventsChangeNothing) {
    std::string body;
    std::istringstream lines(body_);
    for (std::string line; std::getline(lines, line);) {
        const std::string start = "data: {";
        if (line.rfind(start, 0) == 0) {
            line.insert(start.size(), R"("new_member":{"delta":"x","item":{"type":"message"}},)");
            line +=
                "\n\nevent: response.new_kind.delta\ndata: {\"type\":\"response.new_kind.delta\","
                "\"output_index\":-7,\"delta\":\"x\"}\n\nevent: note\ndata: hello\n\n"
                "event: keepalive\ndata: {\"type\":\"keepalive\",\"sequence_number\":3}\n";
        }
        body += line + "\n";
    }
    StreamDriver driver(responses().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body, events);
    driver.finish(events);
    EXPECT_EQ(meaning_of(events), expected_);
    EXPECT_GT(driver.unknown_events(), 2U);
}

TEST_P(ResponsesStreamConformanceTest, NamesOfEventsMayBeLeftOut) {
    std::string body;
    std::istringstream lines(body_);
    for (std::string line; std::getline(lines, line);) {
        body += line.rfind("event:", 0) == 0 ? "" : line + "\n";
    }
    EXPECT_EQ(meaning_of(testing_cassettes::decode_pieces(responses(), {body})), expected_);
}

INSTANTIATE_TEST_SUITE_P(
    OpenAiResponses,
    ResponsesStreamConformanceTest,
    testing::Values(
        "openai-responses-stream",
        "openai-responses-stream-tools",
        "openai-responses-stream-refusal",
        "openai-responses-stream-incomplete"
    ),
    testing_cassettes::test_name
);

/// A stream that ends with an error after HTTP 200, wherever it is cut into two reads.
void expect_error_at_every_split(const std::string& file, Errc code, std::string_view words) {
    const std::string body = cassette(file);
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        StreamDriver driver(responses().stream_decoder(), wire::SseLimits());
        StreamEvents events;
        try {
            driver.feed(std::string_view(body).substr(0, cut), events);
            driver.feed(std::string_view(body).substr(cut), events);
            FAIL() << "no error, cut at " << cut;
        } catch (const LLMError& error) {
            ASSERT_EQ(error.errc(), code) << error.what();
            ASSERT_TRUE(error.code() == make_error_condition(Condition::retryable));
            ASSERT_FALSE(error.diagnostics().status.has_value());
            ASSERT_EQ(error.diagnostics().provider_message, words);
            ASSERT_TRUE(events.empty());
        }
        EXPECT_THROW(driver.finish(events), LLMError);
    }
}

TEST(ResponsesStreamErrorConformanceTest, Trap5_FailedComesWithStatus200AndIsAnError) {
    expect_error_at_every_split(
        "openai-responses-stream-failed.sse",
        Errc::server_error,
        "The model failed to generate a response."
    );
}

TEST(ResponsesStreamErrorConformanceTest, Trap15_AnErrorEventEndsTheStreamAsAnError) {
    expect_error_at_every_split(
        "openai-responses-stream-error.sse",
        Errc::rate_limited,
        "Rate limit reached for requests."
    );
}

TEST(ResponsesStreamErrorConformanceTest, TheFailedResponseAsAWholeAnswerIsTheSameError) {
    HttpResponse response(200);
    response.headers.add("x-request-id", "req_5");
    response.body = cassette("openai-responses-stream-failed.expected.json");
    try {
        static_cast<void>(responses().decode(response));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::server_error);
        EXPECT_EQ(error.diagnostics().request_id, "req_5");
    }
}

// --- replies -------------------------------------------------------------------------------------

class ResponsesReplyConformanceTest : public testing::TestWithParam<std::string> {};

TEST_P(ResponsesReplyConformanceTest, MeansWhatTheBodySaysAndIsSentBackAsItCame) {
    HttpResponse response(200);
    response.headers.add("x-request-id", "req_1");
    response.body = cassette(GetParam() + ".json");
    const Json body = parse_json(response.body);
    const Meaning expected = expected_meaning(body);
    const ChatReply reply = responses().decode(response);
    EXPECT_EQ(reply.text(), expected.text + expected.refusal);
    EXPECT_EQ(reply.message.thinking(), expected.thinking);
    EXPECT_EQ(reply.message.role(), Role::assistant);
    EXPECT_EQ(reply.message.tool_calls(), expected.calls);
    EXPECT_EQ(reply.usage, expected.usage);
    EXPECT_EQ(reply.stop_reason, expected.stop_reason);
    EXPECT_EQ(reply.raw_stop_reason, expected.finish_reason);
    EXPECT_EQ(reply.id, body.at("id").get<std::string>());
    EXPECT_EQ(reply.model, body.at("model").get<std::string>());
    EXPECT_EQ(reply.request_id, "req_1");
    EXPECT_EQ(replayed(reply.message), replayable(body.at("output")));
    // Also after it was kept as text.
    EXPECT_EQ(replayed(Message::from_json(reply.message.to_json())), replayable(body.at("output")));
}

TEST_P(ResponsesReplyConformanceTest, CutAnywhereIsMalformed) {
    testing_cassettes::check_cut_reply(responses(), cassette(GetParam() + ".json"));
}

INSTANTIATE_TEST_SUITE_P(
    OpenAiResponses,
    ResponsesReplyConformanceTest,
    testing::Values(
        "openai-responses-response",
        "openai-responses-response-tools",
        "openai-responses-stream-refusal.expected",
        "openai-responses-stream-incomplete.expected"
    ),
    testing_cassettes::test_name
);

// --- requests ------------------------------------------------------------------------------------

ChatRequest tool_round() {
    ChatRequest request;
    request.system = "Answer briefly.";
    request.params.reasoning_effort = "low";  // replaced by extra_body
    request.params.max_tokens = 1024;
    request.params.extra_body = RawJson(
        R"({"prompt_cache_key":"tenant-7","reasoning":{"effort":"medium","summary":"auto"}})"
    );
    request.parallel_tool_calls = true;
    request.tool_choice = ToolChoice(ToolChoice::Mode::automatic);
    request.add(Message::user(std::vector<ContentBlock>{
        TextBlock("Weather in the city of this photo and in Porto?"),
        ImageBlock(MediaSource::base64("iVBORw0KGgo=", "image/png"), "low"),
        DocumentBlock(MediaSource::base64("JVBERi0xLjQ=", "application/pdf"), "notes.pdf")}));
    HttpResponse response(200);
    response.body = cassette("openai-responses-response-tools.json");
    request.add(responses().decode(response).message);
    request.add(Message::tool_results(
        {ToolResultBlock("call_wireA", R"({"temp_c":24})"),
         ToolResultBlock(
             "call_wireB",
             std::vector<ToolResultContent>{
                 TextBlock("radar image:"),
                 ImageBlock(MediaSource::base64("iVBORw0KGgo=", "image/png"), "auto")}
         )}
    ));
    const Json golden = parse_json(cassette("openai-responses-request-toolround.json"));
    for (const Json& tool : golden.at("tools")) {
        ToolSpec& spec = request.tools.emplace_back(
            tool.at("name").get<std::string>(),
            tool.at("description").get<std::string>(),
            RawJson::from(tool.at("parameters"))
        );
        spec.strict = tool.at("strict").get<bool>();
    }
    return request;
}

TEST(ResponsesRequestConformanceTest, TheToolRoundIsTheRecordedOne) {
    EncodeCache cache;
    const ChatRequest request = tool_round();
    const Json golden = parse_json(cassette("openai-responses-request-toolround.json"));
    for (int turn = 0; turn < 2; ++turn) {  // the second time from the cache
        const HttpRequest http = responses().encode(request, openai(), true, cache);
        EXPECT_EQ(parse_json(http.body), golden);
        EXPECT_EQ(cache.size(), 3U);
    }
}

TEST(ResponsesRequestConformanceTest, GoesWhereTheOfficialSdkGoes) {
    const Json recorded = parse_json(cassette("sdk-requests.json"));
    EncodeCache cache;
    const ChatRequest request("hi");
    const HttpRequest run = responses().encode(request, openai(), false, cache);
    const HttpRequest count = responses().encode_count_tokens(request, openai()).value();
    const std::vector<std::pair<std::string, const HttpRequest*>> both{
        {"openai responses", &run},
        {"openai input tokens", &count}};
    for (const auto& [name, http] : both) {
        const Json& wanted = recorded.at(name);
        EXPECT_EQ(http->method, wanted.at("method").get<std::string>());
        EXPECT_EQ(http->target, wanted.at("url").get<std::string>());
        for (const char* header : {"accept", "authorization", "content-type"}) {
            EXPECT_EQ(
                http->headers.get(header),
                wanted.at("headers").at(header).get<std::string>()
            );
        }
        const Json body = parse_json(http->body);
        EXPECT_EQ(body.at("model"), wanted.at("body").at("model"));
        // A text as input is short for one message of the user.
        ASSERT_EQ(body.at("input").size(), 1U);
        EXPECT_EQ(body.at("input").at(0).at("role"), "user");
        EXPECT_EQ(body.at("input").at(0).at("content"), wanted.at("body").at("input"));
    }
    EXPECT_EQ(parse_json(count.body).size(), 2U);
}

TEST(ResponsesListConformanceTest, CountsModelsAndEmbeddings) {
    HttpResponse count(200);
    count.body = cassette("openai-responses-input-tokens.json");
    const TokenCount tokens = responses().decode_count_tokens(count);
    EXPECT_EQ(tokens.input_tokens, 77);
    EXPECT_TRUE(tokens.exact);
    EXPECT_EQ(tokens.source, TokenSource::provider);
    HttpResponse models(200);
    models.body = testing_cassettes::read_cassette("openai-models.json");
    EXPECT_EQ(responses().decode_list_models(models).size(), 2U);
    EXPECT_EQ(responses().encode_list_models(openai())->target, "/v1/models");
    HttpResponse embeddings(200);
    embeddings.body = testing_cassettes::read_cassette("openai-embeddings.json");
    EXPECT_EQ(responses().decode_embeddings(embeddings).size(), 2U);
    EXPECT_EQ(responses().encode_embeddings({"a"}, openai())->target, "/v1/embeddings");
}

}  // namespace
}  // namespace llmproc
