#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/codec_checks.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing_cassettes::Meaning;
using testing_cassettes::meaning_of;

const Codec& codec() {
    return *find_codec("openai_responses");
}

ChatReply read(const std::string& body) {
    return testing_cassettes::read_stream(codec(), body);
}

StreamEvents events_of(const std::string& body) {
    return testing_cassettes::decode_pieces(codec(), {body});
}

Errc failure(const std::string& body) {
    try {
        static_cast<void>(read(body));
    } catch (const LLMError& error) {
        EXPECT_LT(error.message().size(), 3000U);
        return error.errc();
    }
    return Errc::internal;
}

std::string event(const std::string& type, const std::string& members) {
    return "data: {\"type\":\"" + type + "\"," + members + "}\n\n";
}

std::string at(int index, const std::string& type, const std::string& members) {
    return event("response." + type, "\"output_index\":" + std::to_string(index) + "," + members);
}

std::string text(int index, const std::string& delta) {
    return at(index, "output_text.delta", "\"delta\":\"" + delta + "\"");
}

std::string arguments(int index, const std::string& delta) {
    return at(index, "function_call_arguments.delta", "\"delta\":\"" + delta + "\"");
}

std::string item(int index, const std::string& kind, const std::string& members) {
    return at(index, "output_item." + kind, "\"item\":{" + members + "}");
}

std::string call(const std::string& id, const std::string& written = "") {
    return R"("type":"function_call","name":"f","call_id":")" + id + R"(","arguments":")" +
           written + "\"";
}

std::string message(const std::string& words) {
    return R"("type":"message","content":[{"type":"output_text","text":")" + words + "\"}]";
}

std::string end(const std::string& output = "", const std::string& status = "completed") {
    return event(
        "response." + status,
        R"("response":{"id":"r","model":"m","status":")" + status + R"(","output":[)" + output +
            "]}"
    );
}

// --- where the reply comes from ------------------------------------------------------------------

TEST(OpenAiResponsesStreamTest, ItemsMayInterleave) {
    const std::string body = item(0, "added", call("a")) + item(1, "added", call("b")) +
                             arguments(1, "{1") + arguments(0, "{0") + arguments(1, "}") +
                             arguments(0, "}") + item(1, "done", call("b", "{1}")) +
                             item(0, "done", call("a", "{0}")) + end();
    const Meaning meaning = meaning_of(events_of(body));
    EXPECT_EQ(meaning.calls, (std::vector<ToolCallBlock>{{"a", "f", "{0}"}, {"b", "f", "{1}"}}));
    EXPECT_EQ(read(body).message.tool_calls(), meaning.calls);
    EXPECT_EQ(meaning.stop_reason, StopReason::tool_use);
}

TEST(OpenAiResponsesStreamTest, WhatCameInNoPieceComesFromTheFinishedItem) {
    const std::string reasoning =
        R"("type":"reasoning","summary":[{"type":"summary_text","text":"why"}])";
    const std::string body = item(0, "done", reasoning) + item(1, "added", message("")) +
                             item(1, "done", message("Hi")) + item(2, "done", call("a", "{}"));
    for (const std::string& output :
         {std::string(), "{" + reasoning + "},{" + message("Hi") + "},{" + call("a", "{}") + "}"}) {
        const Meaning meaning = meaning_of(events_of(body + end(output)));
        EXPECT_EQ(meaning.thinking, "why");
        EXPECT_EQ(meaning.text, "Hi");
        EXPECT_EQ(meaning.calls, (std::vector<ToolCallBlock>{{"a", "f", "{}"}}));
        EXPECT_EQ(read(body + end(output)).message.content().size(), 3U);
    }
}

TEST(OpenAiResponsesStreamTest, TheLastEventAloneIsAReply) {
    const std::string body = end(
        "{" + message("Hi") + "},{" + call("a", "{}") + "},{" + call("b", "{}") + "}"
    );
    const Meaning meaning = meaning_of(events_of(body));
    EXPECT_EQ(meaning.text, "Hi");
    EXPECT_EQ(meaning.calls, (std::vector<ToolCallBlock>{{"a", "f", "{}"}, {"b", "f", "{}"}}));
    EXPECT_EQ(read(body).id, "r");
    EXPECT_EQ(read(body).model, "m");
}

TEST(OpenAiResponsesStreamTest, PiecesAloneAreAReply) {
    const std::string body = text(0, "Hi") + item(1, "added", call("a")) + arguments(1, "{}") +
                             R"(data: {"type":"response.completed","response":{"id":"r"}})";
    const ChatReply reply = read(body);
    EXPECT_EQ(reply.text(), "Hi");
    EXPECT_EQ(reply.message.tool_calls(), (std::vector<ToolCallBlock>{{"a", "f", "{}"}}));
    EXPECT_EQ(reply.stop_reason, StopReason::tool_use);
    EXPECT_EQ(reply.raw_stop_reason, "completed");
}

TEST(OpenAiResponsesStreamTest, Trap4_TheReasoningItemIsTakenWhereItIsDone) {
    const std::string head = R"("type":"reasoning","id":"rs","summary":[],"encrypted_content":)";
    const ChatReply reply = read(
        item(0, "added", head + "\"part\"") + item(0, "done", head + "\"whole\"") + end()
    );
    EXPECT_EQ(
        std::get<ThinkingBlock>(reply.message.content().at(0)).opaque->text(),
        "{" + head + "\"whole\"}"
    );
}

TEST(OpenAiResponsesStreamTest, PartsOfReasoningAreParagraphs) {
    const auto piece = [](const char* kind, const char* member, int part, const char* words) {
        return at(
            0,
            kind,
            std::string("\"") + member + "\":" + std::to_string(part) + ",\"delta\":\"" + words +
                "\""
        );
    };
    const std::string body = piece("reasoning_summary_text.delta", "summary_index", 0, "a") +
                             piece("reasoning_summary_text.delta", "summary_index", 0, "b") +
                             piece("reasoning_summary_text.delta", "summary_index", 1, "") +
                             piece("reasoning_summary_text.delta", "summary_index", 1, "c") +
                             piece("reasoning_text.delta", "content_index", 0, "d");
    const std::string done =
        item(
            0,
            "done",
            R"("type":"reasoning","summary":[{"text":"ab"},{"text":"c"}],"content":[{"text":"d"}])"
        ) +
        end();
    EXPECT_EQ(meaning_of(events_of(body + done)).thinking, "ab\n\nc\n\nd");
    EXPECT_EQ(read(body + done).message.thinking(), "ab\n\nc\n\nd");
}

TEST(OpenAiResponsesStreamTest, ACallWithoutANameWaitsForItsItem) {
    const std::string body = item(0, "added", R"("type":"function_call","call_id":"a")") +
                             arguments(0, "{") + item(0, "done", call("a", "{}")) + end();
    EXPECT_EQ(meaning_of(events_of(body)).calls, (std::vector<ToolCallBlock>{{"a", "f", "{}"}}));
}

TEST(OpenAiResponsesStreamTest, ACallWhoseIdChangesIsOneCall) {
    const std::string body = item(0, "added", call("first")) + arguments(0, "{}") +
                             item(0, "done", call("last", "{}")) +
                             end("{" + call("last", "{}") + "}");
    EXPECT_EQ(meaning_of(events_of(body)).calls.size(), 1U);
    EXPECT_EQ(read(body).message.tool_calls().at(0).id, "last");
}

// --- states --------------------------------------------------------------------------------------

TEST(OpenAiResponsesStreamTest, Trap15_AStreamWithoutItsLastEventIsTruncated) {
    EXPECT_EQ(failure(""), Errc::truncated_stream);
    EXPECT_EQ(failure(text(0, "Hi")), Errc::truncated_stream);
    EXPECT_EQ(failure(text(0, "Hi") + "data: [DONE]\n\n"), Errc::truncated_stream);
    EXPECT_EQ(failure(item(0, "done", message("Hi"))), Errc::truncated_stream);
    EXPECT_EQ(read(text(0, "Hi") + end() + "data: [DONE]\n\ndata: {broken\n\n").text(), "Hi");
}

TEST(OpenAiResponsesStreamTest, Trap5_TheStateOfTheResponseDecides) {
    EXPECT_EQ(read(end("", "incomplete")).stop_reason, StopReason::unknown);
    EXPECT_EQ(failure(end("", "failed")), Errc::server_error);
    EXPECT_EQ(failure(end("", "cancelled")), Errc::server_error);
    // Some servers end every response with the same event.
    EXPECT_EQ(
        read(event(
                 "response.completed",
                 R"("response":{"status":"incomplete","incomplete_details":)"
                 R"({"reason":"max_output_tokens"},"output":[]})"
             ))
            .stop_reason,
        StopReason::max_tokens
    );
    EXPECT_EQ(
        failure(event("response.completed", R"("response":{"status":"failed"})")),
        Errc::server_error
    );
    EXPECT_EQ(failure("data: {\"type\":\"response.completed\"}\n\n"), Errc::malformed_response);
}

TEST(OpenAiResponsesStreamTest, ARefusalIsToldApart) {
    const std::string body = at(0, "refusal.delta", R"("delta":"No")") + end();
    EXPECT_EQ(read(body).stop_reason, StopReason::refusal);
    EXPECT_TRUE(std::get<TextBlock>(read(body).message.content().at(0)).refusal);
}

TEST(OpenAiResponsesStreamTest, TheUsageOfAFailedResponseIsKept) {
    providers::StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    EXPECT_THROW(
        driver.feed(
            event(
                "response.failed",
                R"("response":{"status":"failed","usage":{"input_tokens":5,"output_tokens":2}})"
            ),
            events
        ),
        LLMError
    );
    EXPECT_EQ(driver.decoder().usage().total_tokens, 7);
}

// --- other events --------------------------------------------------------------------------------

TEST(OpenAiResponsesStreamTest, HostedToolsAndAnnotationsArePassedOnRaw) {
    const std::string search = R"({"type":"response.web_search_call.searching","output_index":0})";
    const std::string note =
        R"({"type":"response.output_text.annotation.added","annotation":{"type":"url_citation"}})";
    const StreamEvents events = events_of("data: " + search + "\n\ndata: " + note + "\n\n" + end());
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[0].type, StreamEvent::Type::other);
    EXPECT_EQ(events[0].data, search);
    EXPECT_EQ(events[1].data, note);
}

TEST(OpenAiResponsesStreamTest, Trap19_KeepAlivesSayNothing) {
    providers::StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed("event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n: comment\n\n", events);
    EXPECT_EQ(driver.unknown_events(), 0U);
    EXPECT_TRUE(events.empty());
}

TEST(OpenAiResponsesStreamTest, UnknownKindsAreSkipped) {
    providers::StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(
        event("response.brand_new", R"("delta":"x","output_index":-3)") + "data: {\"x\":1}\n\n" +
            "event: ping\ndata: {}\n\nevent: ping\ndata: hello\n\n",
        events
    );
    EXPECT_EQ(driver.unknown_events(), 4U);
    EXPECT_TRUE(events.empty());
}

// --- bad input -----------------------------------------------------------------------------------

TEST(OpenAiResponsesStreamTest, CorruptEventsAreMalformed) {
    const std::string deep(10'000, '[');
    for (const std::string& body :
         {std::string("data: hello\n\n"),
          std::string("event: response.completed\ndata: hello\n\n"),
          std::string("data: {\"type\":\"response.output_text.delta\"\n\n"),
          std::string("data: {\"type\":\"response.output_text.delta\",\"delta\":\"\xff\"}\n\n"),
          event("response.x", "\"v\":" + deep),
          event("response.output_text.delta", R"("delta":"x")"),
          item(0, "done", R"("id":"no type")"),
          item(0, "done", R"("type":"function_call","call_id":"a")"),
          event("response.output_item.done", R"("output_index":0)"),
          end("7"),
          end("{}")}) {
        EXPECT_EQ(failure(body + end()), Errc::malformed_response) << body.substr(0, 100);
    }
}

TEST(OpenAiResponsesStreamTest, AbsurdIndexesAreRefused) {
    for (const char* index : {"-1", "10000", "9223372036854775807", "1e30", "1.5"}) {
        const std::string body = event(
            "response.output_text.delta",
            R"("delta":"x","output_index":)" + std::string(index)
        );
        EXPECT_EQ(failure(body + end()), Errc::malformed_response) << index;
    }
    // Indexes of parts only tell paragraphs apart.
    EXPECT_EQ(
        read(
            at(0, "reasoning_text.delta", R"("delta":"x","content_index":-9223372036854775808)") +
            end()
        )
            .message.thinking(),
        "x"
    );
}

TEST(OpenAiResponsesStreamTest, CallsWithoutEndAreRefused) {
    std::string body;
    for (int i = 0; i < 1'025; ++i) {
        body += item(i, "added", call("c" + std::to_string(i)));
    }
    EXPECT_EQ(failure(body + end()), Errc::malformed_response);
}

TEST(OpenAiResponsesStreamTest, DuplicatedItemsAreGivenOutOnce) {
    const std::string body = item(0, "added", call("a")) + item(0, "added", call("a")) +
                             arguments(0, "{}") + item(0, "done", call("a", "{}")) +
                             item(0, "done", call("a", "{}")) + item(1, "done", message("Hi")) +
                             item(1, "done", message("Hi"));
    const Meaning meaning = meaning_of(events_of(body + end()));
    EXPECT_EQ(meaning.calls, (std::vector<ToolCallBlock>{{"a", "f", "{}"}}));
    EXPECT_EQ(meaning.text, "Hi");
    EXPECT_EQ(read(body + end()).message.content().size(), 2U);
}

TEST(OpenAiResponsesStreamTest, ReorderedEventsAreAnErrorOrTheSameReply) {
    EXPECT_EQ(
        failure(item(0, "done", call("a", "{}")) + arguments(0, "{}") + end()),
        Errc::malformed_response
    );
    // Pieces before their item: the finished one has them.
    const std::string early = arguments(0, "{}") + item(0, "added", call("a")) +
                              item(0, "done", call("a", "{}")) + end();
    EXPECT_EQ(meaning_of(events_of(early)).calls, (std::vector<ToolCallBlock>{{"a", "f", "{}"}}));
    // Another item at the place of a finished one.
    const std::string reused = item(0, "done", message("A")) + item(0, "added", call("a")) +
                               arguments(0, "{}") + item(0, "done", call("a", "{}"));
    const ChatReply reply = read(reused + end("{" + message("A") + "},{" + call("a", "{}") + "}"));
    EXPECT_EQ(reply.text(), "A");
    EXPECT_EQ(reply.message.tool_calls().size(), 1U);
}

}  // namespace
}  // namespace llmproc
