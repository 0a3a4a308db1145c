// Every protocol against its recordings: each stream at every split, each reply, a request.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"
#include "providers/codec_checks.hpp"
#include "providers/protocol_case.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using providers::StreamDriver;
using testing_cassettes::BrokenStream;
using testing_cassettes::codec_of;
using testing_cassettes::Meaning;
using testing_cassettes::meaning_of;
using testing_cassettes::protocol_cases;
using testing_cassettes::ProtocolCase;
using testing_cassettes::read_cassette;
using testing_cassettes::RecordedStream;

/// A recording together with its protocol.
template <class Recording>
struct Recorded {
    ProtocolCase protocol;
    Recording recording;
};

std::string file_of(const std::string& file) {
    return file;
}

template <class Recording>
std::string file_of(const Recording& recording) {
    return recording.file;
}

template <class Recording>
void PrintTo(const Recorded<Recording>& recorded, std::ostream* out) {
    *out << file_of(recorded.recording);
}

template <class Recording>
std::vector<Recorded<Recording>> all_of(std::vector<Recording> ProtocolCase::*list) {
    std::vector<Recorded<Recording>> all;
    for (const ProtocolCase& protocol : protocol_cases()) {
        for (const Recording& recording : protocol.*list) {
            all.push_back(Recorded<Recording>{protocol, recording});
        }
    }
    return all;
}

struct FileName {
    template <class Recording>
    std::string operator()(const ::testing::TestParamInfo<Recorded<Recording>>& info) const {
        return testing_cassettes::name_of(file_of(info.param.recording));
    }
    std::string operator()(const ::testing::TestParamInfo<ProtocolCase>& info) const {
        return info.param.codec;
    }
};

/// Spaces in arguments mean nothing where they are objects on the wire.
Meaning comparable(const ProtocolCase& protocol, Meaning meaning) {
    for (ToolCallBlock& call : meaning.calls) {
        if (protocol.arguments_are_objects) {
            call.arguments = parse_json(call.arguments).dump();
        }
    }
    return meaning;
}

/// As documents, arguments by their meaning; what is kept raw is compared where it goes back.
Json comparable(const Message& message) {
    Json blocks = Json::array();
    const Json document = parse_json(message.to_json());
    for (Json block : document.at("content")) {
        if (block.contains("arguments")) {
            block["arguments"] = parse_json(block.at("arguments").get<std::string>());
        }
        if (block.at("type") != "unknown") {
            blocks.push_back(std::move(block));
        }
    }
    return blocks;
}

void expect_goes_back(const ProtocolCase& protocol, const Message& message, const Json& answer) {
    const Json wanted = protocol.goes_back(answer);
    if (wanted.is_null()) {
        return;
    }
    ChatRequest request("before");
    request.add(message);
    request.params.max_tokens = 64;
    EncodeCache cache;
    const HttpRequest http = codec_of(protocol).encode(request, protocol.endpoint, false, cache);
    EXPECT_EQ(protocol.second_message(parse_json(http.body)), wanted);
}

// --- streams -------------------------------------------------------------------------------------

class StreamConformanceTest : public ::testing::TestWithParam<Recorded<RecordedStream>> {
protected:
    const ProtocolCase& protocol_ = GetParam().protocol;
    const Codec& codec_ = codec_of(protocol_);
    const std::string& file_ = GetParam().recording.file;
    std::string body_ = read_cassette(protocol_.codec, file_ + ".sse");
    Json expected_json_ = parse_json(read_cassette(protocol_.codec, file_ + ".expected.json"));
    /// With the spaces that the events have, which the expected answer has not.
    Meaning whole_ = meaning_of(testing_cassettes::decode_pieces(codec_, {body_}));
};

TEST_P(StreamConformanceTest, MeansWhatTheOfficialSdkReads) {
    EXPECT_EQ(
        comparable(protocol_, whole_),
        comparable(protocol_, protocol_.meaning(expected_json_))
    );
    StreamDriver driver(codec_.stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body_, events);
    driver.finish(events);
    EXPECT_EQ(driver.unknown_events(), GetParam().recording.unknown_events);
    EXPECT_EQ(driver.decoder().usage(), whole_.usage);
    const ChatReply reply = testing_cassettes::read_stream(codec_, body_);
    EXPECT_EQ(reply.id, expected_json_.at(protocol_.id_key).get<std::string>());
    EXPECT_EQ(reply.model, expected_json_.at(protocol_.model_key).get<std::string>());
    EXPECT_EQ(reply.message.tool_calls(), whole_.calls);
}

TEST_P(StreamConformanceTest, TheStreamedReplyIsTheReplyOfTheSameAnswer) {
    const ChatReply streamed = testing_cassettes::read_stream(codec_, body_);
    HttpResponse response(200);
    response.body = expected_json_.dump();
    const ChatReply reply = codec_.decode(response);
    EXPECT_EQ(comparable(streamed.message), comparable(reply.message));
    EXPECT_EQ(streamed.usage, reply.usage);
    EXPECT_EQ(streamed.stop_reason, reply.stop_reason);
    EXPECT_EQ(streamed.raw_stop_reason, reply.raw_stop_reason);
}

TEST_P(StreamConformanceTest, TheReplyGoesBackAsItCame) {
    const ChatReply reply = testing_cassettes::read_stream(codec_, body_);
    expect_goes_back(protocol_, reply.message, expected_json_);
    // Also after it was kept as text.
    const Message kept = Message::from_json(reply.message.to_json());
    expect_goes_back(protocol_, kept, expected_json_);
}

TEST_P(StreamConformanceTest, MeansTheSameAtEverySplit) {
    testing_cassettes::check_every_split(codec_, body_, whole_);
}

TEST_P(StreamConformanceTest, MeansTheSameByteByByte) {
    testing_cassettes::check_byte_by_byte(codec_, body_, whole_);
}

TEST_P(StreamConformanceTest, Trap15_CutAnywhereIsNeverASuccessBeforeItsEnd) {
    const std::size_t complete = protocol_.complete_at(body_);
    ASSERT_LE(complete, body_.size());
    testing_cassettes::check_cut_anywhere(codec_, body_, complete, whole_);
}

TEST_P(StreamConformanceTest, AMutatedByteIsABoundedErrorOrAnotherAnswer) {
    testing_cassettes::check_mutated_bytes(codec_, body_);
}

TEST_P(StreamConformanceTest, UnknownMembersAndEventsChangeNothing) {
    std::string body;
    std::istringstream lines(body_);
    for (std::string line; std::getline(lines, line);) {
        const std::string_view start = "data: {";
        if (line.rfind(start, 0) == 0) {
            line.insert(start.size(), protocol_.new_member);
            line += "\n\nevent: gateway.ping\ndata: {\"type\":\"gateway.ping\",\"t\":1}"
                    "\n\nevent: note\ndata: hello\n";
        }
        body += line + "\n";
    }
    StreamDriver driver(codec_.stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body, events);
    driver.finish(events);
    EXPECT_EQ(meaning_of(events), whole_);
    EXPECT_GT(driver.unknown_events(), 2U);
}

TEST_P(StreamConformanceTest, NamesOfEventsMayBeLeftOut) {
    std::string body;
    std::istringstream lines(body_);
    for (std::string line; std::getline(lines, line);) {
        body += line.rfind("event:", 0) == 0 ? "" : line + "\n";
    }
    testing_cassettes::check_byte_by_byte(codec_, body, whole_);
}

/// The events of a body, each with its blank line.
std::vector<std::string> events_of(const std::string& body) {
    std::vector<std::string> events(1);
    std::istringstream lines(body);
    for (std::string line; std::getline(lines, line);) {
        events.back() += line + "\n";
        if (line.empty() || line == "\r") {
            events.emplace_back();
        }
    }
    events.back() += "\n\n";  // some streams lack the last one
    return events;
}

/// What a damaged stream means: a typed error, or a reply with one end.
void check_damaged(const Codec& codec, const std::vector<std::string>& events) {
    std::string body;
    for (const std::string& event : events) {
        body += event;
    }
    try {
        ASSERT_EQ(meaning_of(testing_cassettes::decode_pieces(codec, {body})).stops, 1);
        ASSERT_LE(testing_cassettes::read_stream(codec, body).text().size(), body.size());
    } catch (const LLMError& error) {
        ASSERT_TRUE(
            error.errc() == Errc::malformed_response || error.errc() == Errc::truncated_stream
        ) << error.what();
    }
}

TEST_P(StreamConformanceTest, ReorderedEventsAreAnErrorOrAReply) {
    const std::vector<std::string> events = events_of(body_);
    for (std::size_t from = 0; from < events.size(); ++from) {
        for (std::size_t to = 0; to < events.size(); ++to) {
            std::vector<std::string> damaged = events;
            damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(from));
            damaged.insert(damaged.begin() + static_cast<std::ptrdiff_t>(to), events[from]);
            SCOPED_TRACE("from " + std::to_string(from) + " to " + std::to_string(to));
            check_damaged(codec_, damaged);
        }
    }
}

TEST_P(StreamConformanceTest, DuplicatedEventsAreAnErrorOrAReply) {
    const std::vector<std::string> events = events_of(body_);
    for (std::size_t at = 0; at < events.size(); ++at) {
        std::vector<std::string> damaged = events;
        damaged.insert(damaged.begin() + static_cast<std::ptrdiff_t>(at), events[at]);
        SCOPED_TRACE(at);
        check_damaged(codec_, damaged);
    }
}

TEST_P(StreamConformanceTest, LostEventsAreAnErrorOrAReply) {
    const std::vector<std::string> events = events_of(body_);
    for (std::size_t at = 0; at < events.size(); ++at) {
        std::vector<std::string> damaged = events;
        damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(at));
        SCOPED_TRACE(at);
        check_damaged(codec_, damaged);
    }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    StreamConformanceTest,
    ::testing::ValuesIn(all_of(&ProtocolCase::streams)),
    FileName()
);

class BrokenStreamConformanceTest : public ::testing::TestWithParam<Recorded<BrokenStream>> {};

TEST_P(BrokenStreamConformanceTest, Trap15_IsAnErrorAtEverySplitWithTheTextBefore) {
    const ProtocolCase& protocol = GetParam().protocol;
    const BrokenStream& wanted = GetParam().recording;
    const std::string body = read_cassette(protocol.codec, wanted.file + ".sse");
    for (std::size_t cut = 0; cut <= body.size(); ++cut) {
        StreamDriver driver(codec_of(protocol).stream_decoder(), wire::SseLimits());
        StreamEvents events;
        try {
            driver.feed(std::string_view(body).substr(0, cut), events);
            driver.feed(std::string_view(body).substr(cut), events);
            driver.finish(events);
            FAIL() << "no error, cut at " << cut;
        } catch (const LLMError& error) {
            ASSERT_EQ(error.errc(), wanted.code) << error.what();
            ASSERT_TRUE(error.code() == make_error_condition(Condition::retryable));
            const Diagnostics& known = error.diagnostics();
            ASSERT_FALSE(known.status.has_value());
            ASSERT_TRUE(
                known.provider_type == wanted.word || known.provider_code == wanted.word ||
                known.provider_message == wanted.word
            ) << error.what();
            ASSERT_EQ(known.request_id, wanted.request_id);
            ASSERT_EQ(driver.decoder().usage().input_tokens, wanted.input_tokens);
            ASSERT_EQ(meaning_of(events).text, wanted.text);
            ASSERT_EQ(meaning_of(events).stops, 0);
        }
        EXPECT_THROW(driver.finish(events), LLMError);
    }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    BrokenStreamConformanceTest,
    ::testing::ValuesIn(all_of(&ProtocolCase::broken_streams)),
    FileName()
);

// --- replies -------------------------------------------------------------------------------------

class ReplyConformanceTest : public ::testing::TestWithParam<Recorded<std::string>> {
protected:
    const ProtocolCase& protocol_ = GetParam().protocol;
    const Codec& codec_ = codec_of(protocol_);
    std::string body_ = read_cassette(protocol_.codec, GetParam().recording + ".json");
};

TEST_P(ReplyConformanceTest, MeansWhatTheBodySaysAndGoesBackAsItCame) {
    HttpResponse response(200);
    response.headers.add("x-request-id", "req_1");
    response.body = body_;
    const Json body = parse_json(body_);
    const Meaning expected = comparable(protocol_, protocol_.meaning(body));
    const ChatReply reply = codec_.decode(response);
    Meaning calls;
    calls.calls = reply.message.tool_calls();
    EXPECT_EQ(comparable(protocol_, calls).calls, expected.calls);
    EXPECT_EQ(reply.text(), expected.text + expected.refusal);
    EXPECT_EQ(reply.message.thinking(), expected.thinking);
    EXPECT_EQ(reply.message.role(), Role::assistant);
    EXPECT_EQ(reply.usage, expected.usage);
    EXPECT_EQ(reply.stop_reason, expected.stop_reason);
    EXPECT_EQ(reply.raw_stop_reason, expected.finish_reason);
    EXPECT_EQ(reply.id, body.at(protocol_.id_key).get<std::string>());
    EXPECT_EQ(reply.model, body.at(protocol_.model_key).get<std::string>());
    EXPECT_EQ(reply.request_id, codec_.request_id(response.headers));
    expect_goes_back(protocol_, reply.message, body);
    expect_goes_back(protocol_, Message::from_json(reply.message.to_json()), body);
}

TEST_P(ReplyConformanceTest, CutAnywhereIsMalformed) {
    testing_cassettes::check_cut_reply(codec_, body_);
}

INSTANTIATE_TEST_SUITE_P(
    All,
    ReplyConformanceTest,
    ::testing::ValuesIn(all_of(&ProtocolCase::replies)),
    FileName()
);

// --- requests ------------------------------------------------------------------------------------

class RequestConformanceTest : public ::testing::TestWithParam<ProtocolCase> {};

TEST_P(RequestConformanceTest, TheToolRoundIsTheRecordedOne) {
    const ProtocolCase& protocol = GetParam();
    const ChatRequest request = protocol.tool_round();
    const Json golden = parse_json(read_cassette(protocol.codec, protocol.tool_round_file));
    EncodeCache cache;
    std::string first;
    for (int turn = 0; turn < 2; ++turn) {  // the second time from the cache
        const HttpRequest http = codec_of(protocol).encode(
            request,
            protocol.endpoint,
            protocol.tool_round_streams,
            cache
        );
        EXPECT_EQ(parse_json(http.body), golden);
        EXPECT_EQ(cache.size(), request.messages.size());
        EXPECT_EQ(http.method, "POST");
        EXPECT_EQ(http.headers.get("content-type"), "application/json");
        EXPECT_TRUE(turn == 0 || http.body == first);
        first = http.body;
    }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    RequestConformanceTest,
    ::testing::ValuesIn(protocol_cases()),
    FileName()
);

}  // namespace
}  // namespace llmproc
