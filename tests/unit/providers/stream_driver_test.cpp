#include "providers/stream_driver.hpp"

#include <llmproc/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

namespace llmproc {
namespace {

/// Understands "x" (text), "end" and "bad"; flushing the tail is up to the test.
class LetterDecoder final : public StreamDecoder {
public:
    explicit LetterDecoder(bool flush) : flush_(flush) {}
    DecodeStatus feed(const SseEvent& event, StreamEvents& out) override {
        if (event.data == "bad") {
            throw LLMError(Errc::malformed_response, "bad");
        }
        if (event.data == "end") {
            ended_ = true;
            return DecodeStatus::done;
        }
        if (event.data != "x") {
            return DecodeStatus::unknown;
        }
        out.emplace_back(StreamEvent::Type::text, "x");
        return DecodeStatus::ok;
    }
    void finish(StreamEvents& out) override {
        if (!ended_) {
            throw LLMError(Errc::truncated_stream, "no end");
        }
        out.push_back(StreamEvent::stopped(StopReason::end_turn, "end"));
    }
    bool flush_pending_event() const override { return flush_; }

private:
    bool flush_;
    bool ended_ = false;
};

providers::StreamDriver driver(bool flush = false, wire::SseLimits limits = wire::SseLimits()) {
    return {std::make_unique<LetterDecoder>(flush), limits};
}

Errc finish_error(providers::StreamDriver& subject) {
    StreamEvents out;
    try {
        subject.finish(out);
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc::internal;
}

TEST(StreamDriverTest, SkipsAndCountsUnknownEvents) {
    auto subject = driver();
    StreamEvents out;
    subject.feed("data: x\n\nevent: new\ndata: y\n\ndata: end\n\ndata: bad\n\n", out);
    EXPECT_EQ(subject.unknown_events(), 1U);
    subject.feed("data: bad\n\n", out);
    subject.finish(out);
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[1].type, StreamEvent::Type::stop);
}

TEST(StreamDriverTest, NothingIsDecodedAfterAnError) {
    auto subject = driver();
    StreamEvents out;
    EXPECT_THROW(subject.feed("data: x\n\ndata: bad\n\ndata: x\n\n", out), LLMError);
    subject.feed("data: x\n\ndata: end\n\n", out);
    EXPECT_EQ(out.size(), 1U);
    EXPECT_EQ(finish_error(subject), Errc::truncated_stream);
}

TEST(StreamDriverTest, FlushesTheTailOnlyIfTheProtocolSaysSo) {
    auto keeps = driver(true);
    StreamEvents out;
    keeps.feed("data: end", out);
    keeps.finish(out);
    EXPECT_EQ(out.size(), 1U);
    auto drops = driver(false);
    drops.feed("data: end", out);
    EXPECT_EQ(finish_error(drops), Errc::truncated_stream);
}

TEST(StreamDriverTest, ACorruptTailIsTruncation) {
    auto subject = driver(true);
    StreamEvents out;
    subject.feed("data: bad", out);
    EXPECT_EQ(finish_error(subject), Errc::truncated_stream);
}

TEST(StreamDriverTest, AnEventBeyondTheLimitIsAnError) {
    auto subject = driver(false, wire::SseLimits(16, 16));
    StreamEvents out;
    subject.feed("data: x\n\n", out);
    try {
        subject.feed("data: 0123456789012345678901234567890\n\n", out);
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::body_too_large);
    }
}

/// What feeding `body` in pieces of `size` ends with.
Errc feed_error(providers::StreamDriver& subject, std::string_view body, std::size_t size) {
    StreamEvents out;
    try {
        for (; !body.empty(); body.remove_prefix(std::min(size, body.size()))) {
            subject.feed(body.substr(0, size), out);
        }
    } catch (const LLMError& error) {
        EXPECT_NE(error.message().find("connection.max_body_bytes"), std::string::npos);
        return error.errc();
    }
    return Errc();
}

TEST(StreamDriverTest, ABodyBeyondTheLimitIsAnErrorForAnySplit) {
    const std::string body = "data: x\n\ndata: end\n\n: behind the end mark\n";
    for (std::size_t size = 1; size <= body.size(); ++size) {
        providers::StreamDriver fits(
            std::make_unique<LetterDecoder>(false),
            wire::SseLimits(),
            body.size()
        );
        EXPECT_EQ(feed_error(fits, body, size), Errc());
        for (const std::size_t limit : {body.size() - 1, std::size_t{12}, std::size_t{0}}) {
            providers::StreamDriver subject(
                std::make_unique<LetterDecoder>(false),
                wire::SseLimits(),
                limit
            );
            EXPECT_EQ(feed_error(subject, body, size), Errc::body_too_large);
        }
    }
}

TEST(StreamDriverTest, WhatCameBeforeTheLimitIsDelivered) {
    providers::StreamDriver subject(std::make_unique<LetterDecoder>(false), wire::SseLimits(), 11);
    StreamEvents out;
    EXPECT_THROW(subject.feed("data: x\n\ndata: x\n\n", out), LLMError);
    EXPECT_EQ(out.size(), 1U);
    EXPECT_EQ(finish_error(subject), Errc::truncated_stream);
}

TEST(StreamDriverTest, KnowsTheContentTypeOfStreams) {
    const auto is_stream = [](const char* type) {
        return providers::is_event_stream(Headers({{"Content-Type", type}}));
    };
    EXPECT_TRUE(is_stream("text/event-stream"));
    EXPECT_TRUE(is_stream("Text/Event-Stream; charset=utf-8"));
    EXPECT_TRUE(is_stream("text/event-stream;charset=utf-8"));
    EXPECT_FALSE(is_stream("application/json"));
    EXPECT_FALSE(is_stream("text/event-streams"));
    EXPECT_FALSE(is_stream(""));
    EXPECT_FALSE(providers::is_event_stream(Headers()));
}

}  // namespace
}  // namespace llmproc
