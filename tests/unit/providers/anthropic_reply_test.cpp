#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

ChatReply decode(std::string body) {
    HttpResponse response(200);
    response.body = std::move(body);
    return find_codec("anthropic")->decode(response);
}

/// A reply of these blocks; `members` begin with a comma.
ChatReply reply_of(const std::string& blocks, const std::string& members = "") {
    return decode(
        R"({"id":"m","type":"message","role":"assistant","model":"c","content":[)" + blocks + "]" +
        members + "}"
    );
}

template <class T>
const T& block(const ChatReply& reply, std::size_t index) {
    return std::get<T>(reply.message.content().at(index));
}

Errc failure(const std::string& body) {
    try {
        static_cast<void>(decode(body));
    } catch (const LLMError& error) {
        EXPECT_LT(error.message().size(), 1000U);
        return error.errc();
    }
    return Errc::internal;
}

TEST(AnthropicReplyTest, EveryStopReasonKeepsItsWord) {
    const std::pair<const char*, StopReason> words[] = {
        {"end_turn", StopReason::end_turn},
        {"max_tokens", StopReason::max_tokens},
        {"model_context_window_exceeded", StopReason::max_tokens},
        {"stop_sequence", StopReason::stop_sequence},
        {"tool_use", StopReason::tool_use},
        {"refusal", StopReason::refusal},
        {"pause_turn", StopReason::pause_turn},
        {"compaction", StopReason::unknown},
        {"new", StopReason::unknown}};
    for (const auto& [word, reason] : words) {
        const std::string members = std::string(R"(,"stop_reason":")") + word + "\"";
        const ChatReply reply = reply_of(R"({"type":"text","text":"x"})", members);
        EXPECT_EQ(reply.stop_reason, reason) << word;
        EXPECT_EQ(reply.raw_stop_reason, word);
    }
    // Compatible servers end a turn beside a call; a cut by length stays one.
    const std::string call = R"({"type":"tool_use","id":"i","name":"f","input":{}})";
    EXPECT_EQ(reply_of(call, R"(,"stop_reason":"end_turn")").stop_reason, StopReason::tool_use);
    EXPECT_EQ(reply_of(call, R"(,"stop_reason":"max_tokens")").stop_reason, StopReason::max_tokens);
    EXPECT_EQ(reply_of("", R"(,"stop_reason":null)").stop_reason, StopReason::unknown);
}

TEST(AnthropicReplyTest, ARefusalHasItsExplanationAndKeepsItsDetails) {
    const ChatReply reply = reply_of(
        R"({"type":"text","text":"I"})",
        R"(,"stop_reason":"refusal","stop_details":)"
        R"({"type":"refusal","category":"bio","explanation":"Declined."})"
    );
    ASSERT_EQ(reply.message.content().size(), 3U);
    EXPECT_EQ(block<TextBlock>(reply, 0), TextBlock("I"));
    EXPECT_EQ(block<TextBlock>(reply, 1), TextBlock::refused("Declined."));
    EXPECT_EQ(
        block<UnknownBlock>(reply, 2).raw.text(),
        R"({"stop_reason":"refusal","stop_details":)"
        R"({"type":"refusal","category":"bio","explanation":"Declined."}})"
    );
}

TEST(AnthropicReplyTest, ContainerAndStopSequenceAreKept) {
    const ChatReply reply = reply_of(
        R"({"type":"text","text":"x"})",
        R"(,"stop_reason":"stop_sequence","stop_sequence":"END","container":{"id":"c"})"
    );
    EXPECT_EQ(
        block<UnknownBlock>(reply, 1).raw.text(),
        R"({"stop_reason":"stop_sequence","stop_sequence":"END","container":{"id":"c"}})"
    );
    EXPECT_EQ(reply.text(), "x");
}

TEST(AnthropicReplyTest, Trap7_CachedTokensArePartOfTheInput) {
    const ChatReply reply = reply_of(
        R"({"type":"text","text":"x"})",
        R"(,"usage":{"input_tokens":3,"cache_read_input_tokens":100,)"
        R"("cache_creation_input_tokens":20,"output_tokens":7,)"
        R"("output_tokens_details":{"thinking_tokens":5},"server_tool_use":null})"
    );
    EXPECT_EQ(reply.usage.input_tokens, 123);
    EXPECT_EQ(reply.usage.cached_input_tokens, 100);
    EXPECT_EQ(reply.usage.cache_write_tokens, 20);
    EXPECT_EQ(reply.usage.output_tokens, 7);
    EXPECT_EQ(reply.usage.reasoning_tokens, 5);
    EXPECT_EQ(reply.usage.total_tokens, 130);
    EXPECT_TRUE(reply.usage.reported);
    EXPECT_FALSE(reply_of("").usage.reported);
}

TEST(AnthropicReplyTest, AbsurdCountsStayBounded) {
    const ChatReply reply = reply_of(
        "",
        R"(,"usage":{"input_tokens":9223372036854775807,"cache_read_input_tokens":)"
        R"(9223372036854775807,"output_tokens":99999999999999999999,)"
        R"("cache_creation_input_tokens":-5})"
    );
    constexpr std::int64_t most = std::int64_t{1} << 48;
    EXPECT_EQ(reply.usage.input_tokens, 2 * most);
    EXPECT_EQ(reply.usage.output_tokens, most);
    EXPECT_EQ(reply.usage.cache_write_tokens, 0);
}

TEST(AnthropicReplyTest, EveryBlockIsKeptInItsPlace) {
    const std::string cited =
        R"([{"type":"web_search_result_location","encrypted_index":"E\u0041=="}])";
    const std::string result =
        R"({"type":"web_search_tool_result","tool_use_id":"s","content":[{"x":1.0}]})";
    const ChatReply reply = reply_of(
        R"({"type":"thinking","thinking":"","signature":"only"},)"
        R"({"type":"redacted_thinking","data":"r"},)"
        R"({"type":"text","text":"a","citations":[]},{"type":"text","text":""},)" +
        result + R"(,{"type":"text","text":"b","citations":)" + cited + "}," +
        R"({"type":"thinking","thinking":"t","signature":"s","new":1e2})"
    );
    ASSERT_EQ(reply.message.content().size(), 6U);
    EXPECT_EQ(block<ThinkingBlock>(reply, 0), ThinkingBlock("", "only"));
    EXPECT_EQ(block<RedactedThinkingBlock>(reply, 1).data, "r");
    EXPECT_EQ(block<TextBlock>(reply, 2), TextBlock("a"));
    EXPECT_EQ(block<UnknownBlock>(reply, 3), UnknownBlock("anthropic", RawJson(result)));
    EXPECT_EQ(block<TextBlock>(reply, 4).citations, RawJson(cited));
    EXPECT_EQ(
        block<ThinkingBlock>(reply, 5).opaque->text(),
        R"({"type":"thinking","thinking":"t","signature":"s","new":1e2})"
    );
}

TEST(AnthropicReplyTest, Trap12_ArgumentsKeepTheirExactText) {
    const ChatReply reply = reply_of(
        R"({"type":"tool_use","id":"i","name":"f","input":{"z": 1.10,"a":12345678901234567890123},)"
        R"("caller":{"type":"direct"}},{"type":"tool_use","name":"g","input":null})"
    );
    const auto calls = reply.message.tool_calls();
    ASSERT_EQ(calls.size(), 2U);
    EXPECT_EQ(calls[0], ToolCallBlock("i", "f", R"({"z": 1.10,"a":12345678901234567890123})"));
    EXPECT_EQ(calls[1].arguments, "{}");
    EXPECT_EQ(calls[1].id.rfind("call_", 0), 0U);
    EXPECT_EQ(reply.message.content().size(), 2U);
}

TEST(AnthropicReplyTest, ACallsOtherMembersStandBeforeIt) {
    const ChatReply reply = reply_of(
        R"({"type":"tool_use","id":"i","name":"f","input":{},)"
        R"("caller":{"type":"code_execution_20260521","tool_id":"s"},"toolset_name":"t"})"
    );
    EXPECT_EQ(
        block<UnknownBlock>(reply, 0).raw.text(),
        R"({"tool_use":{"caller":{"type":"code_execution_20260521","tool_id":"s"},)"
        R"("toolset_name":"t"}})"
    );
    EXPECT_EQ(block<ToolCallBlock>(reply, 1).name, "f");
}

TEST(AnthropicReplyTest, ABodyOfStatus200CanBeAnError) {
    EXPECT_EQ(
        failure(R"({"type":"error","error":{"type":"overloaded_error","message":"m"}})"),
        Errc::overloaded
    );
    EXPECT_EQ(reply_of("", R"(,"error":null)").message.content().size(), 0U);
}

TEST(AnthropicReplyTest, CorruptBodiesAreMalformed) {
    for (const char* body :
         {"",
          "null",
          "[]",
          "{}",
          R"({"content":null})",
          R"({"content":{}})",
          R"({"content":[1]})",
          R"({"content":[{}]})",
          R"({"content":[{"type":5}]})",
          R"({"content":[{"type":"tool_use","id":"i"}]})",
          R"({"content":[]} x)",
          "{\"content\":[{\"type\":\"text\",\"text\":\"\xff\"}]}"}) {
        EXPECT_EQ(failure(body), Errc::malformed_response) << body;
    }
    const std::string deep(10000, '[');
    EXPECT_EQ(failure(R"({"content":[{"type":"x","y":)" + deep), Errc::malformed_response);
}

TEST(AnthropicReplyTest, CorruptCountsAreMalformed) {
    const Codec& codec = *find_codec("anthropic");
    for (const char* body : {"", "{}", "[]", R"({"input_tokens":-1})", R"({"input_tokens":"3"})"}) {
        HttpResponse response(200);
        response.body = body;
        try {
            static_cast<void>(codec.decode_count_tokens(response));
            ADD_FAILURE() << body;
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::malformed_response);
            EXPECT_NE(error.message().find("Anthropic Messages"), std::string::npos);
        }
    }
    HttpResponse models(200);
    models.body = R"({"models":[]})";
    EXPECT_THROW(static_cast<void>(codec.decode_list_models(models)), LLMError);
}

}  // namespace
}  // namespace llmproc
