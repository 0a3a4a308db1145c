// The same use of tokens as each vendor reports it: one meaning for all.
#include <llmproc/provider.hpp>
#include "providers/codec_checks.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace llmproc {
namespace {

/// 1,000 tokens read, of which 600 came from the cache and `written` went into it; 50 written, of
/// which 20 were reasoning.
Usage expected(std::int64_t written) {
    Usage usage;
    usage.input_tokens = 1'000;
    usage.cached_input_tokens = 600;
    usage.cache_write_tokens = written;
    usage.output_tokens = 50;
    usage.reasoning_tokens = 20;
    usage.total_tokens = 1'050;
    usage.reported = true;
    return usage;
}

struct Report {
    std::string codec;
    std::string what;
    Usage usage;
    std::string whole;
    std::string stream;
};

void PrintTo(const Report& report, std::ostream* out) {
    *out << report.codec << ", " << report.what;
}

const std::string chat_usage = R"({"prompt_tokens":1000,"completion_tokens":50,"total_tokens":1050,
"prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":100},
"completion_tokens_details":{"reasoning_tokens":20}})";

std::string one_line(std::string text) {
    std::erase(text, '\n');
    return text;
}

std::string data(const std::string& json) {
    return "data: " + one_line(json) + "\n\n";
}

std::string event(const std::string& type, const std::string& members) {
    return "event: " + type + "\n" + data(R"({"type":")" + type + "\"," + members + "}");
}

Report openai_chat() {
    Report report{"openai_chat", "details", expected(100), "", ""};
    report.whole = R"({"id":"c","model":"m","choices":[{"index":0,"finish_reason":"stop",
        "message":{"role":"assistant","content":"hi"}}],"usage":)" +
                   chat_usage + "}";
    report.stream =
        data(R"({"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hi"}}]})") +
        data(R"({"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})") +
        data(R"({"id":"c","choices":[],"usage":)" + chat_usage + "}") + "data: [DONE]\n\n";
    return report;
}

/// Some compatible servers count reasoning beside the answer: the total shows it.
Report openai_chat_reasoning_beside() {
    const std::string usage = R"({"prompt_tokens":1000,"completion_tokens":30,"total_tokens":1050,
        "prompt_tokens_details":{"cached_tokens":600},
        "completion_tokens_details":{"reasoning_tokens":20}})";
    Report report{"openai_chat", "reasoning beside", expected(0), "", ""};
    report.whole = R"({"id":"c","model":"m","choices":[{"index":0,"finish_reason":"stop",
        "message":{"role":"assistant","content":"hi"}}],"usage":)" +
                   usage + "}";
    report.stream = data(
                        R"({"id":"c","choices":[{"index":0,"delta":{"content":"hi"},
        "finish_reason":"stop"}],"usage":)" +
                        usage + "}"
                    ) +
                    "data: [DONE]\n\n";
    return report;
}

Report openai_responses() {
    const std::string response = R"({"id":"r","object":"response","status":"completed","model":"m",
        "output":[{"id":"msg","type":"message","status":"completed","role":"assistant",
        "content":[{"type":"output_text","text":"hi","annotations":[]}]}],
        "usage":{"input_tokens":1000,"output_tokens":50,"total_tokens":1050,
        "input_tokens_details":{"cached_tokens":600,"cache_write_tokens":100},
        "output_tokens_details":{"reasoning_tokens":20}}})";
    Report report{"openai_responses", "details", expected(100), response, ""};
    report.stream =
        event(
            "response.created",
            R"("sequence_number":0,"response":{"id":"r","status":"in_progress",
            "model":"m","output":[],"usage":null})"
        ) +
        event(
            "response.output_item.added",
            R"("sequence_number":1,"output_index":0,"item":{"id":"msg",
            "type":"message","status":"in_progress","role":"assistant","content":[]})"
        ) +
        event(
            "response.content_part.added",
            R"("sequence_number":2,"item_id":"msg","output_index":0,
            "content_index":0,"part":{"type":"output_text","text":"","annotations":[]})"
        ) +
        event("response.output_text.delta", R"("sequence_number":3,"item_id":"msg","output_index":0,
            "content_index":0,"delta":"hi")") +
        event(
            "response.output_item.done",
            R"("sequence_number":4,"output_index":0,"item":{"id":"msg",
            "type":"message","status":"completed","role":"assistant",
            "content":[{"type":"output_text","text":"hi","annotations":[]}]})"
        ) +
        event("response.completed", R"("sequence_number":5,"response":)" + response);
    return report;
}

/// Trap 7: input comes without what the cache gave; later counts replace earlier ones.
Report anthropic() {
    Report report{"anthropic", "cached beside", expected(100), "", ""};
    report.whole = R"({"id":"a","type":"message","role":"assistant","model":"m",
        "content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,
        "usage":{"input_tokens":300,"cache_read_input_tokens":600,
        "cache_creation_input_tokens":100,"output_tokens":50,
        "output_tokens_details":{"thinking_tokens":20}}})";
    const std::string delta = R"("delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":)";
    report.stream =
        event("message_start", R"("message":{"id":"a","type":"message","role":"assistant",
            "model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":300,
            "cache_read_input_tokens":600,"cache_creation_input_tokens":100,"output_tokens":1}})") +
        event("content_block_start", R"("index":0,"content_block":{"type":"text","text":""})") +
        event("content_block_delta", R"("index":0,"delta":{"type":"text_delta","text":"hi"})") +
        event("content_block_stop", R"("index":0)") +
        event("message_delta", delta + R"({"output_tokens":30})") +
        event("message_delta", delta + R"({"input_tokens":300,"cache_read_input_tokens":600,
            "cache_creation_input_tokens":null,"output_tokens":50,
            "output_tokens_details":{"thinking_tokens":20}})") +
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    return report;
}

/// Trap 9: thoughts are counted beside candidates, each chunk has a running total.
Report gemini() {
    const std::string usage = R"({"promptTokenCount":1000,"cachedContentTokenCount":600,
        "candidatesTokenCount":30,"thoughtsTokenCount":20,"totalTokenCount":1050})";
    const std::string answer = R"({"candidates":[{"content":{"role":"model",
        "parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":)";
    Report report{"gemini", "thoughts beside", expected(0), answer + usage + "}", ""};
    report.stream = data(R"({"candidates":[{"content":{"role":"model","parts":[{"text":"h"}]}}],
        "usageMetadata":{"promptTokenCount":1000,"thoughtsTokenCount":20,"totalTokenCount":1020}})"
                    ) +
                    data(answer + usage + "}");
    return report;
}

/// What the provider's own tools read is input too.
Report gemini_tools() {
    const std::string usage = R"({"promptTokenCount":900,"toolUsePromptTokenCount":100,
        "cachedContentTokenCount":600,"candidatesTokenCount":30,"thoughtsTokenCount":20,
        "totalTokenCount":1050})";
    const std::string answer = R"({"candidates":[{"content":{"role":"model",
        "parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":)";
    return {"gemini", "tool use", expected(0), answer + usage + "}", data(answer + usage + "}")};
}

class UsageMeaningTest : public ::testing::TestWithParam<Report> {};

TEST_P(UsageMeaningTest, OfAWholeAnswer) {
    HttpResponse response(200);
    response.headers.add("content-type", "application/json");
    response.body = GetParam().whole;
    EXPECT_EQ(find_codec(GetParam().codec)->decode(response).usage, GetParam().usage);
}

TEST_P(UsageMeaningTest, OfAStream) {
    const Codec& codec = *find_codec(GetParam().codec);
    EXPECT_EQ(testing_cassettes::read_stream(codec, GetParam().stream).usage, GetParam().usage);
    const StreamEvents events = testing_cassettes::decode_pieces(codec, {GetParam().stream});
    EXPECT_EQ(testing_cassettes::meaning_of(events).usage, GetParam().usage);
}

INSTANTIATE_TEST_SUITE_P(
    AllCodecs,
    UsageMeaningTest,
    ::testing::Values(
        openai_chat(),
        openai_chat_reasoning_beside(),
        openai_responses(),
        anthropic(),
        gemini(),
        gemini_tools()
    )
);

}  // namespace
}  // namespace llmproc
