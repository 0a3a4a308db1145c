#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace llmproc {
namespace {

LLMError decode(int status, std::string body, const Headers& headers = Headers()) {
    return find_codec("anthropic")
        ->decode_error(HttpResponse(status, "", headers, std::move(body)));
}

std::string error_body(const std::string& type, const std::string& message) {
    return R"({"type":"error","error":{"type":")" + type + R"(","message":")" + message +
           R"("},"request_id":"req_body"})";
}

TEST(AnthropicErrorsTest, EveryStatusAndType) {
    struct Case {
        int status;
        const char* type;
        Errc code;
    };
    const Case cases[] = {
        {400, "invalid_request_error", Errc::invalid_request},
        {401, "authentication_error", Errc::authentication_failed},
        {402, "billing_error", Errc::insufficient_quota},
        {403, "permission_error", Errc::permission_denied},
        {404, "not_found_error", Errc::not_found},
        {409, "conflict_error", Errc::conflict},
        {413, "request_too_large", Errc::request_too_large},
        {429, "rate_limit_error", Errc::rate_limited},
        {500, "api_error", Errc::server_error},
        {504, "timeout_error", Errc::server_error},
        {529, "overloaded_error", Errc::overloaded}};
    for (const Case& wanted : cases) {
        const LLMError error = decode(wanted.status, error_body(wanted.type, "m"));
        EXPECT_EQ(error.errc(), wanted.code) << wanted.type;
        EXPECT_EQ(error.diagnostics().provider_type, wanted.type);
        EXPECT_EQ(error.diagnostics().request_id, "req_body");
        // Without a status, as in a body after HTTP 200, the type alone says the same.
        try {
            static_cast<void>(
                find_codec("anthropic")
                    ->decode(HttpResponse(200, "", Headers(), error_body(wanted.type, "m")))
            );
            ADD_FAILURE() << wanted.type;
        } catch (const LLMError& reported) {
            EXPECT_EQ(reported.errc(), wanted.code) << wanted.type;
            EXPECT_FALSE(reported.diagnostics().status.has_value());
        }
    }
}

TEST(AnthropicErrorsTest, AConversationThatIsTooLong) {
    const char* const words[] = {
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 199000 + 16384 > 200000"};
    for (const char* message : words) {
        const LLMError error = decode(400, error_body("invalid_request_error", message));
        EXPECT_EQ(error.errc(), Errc::context_length);
        EXPECT_NE(error.message().find("shorten the conversation"), std::string::npos);
    }
}

TEST(AnthropicErrorsTest, Trap18_ASpentLimitIsNoRateLimit) {
    const std::string body = R"({"type":"error","error":{"type":"rate_limit_error","message":"m",)"
                             R"("details":{"error_code":"enforced_spend_limit_reached"}}})";
    for (const int status : {400, 429}) {
        const LLMError error = decode(status, body);
        EXPECT_EQ(error.errc(), Errc::insufficient_quota);
        EXPECT_FALSE(error.code() == make_error_condition(Condition::retryable));
        EXPECT_EQ(error.diagnostics().provider_code, "enforced_spend_limit_reached");
    }
}

// A rule of a model is not ours to know: the server's words reach the user.
TEST(AnthropicErrorsTest, Trap30_TheProvidersWordsAreShown) {
    const LLMError error = decode(
        400,
        error_body("invalid_request_error", "thinking.type: enabled is not supported"),
        Headers({{"request-id", "req_header"}, {"x-request-id", "gateway"}})
    );
    EXPECT_EQ(
        error.message(),
        "the provider answered HTTP 400: thinking.type: enabled is not supported "
        "(invalid_request_error); change the request as the provider says"
    );
    EXPECT_EQ(error.diagnostics().request_id, "req_header");
}

TEST(AnthropicErrorsTest, BodiesThatAreNoErrorObject) {
    for (const char* body :
         {"", "<html>", "{", "[]", R"({"error":5})", R"({"error":{"details":[]}})"}) {
        EXPECT_EQ(decode(529, body).errc(), Errc::overloaded) << body;
        EXPECT_EQ(decode(502, body).errc(), Errc::server_error) << body;
    }
    const LLMError odd = decode(400, R"({"error":{"message":{"x":1},"details":{"error_code":7}}})");
    EXPECT_EQ(odd.errc(), Errc::invalid_request);
    EXPECT_EQ(odd.diagnostics().provider_code, "7");
    EXPECT_EQ(decode(418, "").errc(), Errc::http_status);
}

}  // namespace
}  // namespace llmproc
