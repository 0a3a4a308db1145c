#include "providers/text_frame.hpp"

#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {
namespace {

std::string chunk(std::string_view text, std::string_view more = "") {
    return R"({"id":"c","choices":[{"index":0,"delta":{"content":")" + std::string(text) +
           R"("},"finish_reason":null}])" + std::string(more) + "}";
}

std::string noisy(std::string_view text, std::string_view noise) {
    return chunk(text, R"(,"obfuscation":")" + std::string(noise) + "\"");
}

/// The part of `data` that reads `words`.
std::string_view part(std::string_view data, std::string_view words) {
    return data.substr(data.find(words), words.size());
}

TextFrame frame_of(std::string_view data, std::string_view text, std::string_view noise = {}) {
    TextFrame frame;
    const bool has_noise = noise.data() != nullptr;
    frame.learn(data, part(data, text), has_noise ? part(data, noise) : noise);
    return frame;
}

TEST(TextFrameTest, KnowsNothingBeforeItHasLearned) {
    EXPECT_EQ(TextFrame().text_in(chunk("a")), std::nullopt);
    EXPECT_EQ(TextFrame().text_in(""), std::nullopt);
}

TEST(TextFrameTest, FindsAnotherTextOfAnyLength) {
    TextFrame frame = frame_of(chunk("one"), "one");
    for (const std::string& text :
         {std::string("x"),
          std::string(" two"),
          std::string(1000, 'y'),
          std::string("\xc3\xa9t\xc3\xa9 \xf0\x9f\x8c\x9e")}) {
        EXPECT_EQ(frame.text_in(chunk(text)), text);
    }
}

TEST(TextFrameTest, LeavesToTheReaderWhatIsNotAPlainStringInTheSameBytes) {
    TextFrame frame = frame_of(chunk("one"), "one");
    for (const std::string_view text :
         {"", "a\\n", "\\u0041", "a\"b", "a\nb", "\x01", "\xff", "\xc3", "\xed\xa0\x80", "\"}"}) {
        EXPECT_EQ(frame.text_in(chunk(text)), std::nullopt) << text;
    }
    const std::string whole = chunk("two");
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
        EXPECT_EQ(frame.text_in(std::string_view(whole).substr(0, cut)), std::nullopt) << cut;
    }
    EXPECT_EQ(frame.text_in(whole + " "), std::nullopt);
    EXPECT_EQ(frame.text_in(" " + whole), std::nullopt);
    EXPECT_EQ(frame.text_in(chunk("two", R"(,"usage":{"prompt_tokens":1})")), std::nullopt);
}

TEST(TextFrameTest, NoiseMayStandOnEitherSideOfTheText) {
    TextFrame behind = frame_of(noisy("one", "abc"), "one", "abc");
    EXPECT_EQ(behind.text_in(noisy("two", "")), "two");
    EXPECT_EQ(behind.text_in(noisy("two", "much longer")), "two");
    EXPECT_EQ(behind.text_in(noisy("two", "a\\n")), std::nullopt);
    EXPECT_EQ(behind.text_in(chunk("two")), std::nullopt);
    const auto before = [](std::string_view noise, std::string_view text) {
        return R"({"obfuscation":")" + std::string(noise) + R"(","text":")" + std::string(text) +
               "\"}";
    };
    TextFrame first = frame_of(before("abc", "one"), "one", "abc");
    EXPECT_EQ(first.text_in(before("d", "two")), "two");
    EXPECT_EQ(first.text_in(before("d", "")), std::nullopt);
}

TEST(TextFrameTest, GivesUpWhereNoFrameComesTwice) {
    TextFrame frame;
    const auto numbered = [](int number) {
        return chunk("one", ",\"created\":" + std::to_string(number));
    };
    for (int i = 0; i < 100; ++i) {
        const std::string data = numbered(i);
        EXPECT_EQ(frame.text_in(data), std::nullopt);
        frame.learn(data, part(data, "one"), {});
    }
    EXPECT_EQ(frame.text_in(numbered(99)), std::nullopt);
    EXPECT_EQ(frame.text_in(numbered(15)), "one") << "the last that was learned";
}

/// What a decoder says that has read `before`, and one that has not.
void expect_same_meaning(const std::vector<std::string>& before, const std::string& last) {
    const auto decoded = [&last](StreamDecoder& decoder) {
        StreamEvents events;
        std::string end;
        try {
            end = std::to_string(static_cast<int>(decoder.feed(SseEvent("", last), events)));
        } catch (const LLMError& error) {
            end = error.what();
        }
        for (const StreamEvent& event : events) {
            end += '|' + std::to_string(static_cast<int>(event.type)) + ' ' + event.data;
        }
        return end + '|' + std::to_string(decoder.usage().output_tokens);
    };
    const auto fresh = find_codec("openai_chat")->stream_decoder();
    const auto experienced = find_codec("openai_chat")->stream_decoder();
    StreamEvents ignored;
    for (const std::string& data : before) {
        experienced->feed(SseEvent("", data), ignored);
    }
    EXPECT_EQ(decoded(*experienced), decoded(*fresh)) << last;
}

TEST(TextFrameTest, WhatADecoderHasReadDoesNotChangeWhatItReads) {
    const std::vector<std::string> before{chunk("one"), chunk("two"), noisy("three", "abc")};
    for (const std::vector<std::string>& read :
         {before, std::vector<std::string>(before.begin(), before.begin() + 2)}) {
        for (const std::string_view text : {"x", "", "\\u00e9", "\xc3\xa9", "\xff", "a\"b"}) {
            expect_same_meaning(read, chunk(text));
            expect_same_meaning(read, noisy(text, "de"));
            expect_same_meaning(read, noisy(text, "\\"));
            expect_same_meaning(read, chunk(text) + "}");
            expect_same_meaning(read, chunk(text, R"(,"error":{"message":"m"})"));
            expect_same_meaning(read, chunk(text, R"(,"usage":{"completion_tokens":7})"));
        }
    }
}

TEST(TextFrameTest, WhatCountsEachTimeIsReadEachTime) {
    const auto decoder = find_codec("openai_chat")->stream_decoder();
    StreamEvents events;
    const auto annotated = [](std::string_view text) {
        return R"({"choices":[{"index":0,"delta":{"content":")" + std::string(text) +
               R"(","annotations":[{"type":"url_citation","n":1}]}}]})";
    };
    for (int i = 0; i < 3; ++i) {
        decoder->feed(SseEvent("", annotated("x")), events);
    }
    decoder->feed(
        SseEvent("", R"({"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"),
        events
    );
    decoder->finish(events);
    ChatReply reply;
    reply.message = Message::assistant("xxx");
    decoder->complete(reply);
    const std::string kept = reply.message.to_json();
    std::size_t found = 0;
    for (std::size_t at = kept.find("url_citation"); at != std::string::npos;
         at = kept.find("url_citation", at + 1)) {
        ++found;
    }
    EXPECT_EQ(found, 3U) << kept;
}

}  // namespace
}  // namespace llmproc::providers
