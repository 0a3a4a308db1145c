// nginx as a provider's front: its TLS, its keep-alive, its framing and its own errors.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include "peers/nginx_sites.hpp"
#include "support/nginx_server.hpp"
#include "support/peer_support.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing::Caller;
using testing::contains;
using testing::Interface;
using testing::NginxRequest;
using testing::peer_program;
using testing::setting;

class NginxTest : public ::testing::TestWithParam<Interface> {
protected:
    void SetUp() override {
        testing::require_peers("nginx", testing::lack_of("nginx", "nginx-light"));
    }

    void start(const std::string& sites) {
        testing::write_certificates(folder_, authority_);
        nginx_.emplace(folder_, sites);
    }
    void start_http() { start(testing::http_sites(silent_.listen(), closed_.bind())); }

    const testing::NginxServer& nginx() const { return *nginx_; }
    std::string file(const std::string& name) const { return (folder_.path() / name).string(); }
    std::string identity(const std::string& name) const {
        return setting("client_cert", file(name + ".pem")) +
               setting("client_key", file(name + ".key"));
    }
    Caller caller(
        const std::string& site,
        const std::string& connection = "",
        const std::string& retry = testing::no_retry
    ) const {
        const std::string trust = setting("ca_file", authority_.ca_file());
        return Caller(peer_program(nginx_->base_url(site), trust + connection, retry), GetParam());
    }

private:
    testing::Folder folder_;
    testing::CertificateAuthority authority_;
    testing::LoopbackSocket silent_;
    testing::LoopbackSocket closed_;  ///< Bound, so that nobody else listens there.
    std::optional<testing::NginxServer> nginx_;
};

TEST_P(NginxTest, SpeaksTheOneVersionThatNginxSpeaks) {
    start(testing::tls_sites());
    for (const std::string version : {"2", "3"}) {
        Caller call = caller("tls1" + version);
        EXPECT_EQ(call.run(), "pong");
        EXPECT_EQ(call.run(), "pong");
        EXPECT_EQ(call.stats().tls_handshakes, 1U);
        EXPECT_EQ(call.stats().connections_reused, 1U);
        for (const NginxRequest& request : nginx().requests("tls1" + version, 2)) {
            EXPECT_EQ(request.protocol, "TLSv1." + version);
        }
    }
}

TEST_P(NginxTest, AnOlderTlsThanDemandedIsRefused) {
    start(testing::tls_sites());
    const std::string demand = setting("min_tls", "1.3");
    const LLMError error = caller("tls12", demand).failure();
    EXPECT_EQ(error.errc(), Errc::tls_handshake_failed) << error.what();
    EXPECT_EQ(error.diagnostics().stage, Stage::handshake);
    EXPECT_TRUE(contains(error.message(), "min_tls")) << error.what();
    EXPECT_EQ(caller("tls13", demand).run(), "pong");
    EXPECT_EQ(nginx().requests("tls13", 1).size(), 1U);
    EXPECT_TRUE(nginx().requests("tls12", 0).empty());
}

TEST_P(NginxTest, BadCertificatesAreRefusedBeforeARequestLeaves) {
    start(testing::tls_sites());
    struct Case {
        const char* site;
        Errc code;
        const char* words;
    };
    for (const Case& bad :
         {Case{"expired", Errc::certificate_invalid, "expired"},
          Case{"other", Errc::certificate_host, "not for this host"},
          Case{"self", Errc::certificate_invalid, "self-signed"}}) {
        Caller call = caller(bad.site);
        const LLMError error = call.failure();
        EXPECT_EQ(error.errc(), bad.code) << error.what();
        EXPECT_EQ(error.diagnostics().stage, Stage::handshake) << error.what();
        EXPECT_TRUE(contains(error.message(), bad.words)) << error.what();
        EXPECT_EQ(call.stats().tls_handshakes, 0U) << bad.site;
        EXPECT_EQ(call.connections().idle, 0U) << bad.site;
    }
    EXPECT_EQ(caller("tls13").run(), "pong");
    EXPECT_EQ(nginx().requests("tls13", 1).size(), 1U);
    for (const char* const bad : {"expired", "other", "self"}) {
        EXPECT_TRUE(nginx().requests(bad, 0).empty()) << bad;
    }
}

/// nginx finishes the handshake and says in HTTP that it wants another certificate.
TEST_P(NginxTest, ItsDemandForAClientCertificateIsReportedAndMet) {
    start(testing::tls_sites());
    for (const std::string site : {"client12", "client13"}) {
        const LLMError none = caller(site).failure();
        EXPECT_EQ(none.errc(), Errc::invalid_request) << none.what();
        EXPECT_EQ(none.diagnostics().status, 400);
        EXPECT_TRUE(contains(none.message(), "No required SSL certificate was sent"))
            << none.what();
        const LLMError stranger = caller(site, identity("stranger")).failure();
        EXPECT_EQ(stranger.errc(), Errc::invalid_request) << stranger.what();
        EXPECT_EQ(stranger.diagnostics().status, 400);
        EXPECT_TRUE(contains(stranger.message(), "SSL certificate error")) << stranger.what();
        EXPECT_EQ(caller(site, identity("client")).run(), "pong");
    }
}

TEST_P(NginxTest, ANewConnectionResumesTheSession) {
    start(testing::tls_sites());
    for (const std::string site : {"brief12", "brief13"}) {
        Caller call = caller(site);
        EXPECT_EQ(call.run(), "pong");
        EXPECT_EQ(call.run(), "pong");
        EXPECT_EQ(call.stats().tls_handshakes, 2U) << site;
        EXPECT_EQ(call.stats().tls_resumed, 1U) << site;
        const std::vector<NginxRequest> log = nginx().requests(site, 2);
        ASSERT_EQ(log.size(), 2U);
        EXPECT_FALSE(log[0].resumed) << site;
        EXPECT_TRUE(log[1].resumed) << site;
    }
}

TEST_P(NginxTest, TheLastRequestOfAConnectionIsObeyed) {
    start_http();
    constexpr std::size_t runs = 10;
    constexpr std::size_t per_connection = 3;
    Caller call = caller("three");
    for (std::size_t i = 0; i < runs; ++i) {
        EXPECT_EQ(call.run(), "pong");
    }
    const ProcessStats stats = call.stats();
    EXPECT_EQ(stats.requests, runs);
    EXPECT_EQ(stats.connections_opened, 4U);
    EXPECT_EQ(stats.connections_reused, 6U);
    EXPECT_EQ(stats.connections_replaced, 0U);
    EXPECT_EQ(stats.retries, 0U);
    EXPECT_EQ(call.connections().discarded, 0U);
    const std::vector<NginxRequest> log = nginx().requests("three", runs);
    ASSERT_EQ(log.size(), runs);
    for (std::size_t i = 0; i < runs; ++i) {
        EXPECT_EQ(log[i].number, i % per_connection + 1);
    }
}

TEST_P(NginxTest, AConnectionThatNginxClosedWhileIdleIsNotUsed) {
    start_http();
    Caller call = caller("second");
    EXPECT_EQ(call.run(), "pong");
    ASSERT_EQ(nginx().requests("second", 1).size(), 1U);
    // One that became idle later and was closed: then so was ours.
    testing::LoopbackSocket later;
    ASSERT_TRUE(later.connect(nginx().port("plain")));
    ASSERT_TRUE(later.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    ASSERT_TRUE(contains(later.receive_all(), "pong"));
    EXPECT_EQ(call.run(), "pong");
    const ProcessStats stats = call.stats();
    EXPECT_EQ(stats.requests, 2U);
    EXPECT_EQ(stats.connections_opened, 2U);
    EXPECT_EQ(stats.connections_reused, 0U);
    EXPECT_EQ(stats.connections_replaced, 0U);
    EXPECT_EQ(stats.retries, 0U);
    EXPECT_EQ(call.connections().discarded, 1U);
}

TEST_P(NginxTest, ALargeHeaderIsReadUpToTheLimit) {
    start_http();
    EXPECT_EQ(caller("header").run(), "pong");
    const LLMError error = caller("header", "max_header_bytes = 8192\n").failure();
    EXPECT_EQ(error.errc(), Errc::header_too_large) << error.what();
    EXPECT_TRUE(contains(error.message(), "max_header_bytes")) << error.what();
}

TEST_P(NginxTest, EveryFramingIsRead) {
    start_http();
    Caller chunked = caller("chunked");
    EXPECT_EQ(chunked.run(), "pong");
    EXPECT_EQ(chunked.run(), "pong");
    EXPECT_EQ(chunked.stats().connections_opened, 1U);
    Caller delimited = caller("delimited");
    EXPECT_EQ(delimited.run(), "pong");
    EXPECT_EQ(delimited.run(), "pong");
    EXPECT_EQ(delimited.stats().connections_opened, 2U);
    EXPECT_EQ(delimited.stats().connections_replaced, 0U);
}

TEST_P(NginxTest, NothingIsCompressedThatWasNotAskedFor) {
    start_http();
    EXPECT_EQ(caller("gzip").run(), "pong");
    const std::string asking = "[parameters.extra_headers]\nAccept-Encoding = \"gzip\"\n";
    const LLMError error = caller("gzip", asking).failure();
    EXPECT_EQ(error.errc(), Errc::malformed_http) << error.what();
    EXPECT_TRUE(contains(error.message(), "Accept-Encoding")) << error.what();
}

TEST_P(NginxTest, AFailingGatewayIsTriedAgain) {
    start_http();
    struct Case {
        const char* site;
        int status;
    };
    for (const Case& gateway : {Case{"bad_gateway", 502}, Case{"late_gateway", 504}}) {
        Caller call = caller(gateway.site, "", testing::prompt_retry);
        const LLMError error = call.failure();
        EXPECT_EQ(error.errc(), Errc::server_error) << error.what();
        EXPECT_TRUE(error.code() == Condition::retryable) << error.what();
        EXPECT_EQ(error.diagnostics().status, gateway.status);
        EXPECT_EQ(error.diagnostics().attempts, 3);
        EXPECT_EQ(call.stats().retries, 2U);
        EXPECT_EQ(call.stats().connections_opened, 1U) << "the errors are well framed";
        EXPECT_EQ(nginx().requests(gateway.site, 3).size(), 3U);
    }
}

TEST_P(NginxTest, ARefusalThatComesWhileWritingIsReported) {
    start_http();
    constexpr std::size_t more_than_buffers = 32UL * 1024 * 1024;
    Caller call = caller("small", "", testing::prompt_retry);
    const LLMError error = call.failure(std::string(more_than_buffers, 'x'));
    EXPECT_EQ(error.errc(), Errc::request_too_large) << error.what();
    EXPECT_EQ(error.diagnostics().status, 413);
    EXPECT_EQ(error.diagnostics().attempts, 1);
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(call.stats().connections_opened, 2U);
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    NginxTest,
    ::testing::Values(Interface::blocking, Interface::awaited),
    testing::interface_name
);

}  // namespace
}  // namespace llmproc
