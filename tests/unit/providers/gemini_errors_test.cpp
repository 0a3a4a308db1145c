#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace llmproc {
namespace {

LLMError decode(int status, const std::string& body, const Headers& headers = Headers()) {
    HttpResponse response(status);
    response.headers = headers;
    response.body = body;
    return find_codec("gemini")->decode_error(response);
}

std::string error_of(const std::string& members) {
    return R"({"error":{"message":"m",)" + members + "}}";
}

TEST(GeminiErrorsTest, Trap9_ABadKeyIsA400) {
    const LLMError error = decode(
        400,
        error_of(
            R"("code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}])"
        )
    );
    EXPECT_EQ(error.errc(), Errc::authentication_failed);
    EXPECT_TRUE(error.code() == make_error_condition(Condition::authentication));
    EXPECT_EQ(error.diagnostics().provider_code, "API_KEY_INVALID");
    EXPECT_EQ(error.diagnostics().provider_type, "INVALID_ARGUMENT");
    EXPECT_EQ(decode(400, error_of(R"("code":400)")).errc(), Errc::invalid_request);
}

TEST(GeminiErrorsTest, StatusesHaveTheirCodes) {
    EXPECT_EQ(decode(401, error_of(R"("code":401)")).errc(), Errc::authentication_failed);
    EXPECT_EQ(decode(403, error_of(R"("code":403)")).errc(), Errc::permission_denied);
    EXPECT_EQ(decode(404, error_of(R"("code":404)")).errc(), Errc::not_found);
    EXPECT_EQ(decode(429, error_of(R"("code":429)")).errc(), Errc::rate_limited);
    EXPECT_EQ(decode(500, error_of(R"("code":500)")).errc(), Errc::server_error);
    EXPECT_EQ(decode(503, error_of(R"("code":503)")).errc(), Errc::overloaded);
    EXPECT_EQ(decode(504, error_of(R"("code":504)")).errc(), Errc::server_error);
}

TEST(GeminiErrorsTest, ATooLongConversationHasItsOwnCode) {
    const std::string body =
        R"({"error":{"code":400,"status":"INVALID_ARGUMENT","message":"The input token count )"
        R"((2000000) exceeds the maximum number of tokens allowed (1048576)."}})";
    EXPECT_EQ(decode(400, body).errc(), Errc::context_length);
}

TEST(GeminiErrorsTest, TheHeaderWinsOverTheHintInTheBody) {
    const std::string body = error_of(R"("details":[7,{"retryDelay":"3.5s"}])");
    EXPECT_EQ(decode(429, body).diagnostics().retry_after, std::chrono::milliseconds(3500));
    EXPECT_EQ(
        decode(429, body, Headers({{"retry-after", "1"}})).diagnostics().retry_after,
        std::chrono::milliseconds(1000)
    );
    for (const char* delay : {"-1s", "soon", "", "99999999999999999999s"}) {
        const std::string odd = error_of(
            R"("details":[{"retryDelay":")" + std::string(delay) + "\"}]"
        );
        EXPECT_FALSE(decode(429, odd).diagnostics().retry_after.has_value()) << delay;
    }
}

TEST(GeminiErrorsTest, AnErrorInAListAsTheArrayFormSendsIt) {
    const LLMError error =
        decode(429, "[" + error_of(R"("code":429,"details":[{"retryDelay":"2s"}])") + "]");
    EXPECT_EQ(error.errc(), Errc::rate_limited);
    EXPECT_EQ(error.diagnostics().provider_message, "m");
    EXPECT_EQ(error.diagnostics().retry_after, std::chrono::seconds(2));
}

TEST(GeminiErrorsTest, BodiesThatAreNoErrorsStillTellTheStatus) {
    const std::string deep = std::string(5000, '[') + std::string(5000, ']');
    for (const std::string& body :
         {std::string(),
          std::string("<html>busy</html>"),
          std::string("{\"error\":"),
          deep,
          std::string(1 << 20, 'x'),
          std::string(R"({"error":{"details":{"a":1},"code":[1]}})")}) {
        const LLMError error = decode(503, body);
        EXPECT_EQ(error.errc(), Errc::overloaded);
        EXPECT_LT(error.message().size(), 3000U);
        EXPECT_EQ(error.diagnostics().status, 503);
    }
}

}  // namespace
}  // namespace llmproc
