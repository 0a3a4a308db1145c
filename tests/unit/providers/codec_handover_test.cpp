// A conversation that one provider answered goes on with another: what only the first one
// understands (signatures, encrypted reasoning, item ids) must not reach the second, which would
// refuse it.
#include <llmproc/message.hpp>
#include <llmproc/provider.hpp>
#include "core/json_reader.hpp"
#include "providers/cassette.hpp"
#include "providers/codec_checks.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing_cassettes::read_stream;

/// One vendor's recorded answers, and what in them is for its own eyes.
struct Vendor {
    const char* codec;
    const char* reply;
    std::vector<std::string> streams;
    std::vector<std::string> own;
};

const std::vector<Vendor>& vendors() {
    static const std::vector<Vendor> all{
        {"anthropic",
         "anthropic-response-tools.json",
         {"anthropic-stream-thinking.sse", "anthropic-stream-tool.sse"},
         {"EqQBwire-signature==", "EmwKwire-redacted=="}},
        {"gemini",
         "gemini-response-tools.json",
         {"gemini-stream-tool.sse", "gemini-stream.sse"},
         {"Q2lRQndpcmU="}},
        {"openai_chat",
         "openai-chat-response-reasoning.json",
         {"openai-chat-stream-compat.sse", "openai-chat-stream-tools.sse"},
         {"reasoning_details", "EpwCwire-gateway-signature==", "eyJwire-gateway-blob=="}},
        {"openai_responses",
         "openai-responses-response-tools.json",
         {"openai-responses-stream.sse", "openai-responses-stream-tools.sse"},
         {"gAAAAABwire-opaque-blob==", "rs_wire01", "msg_wire01", "fc_wire01"}},
    };
    return all;
}

/// A whole conversation: every recorded answer, its tool calls answered, and one more question.
History conversation(const Vendor& vendor) {
    const Codec& codec = *find_codec(vendor.codec);
    std::vector<ChatReply> replies;
    HttpResponse whole(200);
    whole.body = testing_cassettes::read_cassette(vendor.codec, vendor.reply);
    replies.push_back(codec.decode(whole));
    for (const std::string& stream : vendor.streams) {
        const std::string body = testing_cassettes::read_cassette(vendor.codec, stream);
        replies.push_back(read_stream(codec, body));
    }
    History history;
    const auto add = [&history](Message message) {
        history.push_back(std::make_shared<const Message>(std::move(message)));
    };
    for (const ChatReply& reply : replies) {
        add(Message::user("question"));
        add(reply.message);
        std::vector<ToolResultBlock> results;
        for (const ToolCallBlock& call : reply.message.tool_calls()) {
            results.emplace_back(call.id, "result");
        }
        if (!results.empty()) {
            add(Message::tool_results(std::move(results)));
            add(Message::assistant("I see."));
        }
    }
    add(Message::user("and now?"));
    return history;
}

std::string encoded(const Vendor& vendor, History history) {
    Endpoint endpoint;
    endpoint.provider = vendor.codec;
    endpoint.base_url = "https://localhost";
    endpoint.model = "m";
    ChatRequest request(std::move(history));
    request.params.max_tokens = 10;
    EncodeCache cache;
    return find_codec(vendor.codec)->encode(request, endpoint, false, cache).body;
}

class CodecHandoverTest : public ::testing::TestWithParam<std::size_t> {
protected:
    const Vendor& from() const { return vendors()[GetParam()]; }
};

TEST_P(CodecHandoverTest, WhatIsForItsOwnEyesGoesBackToItsOwner) {
    // Otherwise the next test would prove nothing.
    const std::string body = encoded(from(), conversation(from()));
    for (const std::string& own : from().own) {
        EXPECT_NE(body.find(own), std::string::npos) << own << "\n" << body;
    }
}

TEST_P(CodecHandoverTest, NobodyElseGetsIt) {
    for (const Vendor& to : vendors()) {
        if (std::string(to.codec) == from().codec) {
            continue;
        }
        const std::string body = encoded(to, conversation(from()));
        for (const std::string& own : from().own) {
            EXPECT_EQ(body.find(own), std::string::npos)
                << own << " of " << from().codec << " to " << to.codec << "\n"
                << body;
        }
        EXPECT_NE(body.find("and now?"), std::string::npos);
        EXPECT_NE(body.find("get_weather"), std::string::npos) << "tool calls go along";
        JsonReader(body).skip();
    }
}

TEST_P(CodecHandoverTest, EveryToolCallKeepsItsResult) {
    const History history = conversation(from());
    std::size_t calls = 0;
    for (const auto& message : history) {
        calls += message->tool_calls().size();
    }
    ASSERT_GT(calls, 1U);
    for (const Vendor& to : vendors()) {
        const std::string body = encoded(to, history);
        std::size_t results = 0;
        for (std::size_t at = 0; (at = body.find("\"result\"", at)) != std::string::npos; ++at) {
            ++results;
        }
        EXPECT_EQ(results, calls) << from().codec << " to " << to.codec << "\n" << body;
    }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    CodecHandoverTest,
    ::testing::Range<std::size_t>(0, 4),
    [](const auto& row) { return std::string(vendors()[row.param].codec); }
);

}  // namespace
}  // namespace llmproc
