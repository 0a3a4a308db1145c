#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace llmproc {
namespace {

ChatReply decode(std::string body) {
    HttpResponse response(200);
    response.body = std::move(body);
    return find_codec("openai_responses")->decode(response);
}

ChatReply decode_output(const std::string& items, const std::string& status = "completed") {
    return decode("{\"status\":\"" + status + "\",\"output\":[" + items + "]}");
}

LLMError error_of(const std::string& body) {
    try {
        static_cast<void>(decode(body));
    } catch (const LLMError& error) {
        EXPECT_FALSE(error.diagnostics().status.has_value());
        EXPECT_LT(error.message().size(), 3000U);
        return error;
    }
    return {Errc::internal, "nothing was thrown"};
}

Errc failure(const std::string& body) {
    return error_of(body).errc();
}

const std::string hello =
    R"({"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi"}]})";

TEST(OpenAiResponsesReplyTest, Trap5_IncompleteIsNoFailureAndSaysWhy) {
    const auto incomplete = [](const std::string& reason) {
        return decode(
            "{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"" + reason +
            "\"},\"output\":[" + hello + "]}"
        );
    };
    EXPECT_EQ(incomplete("max_output_tokens").stop_reason, StopReason::max_tokens);
    EXPECT_EQ(incomplete("content_filter").stop_reason, StopReason::content_filter);
    EXPECT_EQ(incomplete("steered").stop_reason, StopReason::unknown);
    EXPECT_EQ(incomplete("steered").raw_stop_reason, "steered");
    EXPECT_EQ(decode_output(hello, "incomplete").raw_stop_reason, "incomplete");
    EXPECT_EQ(decode_output(hello, "incomplete").text(), "Hi");
    EXPECT_EQ(decode_output(hello, "brand_new").stop_reason, StopReason::unknown);
    EXPECT_EQ(decode_output(hello, "brand_new").raw_stop_reason, "brand_new");
}

TEST(OpenAiResponsesReplyTest, Trap5_FailedIsAnErrorThatHasWhatCameBefore) {
    const LLMError error = error_of(
        R"({"status":"failed","error":{"code":"rate_limit_exceeded","message":"slow"},"output":[)" +
        hello + R"(],"usage":{"input_tokens":3,"output_tokens":4}})"
    );
    EXPECT_EQ(error.errc(), Errc::rate_limited);
    EXPECT_EQ(error.diagnostics().provider_code, "rate_limit_exceeded");
    EXPECT_EQ(error.diagnostics().partial_text, "Hi");
    ASSERT_TRUE(error.diagnostics().partial_usage.has_value());
    EXPECT_EQ(error.diagnostics().partial_usage->total_tokens, 7);
    EXPECT_EQ(failure(R"({"status":"failed","error":null,"output":[]})"), Errc::server_error);
    // An error wins over whatever the status says, and needs none.
    EXPECT_EQ(
        failure(R"({"status":"completed","error":{"code":"server_error"},"output":[]})"),
        Errc::server_error
    );
    EXPECT_EQ(failure(R"({"error":{"code":"insufficient_quota"}})"), Errc::insufficient_quota);
}

TEST(OpenAiResponsesReplyTest, ReasoningThatWasCutOffIsNotSentBack) {
    const auto sent_back = [](const std::string& items) {
        ChatRequest request("x");
        request.add(decode_output(items, "incomplete").message);
        Endpoint endpoint;
        endpoint.base_url = "http://localhost/v1";
        endpoint.model = "m";
        EncodeCache cache;
        const Codec& codec = *find_codec("openai_responses");
        Json input = parse_json(codec.encode(request, endpoint, false, cache).body).at("input");
        input.erase(0);
        return input;
    };
    const auto reasoning = [](const std::string& id) {
        return R"({"type":"reasoning","id":")" + id + R"(","summary":[]})";
    };
    EXPECT_EQ(sent_back(reasoning("a")), Json::array());
    const std::string kept = reasoning("a") + "," + reasoning("b") + "," + hello + "," +
                             reasoning("c") + R"(,{"type":"web_search_call","id":"w"})";
    const Json all = sent_back(kept + "," + reasoning("d"));
    EXPECT_EQ(all.size(), 5U) << all;
    EXPECT_EQ(all.at(1).at("id"), "b");
    EXPECT_EQ(all.at(3).at("id"), "c");
    EXPECT_EQ(all.at(4).at("id"), "w");
}

TEST(OpenAiResponsesReplyTest, CancelledAndUnfinishedResponsesAreNoReplies) {
    const std::string rest = R"(,"output":[]})";
    // Errc::cancelled would say that this side has ended the call.
    EXPECT_EQ(failure(R"({"status":"cancelled")" + rest), Errc::server_error);
    EXPECT_EQ(failure(R"({"status":"queued")" + rest), Errc::not_supported);
    EXPECT_EQ(failure(R"({"status":"in_progress")" + rest), Errc::not_supported);
    EXPECT_EQ(error_of(R"({"status":"queued")" + rest).diagnostics().provider_code, "queued");
}

TEST(OpenAiResponsesReplyTest, WhatIsNoResponseIsMalformed) {
    for (const char* body :
         {"",
          "[]",
          "{}",
          "null",
          R"({"status":"completed"})",
          R"({"output":[]})",
          R"({"status":"completed","output":{}})",
          R"({"status":"completed","output":[7]})",
          R"({"status":"completed","output":[{}]})",
          R"({"status":"completed","output":[{"type":"function_call","call_id":"a"}]})",
          R"({"status":"completed","output":[{"type":"function_call","name":"f"}]})",
          R"({"status":"completed","output":[{"type":"message","content":7}]})",
          R"({"status":"completed","output":[]} trailing)",
          "{\"status\":\"completed\",\"id\":\"\xff\",\"output\":[]}"}) {
        EXPECT_EQ(failure(body), Errc::malformed_response) << body;
    }
}

TEST(OpenAiResponsesReplyTest, DepthIsBounded) {
    std::string deep(10'000, '[');
    deep = R"({"status":"completed","output":[{"type":"x","v":)" + deep;
    EXPECT_EQ(failure(deep), Errc::malformed_response);
    EXPECT_EQ(failure(R"({"x":)" + std::string(10'000, '[')), Errc::malformed_response);
}

TEST(OpenAiResponsesReplyTest, BlocksFollowTheItemsInOrder) {
    const std::string search = R"({"type":"web_search_call", "id":"ws_1"})";
    const ChatReply reply = decode_output(
        R"({"type":"message","id":"m1","phase":"commentary","content":[
              {"type":"output_text","text":"A","annotations":[]},
              {"type":"brand_new","v":1.10},{"type":"refusal","refusal":"B"}]},)" +
        search + "," + hello +
        R"(,{"type":"function_call","id":"fc","call_id":"c","name":"f","arguments":"{"})"
    );
    const auto& blocks = reply.message.content();
    ASSERT_EQ(blocks.size(), 8U);
    EXPECT_EQ(
        std::get<UnknownBlock>(blocks[0]).raw.text(),
        R"({"type":"message","id":"m1","phase":"commentary"})"
    );
    EXPECT_EQ(std::get<TextBlock>(blocks[1]), TextBlock("A"));
    EXPECT_EQ(
        std::get<UnknownBlock>(blocks[2]).raw.text(),
        R"({"content":[{"type":"brand_new","v":1.10}]})"
    );
    EXPECT_EQ(std::get<TextBlock>(blocks[3]), TextBlock::refused("B"));
    EXPECT_EQ(std::get<UnknownBlock>(blocks[4]).raw.text(), search);
    EXPECT_EQ(std::get<TextBlock>(blocks[5]), TextBlock("Hi"));  // no frame: it says nothing
    EXPECT_EQ(
        std::get<UnknownBlock>(blocks[6]).raw.text(),
        R"({"type":"function_call","id":"fc","call_id":"c"})"
    );
    EXPECT_EQ(std::get<ToolCallBlock>(blocks[7]), ToolCallBlock("c", "f", "{"));
    EXPECT_EQ(reply.stop_reason, StopReason::tool_use);
}

TEST(OpenAiResponsesReplyTest, AnnotationsAreKept) {
    const ChatReply reply = decode_output(
        R"({"type":"message","content":[{"type":"output_text","text":"A",
            "annotations":[{"type":"file_citation", "index":1.0}]}]})"
    );
    EXPECT_EQ(
        std::get<TextBlock>(reply.message.content()[0]).citations->text(),
        R"([{"type":"file_citation", "index":1.0}])"
    );
}

TEST(OpenAiResponsesReplyTest, ReasoningIsParagraphsAndTheExactItem) {
    const std::string item =
        R"({"type":"reasoning","summary":[{"type":"summary_text","text":"a"},{"text":""},)"
        R"({"text":"b"}], "content":[{"type":"reasoning_text","text":"c"}],"encrypted_content":"g"})";
    const ChatReply reply = decode_output(item);
    const auto& thinking = std::get<ThinkingBlock>(reply.message.content().at(0));
    EXPECT_EQ(thinking.text, "a\n\nb\n\nc");
    EXPECT_EQ(thinking.opaque->text(), item);
    EXPECT_EQ(reply.stop_reason, StopReason::end_turn);
}

TEST(OpenAiResponsesReplyTest, CompatibleServersMayDiffer) {
    const ChatReply reply = decode_output(
        R"({"type":"message","content":"plain"},)"
        R"({"type":"function_call","id":"own","name":"f","arguments":{"n": 1.10}},)"
        R"({"type":"function_call","call_id":"b","name":"g","arguments":null})"
    );
    EXPECT_EQ(reply.text(), "plain");
    ASSERT_EQ(reply.message.tool_calls().size(), 2U);
    EXPECT_EQ(reply.message.tool_calls()[0], ToolCallBlock("own", "f", R"({"n": 1.10})"));
    EXPECT_EQ(reply.message.tool_calls()[1], ToolCallBlock("b", "g", ""));
    EXPECT_FALSE(reply.usage.reported);
}

TEST(OpenAiResponsesReplyTest, TokenCountsMustBeThere) {
    const Codec& codec = *find_codec("openai_responses");
    for (const char* body : {"", "{}", R"({"input_tokens":-1})", R"({"input_tokens":"7"})"}) {
        HttpResponse response(200);
        response.body = body;
        try {
            static_cast<void>(codec.decode_count_tokens(response));
            ADD_FAILURE() << body;
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::malformed_response) << body;
        }
    }
    HttpResponse reported(200);
    reported.body = R"({"error":{"code":"rate_limit_exceeded"}})";
    try {
        static_cast<void>(codec.decode_count_tokens(reported));
        ADD_FAILURE();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::rate_limited);
    }
}

}  // namespace
}  // namespace llmproc
