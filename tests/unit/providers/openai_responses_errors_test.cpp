#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "providers/codec_checks.hpp"

#include <gtest/gtest.h>

#include <string>

namespace llmproc {
namespace {

const Codec& codec() {
    return *find_codec("openai_responses");
}

LLMError stream_error(const std::string& body) {
    try {
        static_cast<void>(testing_cassettes::read_stream(codec(), body));
    } catch (const LLMError& error) {
        return error;
    }
    return {Errc::internal, "nothing was thrown"};
}

std::string error_event(const std::string& data) {
    return "event: error\ndata: " + data + "\n\n";
}

TEST(OpenAiResponsesErrorsTest, ErrorEventsOfEveryForm) {
    const LLMError flat = stream_error(
        error_event(R"({"type":"error","code":"server_is_overloaded","message":"busy"})")
    );
    EXPECT_EQ(flat.errc(), Errc::overloaded);
    EXPECT_EQ(flat.diagnostics().provider_type, "");
    EXPECT_EQ(flat.diagnostics().provider_code, "server_is_overloaded");
    const LLMError nested = stream_error(
        error_event(R"({"type":"error","error":{"type":"invalid_request_error","message":"m"}})")
    );
    EXPECT_EQ(nested.errc(), Errc::invalid_request);
    EXPECT_EQ(nested.diagnostics().provider_message, "m");
    const LLMError words = stream_error(error_event("upstream gave up"));
    EXPECT_EQ(words.errc(), Errc::server_error);
    EXPECT_EQ(words.diagnostics().provider_message, "upstream gave up");
    // As Chat Completions has it, without a name.
    EXPECT_EQ(
        stream_error("data: {\"error\":{\"code\":\"rate_limit_exceeded\"}}\n\n").errc(),
        Errc::rate_limited
    );
    EXPECT_EQ(stream_error("data: {\"type\":\"error\"}\n\n").errc(), Errc::server_error);
}

TEST(OpenAiResponsesErrorsTest, Trap18_ASpentQuotaIsNoRateLimitAlsoInAStream) {
    const LLMError error = stream_error(
        error_event(R"({"type":"error","code":"insufficient_quota","message":"m"})")
    );
    EXPECT_EQ(error.errc(), Errc::insufficient_quota);
    EXPECT_FALSE(error.code() == make_error_condition(Condition::retryable));
}

TEST(OpenAiResponsesErrorsTest, CodesOfFailedResponses) {
    const std::pair<const char*, Errc> cases[] = {
        {"server_error", Errc::server_error},
        {"rate_limit_exceeded", Errc::rate_limited},
        {"invalid_prompt", Errc::invalid_request},
        {"context_length_exceeded", Errc::context_length},
        {"data_residency_mismatch", Errc::invalid_request},
        {"bio_policy", Errc::content_filtered},
        {"misalignment_policy_violation", Errc::content_filtered},
        {"image_content_policy_violation", Errc::content_filtered},
        {"vector_store_timeout", Errc::server_error},
        {"invalid_image", Errc::invalid_request},
        {"image_too_large", Errc::invalid_request},
        {"failed_to_download_image", Errc::invalid_request},
        {"brand_new", Errc::server_error}};
    for (const auto& [word, code] : cases) {
        const std::string body =
            R"({"status":"failed","output":[],"error":{"message":"m","code":")" +
            std::string(word) + "\"}}";
        HttpResponse response(200);
        response.body = body;
        EXPECT_THROW(static_cast<void>(codec().decode(response)), LLMError);
        const LLMError error = stream_error(
            "data: {\"type\":\"response.failed\",\"response\":" + body + "}\n\n"
        );
        EXPECT_EQ(error.errc(), code) << word;
        EXPECT_EQ(error.diagnostics().provider_code, word);
    }
}

TEST(OpenAiResponsesErrorsTest, Trap30_TheServersOwnWordsReachTheUser) {
    HttpResponse response(400);
    response.body = R"({"error":{"message":"Unsupported parameter: 'seed'.","type":)"
                    R"("invalid_request_error","param":"seed","code":"unsupported_parameter"}})";
    const LLMError error = codec().decode_error(response);
    EXPECT_EQ(error.errc(), Errc::invalid_request);
    EXPECT_NE(error.message().find("Unsupported parameter: 'seed'."), std::string::npos);
    EXPECT_EQ(error.diagnostics().provider_code, "unsupported_parameter");
}

}  // namespace
}  // namespace llmproc
