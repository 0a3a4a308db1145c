#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/reply.hpp>
#include "net/tls_context.hpp"
#include "net_support.hpp"
#include "support/local_server.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <string>

namespace llmproc::net::test {
namespace {

using llmproc::testing::CertificateOptions;
using llmproc::testing::refusing_address;
using NetConnectTest = NetTest;

class StuckResolver final : public Resolver {
public:
    void resolve(std::string, std::uint16_t, ResolveHandler handler) override {
        held.push_back(std::move(handler));
    }
    std::vector<ResolveHandler> held;
};

void expect_tls_error(
    const std::shared_ptr<Exchange>& done,
    Errc expected,
    const ScriptedServer& server
) {
    EXPECT_EQ(errc_of(done->error), expected) << text_of(done->error);
    try {
        std::rethrow_exception(done->error);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.diagnostics().stage, Stage::handshake);
        EXPECT_EQ(error.diagnostics().endpoint, server.url());
    }
}

TEST_F(NetConnectTest, RefusesAnUnknownAuthority) {
    ScriptedServer server;
    server.default_reply(Reply::json("{}"));
    const auto done = exchange(client_of(server, std::make_shared<NetSettings>()));
    expect_tls_error(done, Errc::certificate_invalid, server);
    EXPECT_NE(text_of(done->error).find("connection.ca_file"), std::string::npos);
    EXPECT_EQ(server.stats().requests, 0U);
}

TEST_F(NetConnectTest, RefusesAnotherHostsCertificate) {
    ScriptedServer server(ServerOptions().certificate(CertificateOptions().dns_name("other.example")
    ));
    expect_tls_error(exchange(client_of(server)), Errc::certificate_host, server);
}

TEST_F(NetConnectTest, RefusesAnotherAddressesCertificate) {
    ScriptedServer server(
        ServerOptions().host("127.0.0.1").certificate(CertificateOptions().ip_address("127.0.0.2"))
    );
    const auto url = wire::Url::parse("https://127.0.0.1:" + std::to_string(server.port()));
    const auto done = exchange(std::make_shared<HttpClient>(url, settings_of(server)));
    EXPECT_EQ(errc_of(done->error), Errc::certificate_host);
}

TEST_F(NetConnectTest, RefusesExpiredAndSelfSignedCertificates) {
    ScriptedServer expired(ServerOptions().certificate(CertificateOptions().expired()));
    expect_tls_error(exchange(client_of(expired)), Errc::certificate_invalid, expired);
    ScriptedServer own(ServerOptions().certificate(CertificateOptions().self_signed()));
    expect_tls_error(exchange(client_of(own)), Errc::certificate_invalid, own);
}

TEST_F(NetConnectTest, AcceptsAddressesInCertificates) {
    ScriptedServer server(ServerOptions().host("127.0.0.1"));
    server.default_reply(Reply::json("{}"));
    const auto url = wire::Url::parse("https://127.0.0.1:" + std::to_string(server.port()));
    EXPECT_EQ(fetch(std::make_shared<HttpClient>(url, settings_of(server))), "{}");
    EXPECT_EQ(server.requests().at(0).server_name, "");
}

TEST_F(NetConnectTest, SpeaksTls12ButNothingOlder) {
    using llmproc::testing::TlsVersion;
    ScriptedServer server(ServerOptions().max_tls(TlsVersion::tls1_2));
    server.default_reply(Reply::json("{}"));
    EXPECT_EQ(fetch(client_of(server)), "{}");
    ScriptedServer old(ServerOptions().min_tls(TlsVersion::tls1_0).max_tls(TlsVersion::tls1_1));
    expect_tls_error(exchange(client_of(old)), Errc::tls_handshake_failed, old);
}

TEST_F(NetConnectTest, ExplainsTlsToAPlainServer) {
    ScriptedServer server(ServerOptions().https(false));
    const auto url = wire::Url::parse("https://localhost:" + std::to_string(server.port()));
    const auto done = exchange(std::make_shared<HttpClient>(url, std::make_shared<NetSettings>()));
    EXPECT_EQ(errc_of(done->error), Errc::tls_handshake_failed);
}

TEST_F(NetConnectTest, ClientsOfEqualSettingsShareATlsContext) {
    ScriptedServer server;
    server.default_reply(Reply::json("{}"));
    const auto settings = settings_of(server);
    const auto first = client_of(server, settings);
    const auto made = TlsContext::created();
    const auto second = client_of(server, std::make_shared<NetSettings>(*settings));
    EXPECT_EQ(TlsContext::created(), made);
    fetch(first);
    fetch(second);
    EXPECT_EQ(server.stats().accepts, 1U);
}

TEST_F(NetConnectTest, RefusesPlainHttpBeyondLoopback) {
    const auto url = wire::Url::parse("http://example.com/v1");
    const auto settings = std::make_shared<NetSettings>();
    try {
        HttpClient client(url, settings);
        FAIL() << "plain http to example.com was accepted";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::insecure_url);
    }
    settings->allow_insecure_http = true;
    EXPECT_NO_THROW(HttpClient(url, settings));
}

TEST_F(NetConnectTest, ReportsARefusedConnection) {
    const auto url = wire::Url::parse(
        "http://127.0.0.1:" + std::to_string(refusing_address().port())
    );
    const auto done = exchange(std::make_shared<HttpClient>(url, std::make_shared<NetSettings>()));
    EXPECT_EQ(errc_of(done->error), Errc::connect_failed);
    EXPECT_NE(text_of(done->error).find("refused"), std::string::npos);
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_F(NetConnectTest, TriesTheAddressesInOrder) {
    ScriptedServer server(ServerOptions().https(false).host("127.0.0.1"));
    server.default_reply(Reply::json("{}"));
    Addresses addresses;
    addresses.push_back(refusing_address());
    addresses.push_back(refusing_address("127.0.0.2"));
    addresses.emplace_back(asio::ip::address_v4::loopback(), server.port());
    const auto settings = std::make_shared<NetSettings>();
    settings->allow_insecure_http = true;
    const auto client = std::make_shared<HttpClient>(
        wire::Url::parse("http://many.example"),
        settings,
        std::make_shared<FixedResolver>(addresses)
    );
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(client->counters().opened, 1U);
}

TEST_F(NetConnectTest, ReportsAnUnknownHost) {
    class NoSuchHost final : public Resolver {
        void resolve(std::string, std::uint16_t, ResolveHandler handler) override {
            handler(asio::error::host_not_found, Addresses());
        }
    };
    const auto client = std::make_shared<HttpClient>(
        wire::Url::parse("https://nowhere.example"),
        std::make_shared<NetSettings>(),
        std::make_shared<NoSuchHost>()
    );
    const auto done = exchange(client);
    EXPECT_EQ(errc_of(done->error), Errc::resolve_failed);
    EXPECT_NE(text_of(done->error).find("nowhere.example"), std::string::npos);
}

TEST_F(NetConnectTest, AStuckResolverEndsAtTheConnectTimeout) {
    const auto settings = std::make_shared<NetSettings>();
    const auto client = std::make_shared<HttpClient>(
        wire::Url::parse("https://nowhere.example"),
        settings,
        std::make_shared<StuckResolver>()
    );
    const auto done = exchange(client, post(), Timeouts().resolve(20ms));
    ASSERT_EQ(errc_of(done->error), Errc::timeout);
    try {
        std::rethrow_exception(done->error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::resolve);
    }
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_F(NetConnectTest, ASilentServerEndsTheHandshakeAtItsTimeout) {
    ScriptedServer server(ServerOptions().handshake_hang());
    const auto done = exchange(client_of(server), post(), Timeouts().handshake(30ms));
    ASSERT_EQ(errc_of(done->error), Errc::timeout);
    try {
        std::rethrow_exception(done->error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::handshake);
    }
}

}  // namespace
}  // namespace llmproc::net::test
