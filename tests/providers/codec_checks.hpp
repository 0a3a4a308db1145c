// What every codec's streams and replies must withstand, whatever the protocol.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "model/reply_builder.hpp"
#include "providers/stream_driver.hpp"
#include "support/sanitizers.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::testing_cassettes {

/// Every byte; sanitizers find what they find at every seventh, and where each byte comes alone.
inline constexpr std::size_t stride = testing::sanitized ? 7 : 1;

/// What a stream meant, however it was cut.
struct Meaning {
    std::string text;
    std::string refusal;
    std::string thinking;
    std::vector<ToolCallBlock> calls;
    Usage usage;
    StopReason stop_reason = StopReason::unknown;
    std::string finish_reason;
    int stops = 0;
    friend bool operator==(const Meaning&, const Meaning&) = default;
};

inline void PrintTo(const Meaning& meaning, std::ostream* out) {
    *out << "text=" << meaning.text << " refusal=" << meaning.refusal
         << " thinking=" << meaning.thinking << " calls=" << meaning.calls.size()
         << " finish=" << meaning.finish_reason << " stops=" << meaning.stops
         << " tokens=" << meaning.usage.total_tokens;
}

inline Meaning meaning_of(const StreamEvents& events) {
    Meaning meaning;
    for (const StreamEvent& event : events) {
        EXPECT_EQ(meaning.stops, 0) << "an event after stop";
        switch (event.type) {
            case StreamEvent::Type::text: meaning.text += event.data; break;
            case StreamEvent::Type::refusal: meaning.refusal += event.data; break;
            case StreamEvent::Type::thinking: meaning.thinking += event.data; break;
            case StreamEvent::Type::tool_call_begin:
                EXPECT_EQ(event.index, meaning.calls.size());
                meaning.calls.emplace_back(event.tool_call_id, event.tool_name, "");
                break;
            case StreamEvent::Type::tool_call_arguments:
                meaning.calls.at(event.index).arguments += event.data;
                break;
            case StreamEvent::Type::usage: meaning.usage = event.usage; break;
            case StreamEvent::Type::stop:
                ++meaning.stops;
                meaning.stop_reason = event.stop_reason;
                meaning.finish_reason = event.data;
                break;
            case StreamEvent::Type::other: break;
        }
    }
    return meaning;
}

/// Decodes a body that comes in the given pieces.
inline StreamEvents decode_pieces(const Codec& codec, const std::vector<std::string_view>& pieces) {
    providers::StreamDriver driver(codec.stream_decoder(), wire::SseLimits());
    StreamEvents events;
    for (const std::string_view piece : pieces) {
        // A copy of its own, so that a view kept too long is seen by ASan.
        const std::string own(piece);
        driver.feed(own, events);
    }
    driver.finish(events);
    return events;
}

/// A whole stream as the reply that a run would have.
inline ChatReply read_stream(const Codec& codec, std::string_view body) {
    providers::StreamDriver driver(codec.stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body, events);
    driver.finish(events);
    ReplyBuilder builder;
    for (const StreamEvent& event : events) {
        builder.add(event);
    }
    ChatReply reply = builder.finish();
    driver.decoder().complete(reply);
    return reply;
}

inline void check_every_split(const Codec& codec, std::string_view body, const Meaning& expected) {
    for (std::size_t cut = 0; cut <= body.size(); cut += stride) {
        ASSERT_EQ(
            meaning_of(decode_pieces(codec, {body.substr(0, cut), body.substr(cut)})),
            expected
        ) << "cut at "
          << cut;
    }
}

inline void check_byte_by_byte(const Codec& codec, std::string_view body, const Meaning& expected) {
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < body.size(); ++i) {
        bytes.push_back(body.substr(i, 1));
    }
    EXPECT_EQ(meaning_of(decode_pieces(codec, bytes)), expected);
}

/// A body that ends before `complete_at` must be a truncation, a longer one may be whole.
inline void check_cut_anywhere(
    const Codec& codec,
    std::string_view body,
    std::size_t complete_at,
    const Meaning& expected
) {
    for (std::size_t cut = 0; cut < body.size(); cut += stride) {
        try {
            const Meaning meaning = meaning_of(decode_pieces(codec, {body.substr(0, cut)}));
            ASSERT_GE(cut, complete_at);
            ASSERT_EQ(meaning.stops, 1);
            ASSERT_EQ(meaning.text, expected.text);
            ASSERT_EQ(meaning.calls, expected.calls);
        } catch (const LLMError& error) {
            ASSERT_EQ(error.errc(), Errc::truncated_stream) << "cut at " << cut << error.what();
        }
    }
}

inline void check_mutated_bytes(const Codec& codec, const std::string& body) {
    constexpr std::string_view bytes("\x00\xff{}[]\",:\\x\n0-", 14);
    for (std::size_t at = 0; at < body.size(); at += stride) {
        std::string mutated = body;
        mutated[at] = bytes[at % bytes.size()];
        try {
            ASSERT_EQ(meaning_of(decode_pieces(codec, {mutated})).stops, 1);
        } catch (const LLMError& error) {
            ASSERT_LT(error.message().size(), 3000U);
            ASSERT_TRUE(
                error.errc() == Errc::malformed_response ||
                error.errc() == Errc::truncated_stream || error.errc() == Errc::server_error
            ) << error.what();
        }
    }
}

inline void check_cut_reply(const Codec& codec, const std::string& body) {
    for (std::size_t cut = 0; cut <= body.rfind('}'); cut += stride) {
        HttpResponse response(200);
        response.body = body.substr(0, cut);
        try {
            static_cast<void>(codec.decode(response));
            FAIL() << "accepted, cut at " << cut;
        } catch (const LLMError& error) {
            ASSERT_EQ(error.errc(), Errc::malformed_response);
        }
    }
}

}  // namespace llmproc::testing_cassettes
