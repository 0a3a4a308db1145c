// Every recorded error body becomes its code, its condition and its diagnostics.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace llmproc {
namespace {

using testing_cassettes::codec;
using testing_cassettes::read_cassette;

struct ErrorCase {
    std::string file;
    Errc code;
    bool retryable;
    std::string words;  ///< Part of the provider's message.
};

void PrintTo(const ErrorCase& error, std::ostream* out) {
    *out << error.file;
}

class ErrorConformanceTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(ErrorConformanceTest, HasItsCodeConditionAndDiagnostics) {
    const ErrorCase& wanted = GetParam();
    const Json index = parse_json(read_cassette("errors.index.json")).at(wanted.file);
    HttpResponse response(index.at("status").get<int>());
    for (const auto& [name, value] : index.at("headers").items()) {
        response.headers.add(name, value.get<std::string>());
    }
    response.body = read_cassette(wanted.file);
    for (const Codec* const protocol : {&codec(), find_codec("openai_responses")}) {
        const LLMError error = protocol->decode_error(response);
        EXPECT_EQ(error.errc(), wanted.code) << error.what();
        EXPECT_EQ(error.code() == make_error_condition(Condition::retryable), wanted.retryable);
        EXPECT_EQ(error.diagnostics().status, response.status);
        EXPECT_NE(error.diagnostics().provider_message.find(wanted.words), std::string::npos);
        EXPECT_NE(error.message().find(std::to_string(response.status)), std::string::npos);
        EXPECT_NE(error.message().find(wanted.words), std::string::npos);
        EXPECT_EQ(error.message().find('\n'), std::string::npos);
        EXPECT_EQ(error.diagnostics().request_id, protocol->request_id(response.headers));
    }
}

std::string error_case_name(const testing::TestParamInfo<ErrorCase>& error) {
    return testing_cassettes::name_of(error.param.file);
}

INSTANTIATE_TEST_SUITE_P(
    OpenAiChat,
    ErrorConformanceTest,
    testing::Values(
        ErrorCase{"errors-openai-400.json", Errc::invalid_request, false, "Unsupported parameter"},
        ErrorCase{"errors-openai-401.json", Errc::authentication_failed, false, "Incorrect API"},
        ErrorCase{"errors-openai-404.json", Errc::not_found, false, "does not exist"},
        ErrorCase{"errors-openai-429-rate.json", Errc::rate_limited, true, "Rate limit reached"},
        ErrorCase{"errors-openai-429-quota.json", Errc::insufficient_quota, false, "quota"},
        ErrorCase{"errors-openai-500.json", Errc::server_error, true, "had an error"},
        ErrorCase{"errors-azure-content-filter.json", Errc::content_filtered, false, "filtered"},
        ErrorCase{"errors-compat-string.json", Errc::not_found, false, "try pulling it first"},
        ErrorCase{
            "errors-compat-detail.json",
            Errc::invalid_request,
            false,
            "body.messages: Field"},
        ErrorCase{"errors-compat-code-number.json", Errc::insufficient_quota, false, "credits"},
        ErrorCase{"errors-html-502.html", Errc::server_error, true, "502 Bad Gateway"},
        // Bodies of the other vendors, as their gateways send them to this protocol's clients.
        ErrorCase{"errors-anthropic-400.json", Errc::invalid_request, false, ""},
        ErrorCase{"errors-anthropic-401.json", Errc::authentication_failed, false, ""},
        ErrorCase{"errors-anthropic-413.json", Errc::request_too_large, false, ""},
        ErrorCase{"errors-anthropic-429.json", Errc::rate_limited, true, ""},
        ErrorCase{"errors-anthropic-529.json", Errc::overloaded, true, ""},
        ErrorCase{"errors-gemini-400.json", Errc::invalid_request, false, ""},
        ErrorCase{"errors-gemini-429.json", Errc::rate_limited, true, ""},
        ErrorCase{"errors-gemini-503.json", Errc::overloaded, true, ""}
    ),
    error_case_name
);

TEST(ErrorConformanceTest, TheWaitHintIsKept) {
    HttpResponse response(429);
    response.headers.add("retry-after-ms", "40");
    response.headers.add("retry-after", "1");
    response.body = read_cassette("errors-openai-429-rate.json");
    for (const Codec* const protocol : {&codec(), find_codec("openai_responses")}) {
        EXPECT_EQ(
            protocol->decode_error(response).diagnostics().retry_after,
            std::chrono::milliseconds(40)
        );
    }
}

}  // namespace
}  // namespace llmproc
