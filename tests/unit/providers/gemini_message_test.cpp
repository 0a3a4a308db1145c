#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "unit/providers/gemini_support.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing_gemini::answer;
using testing_gemini::body_of;
using testing_gemini::codec;
using testing_gemini::encode;
using testing_gemini::endpoint_of;
using testing_gemini::failure_of;
using testing_gemini::reply_of;

Message assistant(std::vector<ContentBlock> blocks) {
    return {Role::assistant, std::move(blocks)};
}

/// The text of the content that the message is sent as, between a question and the next.
std::string sent_as(const Message& message, const std::string& model = "gemini-3.8-flash") {
    ChatRequest request("q");
    request.add(message).add(Message::user("r"));
    const std::string body = encode(request, model).body;
    const std::string before = R"({"contents":[{"role":"user","parts":[{"text":"q"}]},)";
    const std::string after = R"({"role":"user","parts":[{"text":"r"}]}]})";
    EXPECT_TRUE(body.starts_with(before) && body.ends_with(after)) << body;
    std::string middle = body.substr(before.size(), body.size() - before.size() - after.size());
    middle.resize(middle.empty() ? 0 : middle.size() - 1);
    return middle;
}

std::string model_content(const std::string& parts) {
    return R"({"role":"model","parts":[)" + parts + "]}";
}

TEST(GeminiMessageTest, Trap10_SignaturesGoBackWhereverTheySat) {
    const std::string parts =
        R"({"text":"a","thought":true,"thoughtSignature":"1"},{"text":"b"},)"
        R"({"text":"c","thoughtSignature":"2"},{"text":"","thoughtSignature":"3"},)"
        R"({"functionCall":{"id":"i","name":"f","args":{}},"thoughtSignature":"4"},)"
        R"({"executableCode":{"code":"x"},"thoughtSignature":"5"},{"thoughtSignature":"6"},)"
        R"({"functionCall":{"id":"j","name":"g","args":{}},"videoMetadata":{"fps":1.50}})";
    const Message message = reply_of(answer(parts)).message;
    EXPECT_EQ(sent_as(message), model_content(parts));
    EXPECT_EQ(message.text(), "bc");
    EXPECT_EQ(message.tool_calls().size(), 2U);
    EXPECT_EQ(sent_as(Message::from_json(message.to_json())), model_content(parts));
}

TEST(GeminiMessageTest, Trap12_ArgumentsKeepTheirDigitsAndOrder) {
    const std::string parts =
        R"({"functionCall":{"id":"i","name":"f","args":{"z":1.10,"a":12345678901234567890}}})";
    EXPECT_EQ(sent_as(reply_of(answer(parts)).message, "gemini-2.5-pro"), model_content(parts));
}

TEST(GeminiMessageTest, ArgumentsThatAreNoObjectAreWrapped) {
    const auto args = [](const std::string& text) {
        return sent_as(assistant({ToolCallBlock("i", "f", text)}), "gemini-2.5-pro");
    };
    const std::string start = R"({"functionCall":{"id":"i","name":"f","args":)";
    EXPECT_EQ(args(" "), model_content(start + "{}}}"));
    EXPECT_EQ(args("{\"a\":"), model_content(start + R"({"arguments":"{\"a\":"}}})"));
    EXPECT_EQ(args("[1]"), model_content(start + R"({"arguments":"[1]"}}})"));
}

TEST(GeminiMessageTest, IdsThatWereMadeHereAreNotSentAndOrderTellsTheCallsApart) {
    const Message calls = reply_of(answer(R"({"functionCall":{"name":"f","args":{"n":1}}},
        {"functionCall":{"name":"f","args":{"n":2}}})"))
                              .message;
    const auto made = calls.tool_calls();
    ASSERT_EQ(made.size(), 2U);
    EXPECT_NE(made[0].id, made[1].id);
    ChatRequest request("q");
    request.add(calls).add(Message::tool_results(
        {ToolResultBlock(made[1].id, "two"), ToolResultBlock(made[0].id, "one")}
    ));
    EXPECT_EQ(body_of(request).at("contents").at(2), parse_json(R"({"role":"user","parts":[
            {"functionResponse":{"name":"f","response":{"output":"one"}}},
            {"functionResponse":{"name":"f","response":{"output":"two"}}}]})"));
    EXPECT_EQ(body_of(request).dump().find("call_"), std::string::npos);
}

TEST(GeminiMessageTest, ResultsOfOneStepAreOneContentWithTheTextBehindThem) {
    ChatRequest request("q");
    request.add(assistant({ToolCallBlock("a", "f", "{}"), ToolCallBlock("b", "g", "{}")}));
    request.add(Message::tool_results({ToolResultBlock("b", "2")}));
    request.add(Message::user({TextBlock("and"), ToolResultBlock("a", "1")}));
    request.add(Message::user("more"));
    const Json contents = body_of(request).at("contents");
    ASSERT_EQ(contents.size(), 4U);
    EXPECT_EQ(contents.at(2), parse_json(R"({"role":"user","parts":[
        {"functionResponse":{"id":"a","name":"f","response":{"output":"1"}}},
        {"functionResponse":{"id":"b","name":"g","response":{"output":"2"}}},{"text":"and"}]})"));
    EXPECT_EQ(contents.at(3), parse_json(R"({"role":"user","parts":[{"text":"more"}]})"));
}

TEST(GeminiMessageTest, AResultNeedsItsCallForTheName) {
    ChatRequest request("q");
    request.add(Message::tool_results({ToolResultBlock("lost", "1")}));
    EXPECT_EQ(failure_of(request), Errc::invalid_argument);
}

TEST(GeminiMessageTest, AResultIsJsonWhereItIsAnObjectOrArrayElseText) {
    const auto response = [](ToolResultBlock result) {
        ChatRequest request("q");
        result.call_id = "a";
        request.add(assistant({ToolCallBlock("a", "f", "{}")}));
        request.add(Message::tool_results({std::move(result)}));
        const std::string body = encode(request).body;
        const std::size_t begin = body.find("\"response\":");
        return body.substr(begin + 11, body.size() - begin - 11 - 6);
    };
    EXPECT_EQ(response({"", " {\"z\":1.0,\"a\":2}\n"}), R"({"output":{"z":1.0,"a":2}})");
    EXPECT_EQ(response({"", "[1]"}), R"({"output":[1]})");
    EXPECT_EQ(response({"", "42"}), R"({"output":"42"})");
    EXPECT_EQ(response({"", "{\"a\":1} tail"}), R"({"output":"{\"a\":1} tail"})");
    EXPECT_EQ(response({"", "no\xff", true}), "{\"error\":\"no\xef\xbf\xbd\"}");
    EXPECT_EQ(response({"", std::string()}), R"({"output":""})");
    const std::string deep = std::string(200, '[') + std::string(200, ']');
    EXPECT_EQ(response({"", deep}), "{\"output\":\"" + deep + "\"}");
}

TEST(GeminiMessageTest, MediaIsInlineOrAnAddress) {
    const Message message = Message::user(
        {ImageBlock(MediaSource::base64("AA==", "")),
         ImageBlock(MediaSource::url("https://h/a.png")),
         DocumentBlock(MediaSource::file_id("https://h/v1beta/files/x")),
         DocumentBlock(MediaSource::base64("AA==", "audio/wav"))}
    );
    ChatRequest request;
    request.add(message);
    EXPECT_EQ(body_of(request).at("contents").at(0).at("parts"), parse_json(R"([
        {"inlineData":{"mimeType":"image/png","data":"AA=="}},
        {"fileData":{"fileUri":"https://h/a.png"}},
        {"fileData":{"fileUri":"https://h/v1beta/files/x"}},
        {"inlineData":{"mimeType":"audio/wav","data":"AA=="}}])"));
    ChatRequest result("q");
    result.add(assistant({ToolCallBlock("a", "f", "{}")}));
    result.add(Message::tool_results({ToolResultBlock(
        "a",
        std::vector<ToolResultContent>{ImageBlock(MediaSource::url("https://h/a.png"))}
    )}));
    EXPECT_EQ(failure_of(result), Errc::not_supported);
}

TEST(GeminiMessageTest, TheFirstCallWithoutASignatureGetsTheValueThatStandsForOne) {
    const Message foreign = assistant(
        {ToolCallBlock("toolu_1", "f", "{}"), ToolCallBlock("call_2", "g", "{}")}
    );
    const std::string signature = R"("thoughtSignature":"skip_thought_signature_validator")";
    const std::string first = R"({"functionCall":{"id":"toolu_1","name":"f","args":{}})";
    const std::string second = R"({"functionCall":{"id":"call_2","name":"g","args":{}}})";
    EXPECT_EQ(sent_as(foreign), model_content(first + "," + signature + "}," + second));
    EXPECT_EQ(sent_as(foreign, "gemini-2.5-pro"), model_content(first + "}," + second));
    // Whoever made it: an older Gemini does not sign its calls.
    const std::string own = R"({"functionCall":{"id":"fc-1","name":"f","args":{}})";
    EXPECT_EQ(
        sent_as(assistant({ToolCallBlock("fc-1", "f", "{}")})),
        model_content(own + "," + signature + "}")
    );
}

TEST(GeminiMessageTest, WhatOtherProvidersSignedIsLeftOut) {
    ThinkingBlock opaque("x");
    opaque.opaque = RawJson("[1]");
    const Message message = assistant(
        {ThinkingBlock("signed", "sig"),
         opaque,
         RedactedThinkingBlock("enc"),
         UnknownBlock("anthropic", RawJson(R"({"type":"x"})")),
         TextBlock("hi")}
    );
    EXPECT_EQ(sent_as(message), model_content(R"({"text":"hi"})"));
}

TEST(GeminiMessageTest, ATurnOfTheModelWithoutAnythingIsLeftOut) {
    EXPECT_EQ(sent_as(assistant({})), "");
    EXPECT_EQ(sent_as(assistant({TextBlock("")})), "");
    EXPECT_EQ(sent_as(reply_of(R"({"promptFeedback":{"blockReason":"SAFETY"}})").message), "");
}

TEST(GeminiMessageTest, BlocksInTheWrongPlaceAreRefused) {
    const auto failure = [](const Message& message) {
        ChatRequest request("q");
        return failure_of(request.add(message));
    };
    EXPECT_EQ(failure(Message::user({ToolCallBlock()})), Errc::invalid_argument);
    EXPECT_EQ(failure(Message::user({ThinkingBlock()})), Errc::invalid_argument);
    EXPECT_EQ(failure(assistant({ToolResultBlock()})), Errc::invalid_argument);
    EXPECT_EQ(failure(Message(Role::tool, "text")), Errc::invalid_argument);
}

TEST(GeminiMessageTest, ASignatureWithoutItsBlockIsDropped) {
    const UnknownBlock kept("gemini", RawJson(R"({"of_previous_part":{"thoughtSignature":"1"}})"));
    EXPECT_EQ(sent_as(assistant({kept, TextBlock("a")})), model_content(R"({"text":"a"})"));
    const UnknownBlock odd("gemini", RawJson(R"({"of_previous_part":7})"));
    EXPECT_EQ(
        sent_as(assistant({TextBlock("a"), odd, UnknownBlock("gemini", RawJson("[1]"))})),
        model_content(R"({"text":"a"},{"of_previous_part":7})")
    );
}

TEST(GeminiMessageTest, TheSecondTurnComesFromTheCache) {
    ChatRequest request("q");
    request.add(assistant({ToolCallBlock("call_1", "f", "{}")}));
    request.add(Message::tool_results({ToolResultBlock("call_1", "1")}));
    EncodeCache cache;
    const HttpRequest first = codec().encode(request, endpoint_of("m"), false, cache);
    EXPECT_EQ(cache.size(), 3U);
    EXPECT_EQ(codec().encode(request, endpoint_of("m"), false, cache).body, first.body);
    EXPECT_EQ(first.body.find('\0'), std::string::npos);
    // The name is not part of what is cached: another conversation may call it otherwise.
    ChatRequest other("q");
    other.add(assistant({ToolCallBlock("call_1", "g", "{}")}));
    other.messages.push_back(request.messages.back());
    const std::string body = codec().encode(other, endpoint_of("m"), false, cache).body;
    EXPECT_NE(body.find(R"({"functionResponse":{"id":"call_1","name":"g",)"), std::string::npos);
}

}  // namespace
}  // namespace llmproc
