#include "providers/openai_errors.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace llmproc {
namespace {

LLMError decode(int status, std::string body, const Headers& headers = Headers()) {
    return providers::decode_openai_error(HttpResponse(status, "", headers, std::move(body)), "");
}

TEST(OpenAiErrorsTest, StatusesWithoutAWordFromTheBody) {
    const std::pair<int, Errc> cases[] = {
        {400, Errc::invalid_request},
        {401, Errc::authentication_failed},
        {402, Errc::insufficient_quota},
        {403, Errc::permission_denied},
        {404, Errc::not_found},
        {408, Errc::server_error},
        {409, Errc::conflict},
        {413, Errc::request_too_large},
        {422, Errc::invalid_request},
        {429, Errc::rate_limited},
        {500, Errc::server_error},
        {503, Errc::overloaded},
        {529, Errc::overloaded},
        {302, Errc::http_status},
        {418, Errc::http_status}};
    for (const auto& [status, code] : cases) {
        const LLMError error = decode(status, "");
        EXPECT_EQ(error.errc(), code) << status;
        EXPECT_EQ(error.diagnostics().status, status);
    }
}

TEST(OpenAiErrorsTest, CodesThatSayMoreThanTheStatus) {
    const auto code = [](int status, const std::string& members) {
        return decode(status, "{\"error\":{" + members + "}}").errc();
    };
    EXPECT_EQ(code(400, R"("code":"context_length_exceeded")"), Errc::context_length);
    EXPECT_EQ(code(400, R"("type":"exceed_context_size_error")"), Errc::context_length);
    EXPECT_EQ(
        code(400, R"("message":"This model's maximum context length is 8 tokens")"),
        Errc::context_length
    );
    EXPECT_EQ(code(429, R"("code":"credit_balance_exhausted")"), Errc::insufficient_quota);
    EXPECT_EQ(code(400, R"("code":"invalid_api_key")"), Errc::authentication_failed);
}

TEST(OpenAiErrorsTest, EveryShapeGivesItsMessage) {
    const auto words = [](const std::string& body) {
        return decode(400, body).diagnostics().provider_message;
    };
    EXPECT_EQ(words(R"({"error":"text"})"), "text");
    EXPECT_EQ(words(R"({"error":{"message":"text"}})"), "text");
    EXPECT_EQ(words(R"({"detail":"text"})"), "text");
    EXPECT_EQ(
        words(R"({"detail":[{"loc":["body",0],"msg":"bad"},{"msg":"worse"}]})"),
        "body.0: bad; worse"
    );
    EXPECT_EQ(words(R"({"object":"error","message":"text","code":40303})"), "text");
    EXPECT_EQ(words(R"([{"error":{"message":"text"}}])"), "text");
    EXPECT_EQ(words(R"("text")"), "text");
    EXPECT_EQ(words("<html>x</html>"), "<html>x</html>");
    EXPECT_EQ(words(R"({"unknown":1})"), R"({"unknown":1})");
    EXPECT_EQ(words(R"({"error":{"message":"cut)"), R"({"error":{"message":"cut)");
    EXPECT_EQ(words(""), "");
}

TEST(OpenAiErrorsTest, LongTextIsCutBetweenCharacters) {
    std::string body;
    while (body.size() < 5000) {
        body += "\xe2\x82\xac";
    }
    const LLMError error = decode(500, "x" + body);
    const std::string& message = error.diagnostics().provider_message;
    EXPECT_EQ(message.size(), 1999U);
    EXPECT_EQ(message.substr(message.size() - 3), "\xe2\x82\xac");
    EXPECT_LT(error.message().size(), 600U);
}

TEST(OpenAiErrorsTest, LongTextIsCutBetweenWordsSoThatNoPartOfAKeyIsShown) {
    for (const std::size_t limit : {400U, 2000U}) {
        for (std::size_t before = limit - 24; before <= limit; ++before) {
            const std::string key = "sk-live_01:3456$89.ab=/+";
            const std::string filler = std::string(before - 1, ',') + '"';
            const LLMError error = decode(500, filler + key + " is wrong");
            const std::string& words = error.diagnostics().provider_message;
            const bool whole = before + key.size() <= 2000;
            EXPECT_EQ(words.find("sk-live") != std::string::npos, whole) << before;
            EXPECT_EQ(words.find(key) != std::string::npos, whole) << before;
            const bool in_line = before + key.size() <= 400;
            EXPECT_EQ(error.message().find("sk-l") != std::string::npos, in_line) << before;
        }
    }
    // One word from beginning to end, which may be the token itself.
    const LLMError token = decode(500, std::string(3000, 'x'));
    EXPECT_EQ(token.diagnostics().provider_message, "");
}

TEST(OpenAiErrorsTest, TheLineIsOneLineWithStatusWordsAndRemedy) {
    const LLMError error = decode(401, R"({"error":{"message":"bad\nkey","code":"c"}})");
    EXPECT_EQ(
        error.message(),
        "the provider answered HTTP 401: bad key (c); "
        "check the key in the variable named by model.api_key_env, or what the token provider "
        "returns"
    );
}

TEST(OpenAiErrorsTest, RequestIdFromTheBodyAndHintFromTheHeaders) {
    const LLMError error = decode(
        429,
        R"({"error":{"message":"m"},"request_id":"r"})",
        Headers({{"Retry-After", "1.5"}})
    );
    EXPECT_EQ(error.diagnostics().request_id, "r");
    EXPECT_EQ(error.diagnostics().retry_after, std::chrono::milliseconds(1500));
    EXPECT_FALSE(decode(429, "").diagnostics().retry_after.has_value());
}

}  // namespace
}  // namespace llmproc
