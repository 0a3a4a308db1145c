#include "unit/program/bad_program.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

/// A row for one line in a table: `column` is where the error stands in line 5.
BadProgram row(
    const std::string& table,
    const std::string& line,
    std::uint32_t column,
    std::string_view key,
    std::string_view fragment
) {
    return {key, with("[" + table + "]\n" + line + "\n"), 5, column, key, fragment};
}

std::vector<BadProgram> limit_rows() {
    std::vector<BadProgram> rows;
    for (const std::string_view key :
         {"connection.timeout",
          "connection.attempt_timeout",
          "connection.queue_timeout",
          "connection.pool_timeout",
          "connection.resolve_timeout",
          "connection.connect_timeout",
          "connection.proxy_timeout",
          "connection.handshake_timeout",
          "connection.write_timeout",
          "connection.first_byte_timeout",
          "connection.idle_read_timeout",
          "connection.read_timeout",
          "connection.consumer_timeout",
          "connection.max_connection_age",
          "connection.idle_timeout"}) {
        const std::string leaf(key.substr(key.find('.') + 1));
        const auto column = static_cast<std::uint32_t>(leaf.size() + 4);
        rows.push_back(row("connection", leaf + " = 0", column, key, "from 0.001 to 86400, got 0"));
        rows.push_back(row("connection", leaf + " = 86401", column, key, "got 86401"));
        rows.push_back(
            row("connection", leaf + " = \"1s\"", column, key, "number of seconds, got a string")
        );
    }
    return rows;
}

std::vector<BadProgram> connection_rows() {
    const auto connection = [](const std::string& line,
                               std::uint32_t column,
                               std::string_view key,
                               std::string_view fragment) {
        return row("connection", line, column, key, fragment);
    };
    return {
        connection("max_connections = 0", 19, "connection.max_connections", "from 1 to 100000"),
        connection("max_connections = 100001", 19, "connection.max_connections", "got 100001"),
        connection("ca_dir = 1", 10, "connection.ca_dir", "expected a string, got an integer"),
        connection("ca_dir = \"\"", 10, "connection.ca_dir", "empty string"),
        connection("only_ca = 1", 11, "connection.only_ca", "expected a boolean"),
        connection("only_ca = true", 1, "connection.only_ca", "nobody to trust"),
        connection("client_cert = true", 15, "connection.client_cert", "expected a string"),
        connection("client_key = \"k\"", 1, "connection.client_key", "connection.client_cert"),
        connection(
            "client_key_passphrase_env = \"P\"",
            1,
            "connection.client_key_passphrase_env",
            "without connection.client_cert"
        ),
        connection(
            "client_key_passphrase_env = \"two words\"",
            29,
            "connection.client_key_passphrase_env",
            "expected the name of an environment variable"
        ),
        connection(
            "client_key_passphrase_env = \"\"",
            29,
            "connection.client_key_passphrase_env",
            "empty string"
        ),
        connection(
            "min_tls = \"1.1\"",
            11,
            "connection.min_tls",
            "expected \"1.2\" or \"1.3\", got '1.1'"
        ),
        connection("min_tls = 1.3", 11, "connection.min_tls", "\"1.2\" or \"1.3\", got a float"),
        connection("http2 = true", 1, "connection.http2", "not yet available"),
        connection("tls_min = \"1.3\"", 1, "connection.tls_min", "unknown key"),
        connection("conect_timeout = 1", 1, "connection.conect_timeout", "connect_timeout?"),
        connection("max_connection = 1", 1, "connection.max_connection", "max_connections?"),
        connection("max_attempts = 1", 1, "connection.max_attempts", "in the table [retry]"),
        {"read_timeout twice",
         with("[connection]\nidle_read_timeout = 1\nread_timeout = 2\n"),
         6,
         1,
         "connection.read_timeout",
         "sets the same as connection.idle_read_timeout at line 5"},
    };
}

std::vector<BadProgram> proxy_rows() {
    const auto proxy = [](const std::string& value, std::uint32_t column, std::string_view fragment
                       ) {
        return row("connection", "proxy = " + value, column, "connection.proxy", fragment);
    };
    const auto no_proxy = [](const std::string& value,
                             std::uint32_t column,
                             std::string_view fragment) {
        return row("connection", "no_proxy = " + value, column, "connection.no_proxy", fragment);
    };
    return {
        proxy("true", 9, "expected a string, got a boolean"),
        proxy("\"socks5://p:1\"", 9, "SOCKS"),
        proxy("\"http://p:99999\"", 9, "no valid host and port"),
        proxy("\"http://p:1/path\"", 9, "path"),
        proxy("\"http://user:pass@p:1\"", 1, "environment variable HTTPS_PROXY"),
        proxy("\"http://user@p:1\"", 1, "model.allow_inline_key"),
        proxy("\"http://user:pa/ss@p:1\"", 1, "is refused"),
        no_proxy("1", 12, "a string or an array of strings"),
        no_proxy("[\"a\", 1]", 18, "expected a string, got an integer"),
        no_proxy("[\"\"]", 13, "empty string"),
        no_proxy("\"a.example,b.example\"", 12, "one in each string"),
        no_proxy("[\"a b\"]", 12, "'a b' is no host"),
        no_proxy("[\"http://a\"]", 12, "is no host"),
        no_proxy("[\"10.0.0.0/33\"]", 12, "is no host"),
    };
}

std::vector<BadProgram> retry_rows() {
    const auto retry = [](const std::string& line,
                          std::uint32_t column,
                          std::string_view key,
                          std::string_view fragment) {
        return row("retry", line, column, key, fragment);
    };
    return {
        retry("max_attempts = 0", 16, "retry.max_attempts", "from 1 to 100, got 0"),
        retry("max_attempts = 101", 16, "retry.max_attempts", "got 101"),
        retry("max_attempts = 2.0", 16, "retry.max_attempts", "expected an integer"),
        retry("max_retries = 2", 1, "retry.max_retries", "unknown key"),
        retry("initial_delay = -1", 17, "retry.initial_delay", "from 0 to 3600, got -1"),
        retry("initial_delay = nan", 17, "retry.initial_delay", "got nan"),
        retry("max_delay = 3601", 13, "retry.max_delay", "from 0 to 3600, got 3601"),
        retry("max_delay = \"8\"", 13, "retry.max_delay", "number of seconds, got a string"),
        retry("max_retry_after = 86401", 19, "retry.max_retry_after", "from 0 to 86400"),
        retry("jitter = \"none\"", 10, "retry.jitter", "expected \"full\" or \"sdk\", got 'none'"),
        retry("jitter = true", 10, "retry.jitter", "got a boolean"),
        {"delays crossed",
         with("[retry]\nmax_delay = 1\ninitial_delay = 2\n"),
         5,
         1,
         "retry.max_delay",
         "shorter than retry.initial_delay at line 6"},
        {"no table",
         "retry = 3\n[model]\nname = \"m\"\nprovider = \"ollama\"\n",
         1,
         9,
         "retry",
         "expected a table, written as [retry]"},
    };
}

std::vector<BadProgram> rate_limit_rows() {
    return {
        row("rate_limit", "max_in_flight = 0", 17, "rate_limit.max_in_flight", "1 to 100000"),
        row("rate_limit", "max_in_flight = 100001", 17, "rate_limit.max_in_flight", "got 100001"),
        row("rate_limit",
            "requests_per_minute = 0",
            23,
            "rate_limit.requests_per_minute",
            "of at least 1, got 0"),
        row("rate_limit",
            "tokens_per_minute = 1.5",
            21,
            "rate_limit.tokens_per_minute",
            "expected an integer, got a float"),
        row("rate_limit", "rpm = 5", 1, "rate_limit.rpm", "unknown key"),
        {"plural",
         with("[rate_limits]\nmax_in_flight = 5\n"),
         4,
         2,
         "rate_limits",
         "did you mean rate_limit?"},
    };
}

class ProgramConnectionErrorsTest : public testing::TestWithParam<BadProgram> {};

TEST_P(ProgramConnectionErrorsTest, NamesPlaceKeyAndRemedy) {
    expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Limit, ProgramConnectionErrorsTest, testing::ValuesIn(limit_rows()));
INSTANTIATE_TEST_SUITE_P(
    Connection,
    ProgramConnectionErrorsTest,
    testing::ValuesIn(connection_rows())
);
INSTANTIATE_TEST_SUITE_P(Proxy, ProgramConnectionErrorsTest, testing::ValuesIn(proxy_rows()));
INSTANTIATE_TEST_SUITE_P(Retry, ProgramConnectionErrorsTest, testing::ValuesIn(retry_rows()));
INSTANTIATE_TEST_SUITE_P(
    RateLimit,
    ProgramConnectionErrorsTest,
    testing::ValuesIn(rate_limit_rows())
);

}  // namespace
}  // namespace llmproc
