#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/reply.hpp>
#include "net/connection.hpp"
#include "net/tls_context.hpp"
#include "net_support.hpp"
#include "support/pem_files.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <poll.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace llmproc::net::test {
namespace {

using llmproc::testing::Certificate;
using llmproc::testing::CertificateAuthority;
using llmproc::testing::CertificateOptions;
using llmproc::testing::encrypted_key;
using llmproc::testing::PemFolder;
using llmproc::testing::ScopedVariable;
using llmproc::testing::TlsVersion;

/// One connection, driven by hand.
class Dialogue {
public:
    Dialogue(
        asio::io_context& io,
        const TlsContext& context,
        const ScriptedServer& server,
        const std::string& host = "localhost",
        const std::string& resume_key = "key"
    ) {
        asio::ip::tcp::socket socket(io);
        socket.connect({asio::ip::address_v4::loopback(), server.port()});
        socket.native_non_blocking(true);
        connection_.adopt(std::move(socket));
        connection_.start_tls(context, host, resume_key);
        complete_ = repeat([this] { return connection_.handshake_step(); }).state ==
                    StepState::done;
    }

    bool complete() const { return complete_; }
    Connection& connection() { return connection_; }
    /// Sends a request and reads until the first bytes of the answer, and the tickets before it.
    bool ask() {
        const std::string request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        std::array<char, 4096> buffer{};
        return repeat([&] { return connection_.try_write(request); }).state == StepState::done &&
               repeat([&] { return connection_.try_read(buffer); }).state == StepState::done;
    }

private:
    Step repeat(const std::function<Step()>& action) {
        for (;;) {
            const Step step = action();
            if (step.state != StepState::want_read && step.state != StepState::want_write) {
                return step;
            }
            pollfd ready{};
            ready.fd = connection_.socket().native_handle();
            ready.events = step.state == StepState::want_write ? POLLOUT : POLLIN;
            if (::poll(&ready, 1, 60'000) != 1) {
                ADD_FAILURE() << "the server says nothing";
                return Step{StepState::failed, 0};
            }
        }
    }

    Connection connection_;
    bool complete_ = false;
};

class NetTlsTest : public NetTest {
protected:
    ServerOptions options() const { return ServerOptions().authority(authority); }
    std::shared_ptr<NetSettings> trusting() const {
        auto settings = std::make_shared<NetSettings>();
        settings->tls.ca_file = authority->ca_file();
        return settings;
    }
    std::shared_ptr<NetSettings> with_client(const std::string& key_pem) const {
        auto settings = trusting();
        settings->tls.client_cert = folder.write("client.pem", client.chain_pem);
        settings->tls.client_key = folder.write("client.key", key_pem);
        return settings;
    }
    std::shared_ptr<TlsContext> context() const { return TlsContext::shared(trusting()->tls); }
    /// The error of a request, with its code checked.
    std::string failure(
        const ScriptedServer& server,
        const std::shared_ptr<NetSettings>& settings,
        Errc expected
    ) {
        const auto done = exchange(client_of(server, settings));
        if (!done->error) {
            ADD_FAILURE() << "answered";
            return "";
        }
        EXPECT_EQ(errc_of(done->error), expected) << text_of(done->error);
        return text_of(done->error);
    }

    std::shared_ptr<CertificateAuthority> authority = std::make_shared<CertificateAuthority>();
    Certificate client = authority->issue();
    PemFolder folder;
};

TEST_F(NetTlsTest, NewConnectionsToAKnownServerResume) {
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        ScriptedServer server(options().max_tls(version).keep_alive_requests(1));
        server.default_reply(Reply::json("{}"));
        const auto own = client_of(server, trusting());
        for (int round = 0; round < 4; ++round) {
            EXPECT_EQ(fetch(own), "{}");
        }
        EXPECT_EQ(server.stats().handshakes, 4U);
        EXPECT_EQ(server.stats().resumed_handshakes, 3U);
        EXPECT_EQ(own->counters().handshakes, 4U);
        EXPECT_EQ(own->counters().resumed, 3U);
        EXPECT_EQ(stats().resumed, version == TlsVersion::tls1_2 ? 3U : 6U);
    }
}

TEST_F(NetTlsTest, ResumesOnAnotherIoContext) {
    ScriptedServer server(options());
    server.default_reply(Reply::json("{}"));
    for (int round = 0; round < 2; ++round) {
        asio::io_context other;
        const auto call = start(other.get_executor(), client_of(server, trusting()), post());
        other.run();
        ASSERT_TRUE(call->reply.has_value());
    }
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(server.stats().resumed_handshakes, 1U);
}

TEST_F(NetTlsTest, AConnectionKnowsWhetherItResumed) {
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        ScriptedServer server(options().max_tls(version));
        server.default_reply(Reply::json("{}"));
        const std::string name = version == TlsVersion::tls1_2 ? "TLSv1.2" : "TLSv1.3";
        Dialogue first(io, *context(), server, "localhost", name);
        ASSERT_TRUE(first.complete());
        EXPECT_FALSE(first.connection().resumed());
        EXPECT_EQ(first.connection().tls_version(), name);
        ASSERT_TRUE(first.ask());
        Dialogue second(io, *context(), server, "localhost", name);
        ASSERT_TRUE(second.complete());
        EXPECT_TRUE(second.connection().resumed());
        EXPECT_EQ(second.connection().tls_version(), name);
        EXPECT_TRUE(second.ask());
        EXPECT_EQ(server.stats().resumed_handshakes, 1U);
    }
    EXPECT_EQ(Connection().tls_version(), "");
    EXPECT_FALSE(Connection().resumed());
}

TEST_F(NetTlsTest, NothingIsResumedUnderAnotherNameOrOtherSettings) {
    ScriptedServer server(options().keep_alive_requests(1));
    server.default_reply(Reply::json("{}"));
    fetch(client_of(server, trusting()));
    const auto url = wire::Url::parse("https://127.0.0.1:" + std::to_string(server.port()));
    fetch(std::make_shared<HttpClient>(url, trusting()));
    const auto strict = trusting();
    strict->tls.only_ca = true;
    fetch(client_of(server, strict));
    fetch(client_of(server, with_client(client.key_pem)));
    EXPECT_EQ(server.stats().handshakes, 4U);
    EXPECT_EQ(server.stats().resumed_handshakes, 0U);
    fetch(client_of(server, trusting()));
    EXPECT_EQ(server.stats().resumed_handshakes, 1U);
}

TEST_F(NetTlsTest, AServerThatHasForgottenMakesAFullHandshake) {
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        auto server = std::make_unique<ScriptedServer>(options().max_tls(version));
        server->default_reply(Reply::json("{}"));
        const auto own = client_of(*server, trusting());
        EXPECT_EQ(fetch(own), "{}");
        const std::uint16_t port = server->port();
        server.reset();
        server = std::make_unique<ScriptedServer>(options().max_tls(version).port(port));
        server->default_reply(Reply::json("{}"));
        EXPECT_EQ(fetch(own), "{}");
        EXPECT_EQ(server->stats().handshakes, 1U);
        EXPECT_EQ(server->stats().resumed_handshakes, 0U);
    }
}

TEST_F(NetTlsTest, ASuccessorIsVerifiedAsIfItWereNew) {
    auto server = std::make_unique<ScriptedServer>(options());
    server->default_reply(Reply::json("{}"));
    fetch(client_of(*server, trusting()));
    const std::uint16_t port = server->port();
    server.reset();
    ScriptedServer successor(
        options().port(port).certificate(CertificateOptions().dns_name("other.example"))
    );
    failure(successor, trusting(), Errc::certificate_host);
    EXPECT_EQ(successor.stats().requests, 0U);
}

TEST_F(NetTlsTest, AClientCertificateIsShownWhereItIsRequired) {
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        ScriptedServer server(
            options().client_ca(authority->ca_pem()).max_tls(version).keep_alive_requests(1)
        );
        server.default_reply(Reply::json("{}"));
        EXPECT_EQ(fetch(client_of(server, with_client(client.key_pem))), "{}");
        const auto encrypted = with_client(encrypted_key(client.key_pem, "open sesame"));
        encrypted->tls.key_passphrase = std::make_shared<const std::function<std::string()>>([] {
            return std::string("open sesame");
        });
        const auto own = client_of(server, encrypted);
        EXPECT_EQ(fetch(own), "{}");
        EXPECT_EQ(fetch(own), "{}");
        EXPECT_EQ(server.stats().resumed_handshakes, 1U);
    }
}

TEST_F(NetTlsTest, AMissingClientCertificateIsNamed) {
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        ScriptedServer server(options().client_ca(authority->ca_pem()).max_tls(version));
        server.default_reply(Reply::json("{}"));
        const std::string text = failure(server, trusting(), Errc::tls_handshake_failed);
        EXPECT_NE(text.find("set connection.client_cert"), std::string::npos) << text;
        EXPECT_EQ(text.find("may have executed"), std::string::npos) << text;
        EXPECT_EQ(server.stats().requests, 0U);
    }
}

TEST_F(NetTlsTest, ARefusedClientCertificateIsNamed) {
    const CertificateAuthority unknown;
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        ScriptedServer server(options().client_ca(unknown.ca_pem()).max_tls(version));
        const std::string text =
            failure(server, with_client(client.key_pem), Errc::tls_handshake_failed);
        EXPECT_NE(text.find("connection.client_cert"), std::string::npos) << text;
        EXPECT_EQ(server.stats().requests, 0U);
    }
}

TEST_F(NetTlsTest, OnlyCaRefusesWhatTheSystemTrusts) {
    const CertificateAuthority mine;
    ScriptedServer server(options());
    server.default_reply(Reply::json("{}"));
    const auto system = std::make_shared<NetSettings>();
    const auto only_mine = std::make_shared<NetSettings>();
    only_mine->tls.ca_file = mine.ca_file();
    only_mine->tls.only_ca = true;
    const ScopedVariable store("SSL_CERT_FILE", authority->ca_file());
    EXPECT_EQ(fetch(client_of(server, system)), "{}");
    const std::string text = failure(server, only_mine, Errc::certificate_invalid);
    EXPECT_NE(text.find("connection.ca_file"), std::string::npos) << text;
    EXPECT_EQ(server.stats().requests, 1U);
}

TEST_F(NetTlsTest, ARaisedVersionIsNamedWhereTheServerIsOlder) {
    ScriptedServer server(options().max_tls(TlsVersion::tls1_2));
    const auto settings = trusting();
    settings->tls.min_version = TlsMinimum::v1_3;
    const std::string text = failure(server, settings, Errc::tls_handshake_failed);
    EXPECT_NE(text.find("connection.min_tls"), std::string::npos) << text;
}

TEST_F(NetTlsTest, AnExpiredCertificateIsNotBlamedOnItsIssuer) {
    ScriptedServer server(options().certificate(CertificateOptions().expired()));
    const std::string text = failure(server, trusting(), Errc::certificate_invalid);
    EXPECT_NE(text.find("expired"), std::string::npos) << text;
    EXPECT_EQ(text.find("ca_file"), std::string::npos) << text;
}

TEST_F(NetTlsTest, AddressesAreVerifiedAsAddresses) {
    for (const char* const address : {"127.0.0.1", "::1"}) {
        if (!can_listen(address)) {
            GTEST_SKIP() << "this machine has no IPv6 on loopback";
        }
        const CertificateOptions named = CertificateOptions().ip_address(address);
        ScriptedServer server(options().host(address).certificate(named));
        server.default_reply(Reply::json("{}"));
        EXPECT_EQ(fetch(client_of(server, trusting())), "{}") << address;
        // The text of an address in a DNS name is no address.
        ScriptedServer posing(
            options().host(address).certificate(CertificateOptions().dns_name(address))
        );
        failure(posing, trusting(), Errc::certificate_host);
    }
}

TEST_F(NetTlsTest, ASelfSignedCertificateIsTrustedByItsFileOnly) {
    const Certificate own = authority->issue(CertificateOptions().self_signed());
    ScriptedServer server(ServerOptions().certificate(own));
    server.default_reply(Reply::json("{}"));
    failure(server, trusting(), Errc::certificate_invalid);
    const auto settings = std::make_shared<NetSettings>();
    settings->tls.ca_file = folder.write("own.pem", own.chain_pem);
    EXPECT_EQ(fetch(client_of(server, settings)), "{}");
}

}  // namespace
}  // namespace llmproc::net::test
