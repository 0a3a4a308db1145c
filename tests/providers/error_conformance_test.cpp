// Every recorded error body becomes its code, its condition and its diagnostics, with the protocol
// that it is from and, as gateways mix them, with every other one.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"
#include "providers/protocol_case.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing_cassettes::codec_of;
using testing_cassettes::protocol_cases;
using testing_cassettes::ProtocolCase;
using testing_cassettes::read_cassette;

struct ErrorCase {
    std::string file;
    Errc code;
    bool retryable;
    std::string words;                 ///< Part of the provider's message.
    std::string type = std::string();  ///< The provider's own code or type.
    /// The code where another protocol's server sends it.
    std::optional<Errc> elsewhere = std::nullopt;
};

void PrintTo(const ErrorCase& error, std::ostream* out) {
    *out << error.file;
}

const std::vector<ErrorCase>& error_cases() {
    static const std::vector<ErrorCase> cases{
        {"errors-openai-400.json", Errc::invalid_request, false, "Unsupported parameter"},
        {"errors-openai-401.json", Errc::authentication_failed, false, "Incorrect API"},
        {"errors-openai-404.json", Errc::not_found, false, "does not exist"},
        {"errors-openai-429-rate.json", Errc::rate_limited, true, "Rate limit reached"},
        {"errors-openai-429-quota.json", Errc::insufficient_quota, false, "quota"},
        {"errors-openai-500.json", Errc::server_error, true, "had an error"},
        {"errors-azure-content-filter.json", Errc::content_filtered, false, "filtered"},
        {"errors-compat-string.json", Errc::not_found, false, "try pulling it first"},
        {"errors-compat-detail.json", Errc::invalid_request, false, "body.messages: Field"},
        {"errors-compat-code-number.json", Errc::insufficient_quota, false, "credits"},
        {"errors-html-502.html", Errc::server_error, true, "502 Bad Gateway"},
        {"errors-anthropic-400.json",
         Errc::invalid_request,
         false,
         "temperature: Extra inputs",
         "invalid_request_error"},
        {"errors-anthropic-400-code.json",
         Errc::invalid_request,
         false,
         "share a name",
         "tool_name_conflict"},
        {"errors-anthropic-401.json",
         Errc::authentication_failed,
         false,
         "invalid bearer",
         "authentication_error"},
        {"errors-anthropic-413.json",
         Errc::request_too_large,
         false,
         "exceeds the maximum",
         "request_too_large"},
        {"errors-anthropic-429.json",
         Errc::rate_limited,
         true,
         "exceed the rate limit",
         "rate_limit_error"},
        {"errors-anthropic-529.json", Errc::overloaded, true, "Overloaded", "overloaded_error"},
        {"errors-gemini-400.json", Errc::invalid_request, false, "thought_signature"},
        {"errors-gemini-400-key.json",
         Errc::authentication_failed,
         false,
         "API key not",
         "",
         Errc::invalid_request},
        {"errors-gemini-429.json", Errc::rate_limited, true, "exceeded your current"},
        {"errors-gemini-503.json", Errc::overloaded, true, "overloaded"}};
    return cases;
}

HttpResponse answer_of(const std::string& file) {
    const Json index = parse_json(read_cassette("openai_chat", "errors.index.json")).at(file);
    HttpResponse response(index.at("status").get<int>());
    for (const auto& [name, value] : index.at("headers").items()) {
        response.headers.add(name, value.get<std::string>());
    }
    response.body = read_cassette("openai_chat", file);
    return response;
}

/// Whether the protocol's own servers, or servers that speak it, send this body.
bool is_native(const ProtocolCase& protocol, const std::string& file) {
    const std::string vendor = file.substr(7, file.find('-', 7) - 7);
    if (vendor == "anthropic" || vendor == "gemini") {
        return protocol.codec == vendor;
    }
    return vendor == "html" || protocol.codec.rfind("openai", 0) == 0;
}

class ErrorConformanceTest : public ::testing::TestWithParam<ErrorCase> {};

TEST_P(ErrorConformanceTest, HasItsCodeConditionAndDiagnostics) {
    const ErrorCase& wanted = GetParam();
    const HttpResponse response = answer_of(wanted.file);
    for (const ProtocolCase& protocol : protocol_cases()) {
        SCOPED_TRACE(protocol.codec);
        const LLMError error = codec_of(protocol).decode_error(response);
        const Diagnostics& known = error.diagnostics();
        const bool native = is_native(protocol, wanted.file);
        const Errc code = native ? wanted.code : wanted.elsewhere.value_or(wanted.code);
        EXPECT_EQ(error.errc(), code) << error.what();
        EXPECT_EQ(error.code() == make_error_condition(Condition::retryable), wanted.retryable);
        EXPECT_EQ(known.status, response.status);
        EXPECT_NE(known.provider_message.find(wanted.words), std::string::npos);
        EXPECT_NE(error.message().find(std::to_string(response.status)), std::string::npos);
        EXPECT_NE(error.message().find(wanted.words), std::string::npos);
        EXPECT_EQ(error.message().find('\n'), std::string::npos);
        if (!native) {
            continue;
        }
        const std::string id = codec_of(protocol).request_id(response.headers);
        EXPECT_EQ(known.request_id.empty(), id.empty());
        if (!wanted.type.empty()) {
            EXPECT_EQ(
                known.provider_code.empty() ? known.provider_type : known.provider_code,
                wanted.type
            );
            EXPECT_NE(error.message().find(wanted.type), std::string::npos);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    ErrorConformanceTest,
    ::testing::ValuesIn(error_cases()),
    [](const ::testing::TestParamInfo<ErrorCase>& error) {
        return testing_cassettes::name_of(error.param.file);
    }
);

TEST(ErrorCasesTest, AreAllThatWereRecorded) {
    std::set<std::string> recorded;
    const Json index = parse_json(read_cassette("openai_chat", "errors.index.json"));
    for (const auto& [file, answer] : index.items()) {
        recorded.insert(file);
    }
    std::set<std::string> tested;
    for (const ErrorCase& error : error_cases()) {
        tested.insert(error.file);
    }
    EXPECT_EQ(tested, recorded);
}

TEST(ErrorWaitHintTest, IsKeptFromHeadersAndFromTheBody) {
    const auto hint = [](const char* codec, const char* file) {
        return find_codec(codec)->decode_error(answer_of(file)).diagnostics().retry_after;
    };
    using std::chrono::milliseconds;
    EXPECT_EQ(hint("openai_chat", "errors-openai-429-rate.json"), milliseconds(40));
    EXPECT_EQ(hint("openai_responses", "errors-openai-429-rate.json"), milliseconds(40));
    EXPECT_EQ(hint("anthropic", "errors-anthropic-429.json"), milliseconds(1000));
    EXPECT_EQ(hint("gemini", "errors-gemini-429.json"), milliseconds(3200));
}

}  // namespace
}  // namespace llmproc
