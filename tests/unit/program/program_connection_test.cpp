#include <llmproc/error.hpp>
#include "core/environment.hpp"
#include "program/program_file.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using Variables = std::map<std::string, std::string>;

ProgramSettings read(const std::string& rest) {
    return read_program("[model]\nname = \"m\"\nprovider = \"ollama\"\n" + rest, "p.toml", "/base");
}

struct LimitRow {
    std::string_view key;
    Stage stage;
    std::optional<milliseconds> fallback;
};

std::ostream& operator<<(std::ostream& out, const LimitRow& row) {
    return out << row.key;
}

class ProgramLimitTest : public testing::TestWithParam<LimitRow> {};

TEST_P(ProgramLimitTest, SetsItsOwnStageAndNoOther) {
    const LimitRow& row = GetParam();
    EXPECT_EQ(read("").timeouts.limit(row.stage), row.fallback);
    const ProgramSettings program = read("[connection]\n" + std::string(row.key) + " = 7.25\n");
    const Timeouts defaults = Timeouts::defaults();
    for (int i = 0; i <= static_cast<int>(Stage::total); ++i) {
        const auto stage = static_cast<Stage>(i);
        const auto expected = stage == row.stage ? milliseconds(7250) : defaults.limit(stage);
        EXPECT_EQ(program.timeouts.limit(stage), expected) << to_string(stage);
    }
    EXPECT_EQ(program.timeouts.attempt(), defaults.attempt());
}

INSTANTIATE_TEST_SUITE_P(
    Keys,
    ProgramLimitTest,
    testing::Values(
        LimitRow{"timeout", Stage::total, std::nullopt},
        LimitRow{"queue_timeout", Stage::queue, milliseconds(600'000)},
        LimitRow{"token_timeout", Stage::token, milliseconds(60'000)},
        LimitRow{"pool_timeout", Stage::pool, milliseconds(600'000)},
        LimitRow{"resolve_timeout", Stage::resolve, milliseconds(10'000)},
        LimitRow{"connect_timeout", Stage::connect, milliseconds(10'000)},
        LimitRow{"proxy_timeout", Stage::proxy, milliseconds(10'000)},
        LimitRow{"handshake_timeout", Stage::handshake, milliseconds(10'000)},
        LimitRow{"write_timeout", Stage::write, milliseconds(60'000)},
        LimitRow{"first_byte_timeout", Stage::first_byte, milliseconds(600'000)},
        LimitRow{"idle_read_timeout", Stage::body, milliseconds(300'000)},
        LimitRow{"read_timeout", Stage::body, milliseconds(300'000)},
        LimitRow{"consumer_timeout", Stage::consumer, milliseconds(600'000)}
    )
);

TEST(ProgramConnectionTest, LimitsAnAttempt) {
    EXPECT_EQ(read("").timeouts.attempt(), milliseconds(600'000));
    const Timeouts timeouts = read("[connection]\nattempt_timeout = 0.001\n").timeouts;
    EXPECT_EQ(timeouts.attempt(), milliseconds(1));
    EXPECT_EQ(timeouts.limit(Stage::total), std::nullopt);
}

TEST(ProgramConnectionTest, TheTotalOfConnectionsIsNeverBelowThatOfAHostByDefault) {
    EXPECT_EQ(read("").connection.max_connections, 1000U);
    const auto total = [](const std::string& text) {
        return read("[connection]\n" + text).connection.max_connections;
    };
    EXPECT_EQ(total("max_connections_per_host = 999\n"), 1000U);
    EXPECT_EQ(total("max_connections_per_host = 5000\n"), 5000U);
    EXPECT_EQ(total("max_connections = 20\nmax_connections_per_host = 50\n"), 20U);
    EXPECT_EQ(total("max_connections = 100000\n"), 100'000U);
}

TEST(ProgramConnectionTest, LimitsTheAgeOfConnections) {
    EXPECT_EQ(read("").connection.max_age, milliseconds(3'600'000));
    EXPECT_EQ(
        read("[connection]\nmax_connection_age = 90\n").connection.max_age,
        milliseconds(90'000)
    );
}

TEST(ProgramConnectionTest, ReadsWhomToTrust) {
    const net::TlsSettings none = read("").connection.tls;
    EXPECT_TRUE(none.ca_file.empty() && none.ca_dir.empty() && !none.only_ca);
    EXPECT_TRUE(none.client_cert.empty() && none.client_key.empty() && !none.key_passphrase);
    EXPECT_EQ(none.min_version, net::TlsMinimum::v1_2);

    const ProgramSettings program = read(
        "[connection]\nca_file = \"a.pem\"\nca_dir = \"certs\"\nonly_ca = true\n"
        "client_cert = \"me.pem\"\nclient_key = \"/keys/me.key\"\nmin_tls = \"1.3\"\n"
    );
    const net::TlsSettings& tls = program.connection.tls;
    EXPECT_EQ(tls.ca_file, "/base/a.pem");
    EXPECT_EQ(tls.ca_dir, "/base/certs");
    EXPECT_TRUE(tls.only_ca);
    EXPECT_EQ(tls.client_cert, "/base/me.pem");
    EXPECT_EQ(tls.client_key, "/keys/me.key");
    EXPECT_EQ(tls.min_version, net::TlsMinimum::v1_3);
    for (const auto& [key, line] : std::map<std::string, std::uint32_t>{
             {"connection.ca_file", 5},
             {"connection.ca_dir", 6},
             {"connection.client_cert", 8},
             {"connection.client_key", 9}}) {
        const auto place = program.start_places.find(key);
        ASSERT_NE(place, program.start_places.end()) << key;
        EXPECT_EQ(place->second.line, line) << key;
        EXPECT_EQ(place->second.key, key);
        EXPECT_EQ(place->second.file, "p.toml");
    }
    EXPECT_EQ(read("[connection]\nonly_ca = false\n").connection.tls.only_ca, false);
    EXPECT_TRUE(read("[connection]\nonly_ca = true\nca_dir = \"c\"\n").connection.tls.only_ca);
    EXPECT_EQ(
        read("[connection]\nmin_tls = \"1.2\"\n").connection.tls.min_version,
        none.min_version
    );
}

TEST(ProgramConnectionTest, ReadsThePassphraseWhenItIsAskedFor) {
    const net::TlsSettings tls =
        read("[connection]\nclient_cert = \"c\"\nclient_key_passphrase_env = \"PASSPHRASE\"\n")
            .connection.tls;
    ASSERT_TRUE(tls.key_passphrase);
    const ScopedEnvironment first(Variables{{"PASSPHRASE", "open sesame"}});
    EXPECT_EQ((*tls.key_passphrase)(), "open sesame");
    const ScopedEnvironment second(Variables{{"PASSPHRASE", "changed"}});
    EXPECT_EQ((*tls.key_passphrase)(), "changed");
}

TEST(ProgramConnectionTest, ReadsProxies) {
    const net::ProxySettings none = read("").connection.proxy;
    EXPECT_FALSE(none.url);
    EXPECT_FALSE(none.no_proxy);
    const auto proxy = [](const std::string& text) {
        return read("[connection]\n" + text).connection.proxy;
    };
    EXPECT_EQ(proxy("proxy = \"\"\n").url, "");
    EXPECT_EQ(proxy("proxy = \"http://p.example:3128\"\n").url, "http://p.example:3128");
    EXPECT_EQ(proxy("proxy = \"https://[::1]:8443/\"\n").url, "https://[::1]:8443/");
    EXPECT_EQ(proxy("no_proxy = []\n").no_proxy, std::vector<std::string>());
    EXPECT_EQ(
        proxy("no_proxy = [\".intern\", \"10.0.0.0/8\", \"[fd00::1]:80\", \"*\"]\n").no_proxy,
        (std::vector<std::string>{".intern", "10.0.0.0/8", "[fd00::1]:80", "*"})
    );
    EXPECT_EQ(
        read("allow_inline_key = true\n[connection]\nproxy = \"http://u:p%40@h:1\"\n")
            .connection.proxy.url,
        "http://u:p%40@h:1"
    );
}

TEST(ProgramConnectionTest, ReadsRetry) {
    const wire::RetryPolicy fallback = read("").retry;
    EXPECT_EQ(fallback.max_attempts, 3);
    EXPECT_EQ(fallback.initial_delay, milliseconds(500));
    EXPECT_EQ(fallback.max_delay, milliseconds(8000));
    EXPECT_EQ(fallback.max_retry_after, milliseconds(60'000));
    EXPECT_EQ(fallback.jitter, wire::Jitter::full);
    const wire::RetryPolicy retry =
        read("[retry]\nmax_attempts = 100\ninitial_delay = 0.25\nmax_delay = 4\n"
             "max_retry_after = 120\njitter = \"sdk\"\n")
            .retry;
    EXPECT_EQ(retry.max_attempts, 100);
    EXPECT_EQ(retry.initial_delay, milliseconds(250));
    EXPECT_EQ(retry.max_delay, milliseconds(4000));
    EXPECT_EQ(retry.max_retry_after, milliseconds(120'000));
    EXPECT_EQ(retry.jitter, wire::Jitter::sdk);
    EXPECT_EQ(read("[retry]\njitter = \"full\"\n").retry.jitter, wire::Jitter::full);
}

TEST(ProgramConnectionTest, DelaysOfZeroRetryAtOnce) {
    const wire::RetryPolicy retry =
        read("[retry]\ninitial_delay = 0\nmax_delay = 0\nmax_retry_after = 0\n").retry;
    EXPECT_EQ(retry.initial_delay, milliseconds(0));
    EXPECT_EQ(retry.max_delay, milliseconds(0));
    EXPECT_EQ(retry.max_retry_after, milliseconds(0));
}

TEST(ProgramConnectionTest, TheLongestDelayIsNeverBelowTheFirstByDefault) {
    EXPECT_EQ(read("[retry]\ninitial_delay = 20\n").retry.max_delay, milliseconds(20'000));
    EXPECT_EQ(read("[retry]\ninitial_delay = 2\n").retry.max_delay, milliseconds(8000));
    EXPECT_EQ(read("[retry]\nmax_delay = 0.1\n").retry.max_delay, milliseconds(100));
}

TEST(ProgramConnectionTest, ReadsRateLimits) {
    EXPECT_FALSE(read("").rate_limit.enabled());
    const net::RateLimitSettings limits =
        read("[rate_limit]\nmax_in_flight = 8\nrequests_per_minute = 500\n"
             "tokens_per_minute = 9223372036854775807\n")
            .rate_limit;
    EXPECT_EQ(limits.max_in_flight, 8U);
    EXPECT_EQ(limits.requests_per_minute, 500);
    EXPECT_EQ(limits.tokens_per_minute, 9'223'372'036'854'775'807);
}

}  // namespace
}  // namespace llmproc
