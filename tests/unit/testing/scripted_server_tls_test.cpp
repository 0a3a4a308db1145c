#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "blocking_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace llmproc::testing {
namespace {

using namespace std::chrono_literals;

constexpr auto watchdog = 30s;

bool wait_for_failures(const ScriptedServer& server) {
    return server.wait_for_connections_at_most(0, watchdog);
}

TEST(ScriptedServerTlsTest, ServesManyRequestsOnOneVerifiedConnection) {
    ScriptedServer server;
    server.default_reply(Reply().body("x"));
    BlockingClient client(server);
    ASSERT_FALSE(client.error) << client.error.message();
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(client.get("/").body(), "x");
    }
    const ServerStats stats = server.stats();
    EXPECT_EQ(stats.accepts, 1U);
    EXPECT_EQ(stats.handshakes, 1U);
    EXPECT_EQ(stats.resumed_handshakes, 0U);
    EXPECT_EQ(stats.requests, 50U);
    EXPECT_EQ(server.requests().back().server_name, "localhost");
    EXPECT_EQ(server.requests().back().tls_version, "TLSv1.3");
    EXPECT_EQ(server.url(), "https://localhost:" + std::to_string(server.port()));
}

TEST(ScriptedServerTlsTest, KeepsTheCaFileWhileItLives) {
    std::string file;
    {
        const ScriptedServer server;
        file = server.ca_file();
        std::ifstream stream(file);
        const std::string text{std::istreambuf_iterator<char>(stream), {}};
        EXPECT_EQ(text, server.ca_pem());
        EXPECT_TRUE(text.starts_with("-----BEGIN CERTIFICATE-----"));
    }
    EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(ScriptedServerTlsTest, IsRefusedByAClientThatDoesNotTrustIt) {
    const ScriptedServer server;
    {
        const BlockingClient client(server, ClientTls());
        EXPECT_TRUE(client.error);
    }
    {
        const CertificateAuthority other;
        const BlockingClient client(server, ClientTls().ca_pem(other.ca_pem()));
        EXPECT_TRUE(client.error);
    }
    ASSERT_TRUE(wait_for_failures(server));
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(server.stats().handshakes, 0U);
    EXPECT_EQ(server.stats().handshake_failures, 2U);
}

TEST(ScriptedServerTlsTest, ShowsBadCertificatesOnDemand) {
    const std::vector<CertificateOptions> cases = {
        CertificateOptions().expired(),
        CertificateOptions().not_before(1h),
        CertificateOptions().dns_name("elsewhere.test"),
        CertificateOptions().self_signed(),
    };
    for (const CertificateOptions& options : cases) {
        const ScriptedServer server(ServerOptions().certificate(options));
        const BlockingClient client(server);
        EXPECT_TRUE(client.error);
    }
}

TEST(ScriptedServerTlsTest, NamesWhatTheCertificateWasAskedToName) {
    CertificateOptions names;
    names.dns_name("api.test").ip_address("127.0.0.1");
    const ScriptedServer server(ServerOptions().certificate(names));
    for (const char* host : {"api.test", "127.0.0.1"}) {
        const BlockingClient client(server, ClientTls().ca_pem(server.ca_pem()).host(host));
        EXPECT_FALSE(client.error) << host << ": " << client.error.message();
    }
}

TEST(ScriptedServerTlsTest, SharesAnAuthorityOrTakesAnOwnCertificate) {
    const auto authority = std::make_shared<const CertificateAuthority>();
    ScriptedServer one(ServerOptions().authority(authority));
    ScriptedServer two(ServerOptions().certificate(authority->issue()));
    EXPECT_EQ(one.ca_file(), authority->ca_file());
    EXPECT_EQ(two.ca_file(), "");
    const ClientTls tls = ClientTls().ca_pem(authority->ca_pem());
    EXPECT_FALSE(BlockingClient(one, tls).error);
    EXPECT_FALSE(BlockingClient(two, tls).error);
}

TEST(ScriptedServerTlsTest, SpeaksOnlyTheVersionsItWasGiven) {
    ScriptedServer old(ServerOptions().max_tls(TlsVersion::tls1_2));
    old.default_reply(Reply());
    BlockingClient client(old);
    ASSERT_FALSE(client.error) << client.error.message();
    client.get("/");
    EXPECT_EQ(old.requests().at(0).tls_version, "TLSv1.2");

    const ScriptedServer recent(ServerOptions().min_tls(TlsVersion::tls1_3));
    const ClientTls tls = ClientTls().ca_pem(recent.ca_pem()).max_version(TLS1_2_VERSION);
    EXPECT_TRUE(BlockingClient(recent, tls).error);
    const ScriptedServer ancient(ServerOptions().max_tls(TlsVersion::tls1_1));
    EXPECT_TRUE(BlockingClient(ancient).error);
}

TEST(ScriptedServerTlsTest, DemandsAClientCertificateWhenTold) {
    const CertificateAuthority clients;
    ScriptedServer server(ServerOptions().client_ca(clients.ca_pem()));
    server.default_reply(Reply().body("welcome"));
    BlockingClient without(server);
    without.get("/");
    EXPECT_TRUE(without.error);
    const ClientTls tls = ClientTls().ca_pem(server.ca_pem()).certificate(clients.issue());
    BlockingClient with(server, tls);
    EXPECT_EQ(with.get("/").body(), "welcome");
}

TEST(ScriptedServerTlsTest, EndsWithOrWithoutCloseNotify) {
    ScriptedServer server;
    server.push(Reply().body("hello").truncate_after(20));
    BlockingClient orderly(server);
    orderly.send_get("/");
    EXPECT_EQ(orderly.read_to_end().size(), 20U);
    EXPECT_EQ(orderly.error, boost::asio::error::eof);

    server.push(Reply().body("hello").truncate_after(20).without_close_notify());
    BlockingClient cut(server);
    cut.send_get("/");
    EXPECT_EQ(cut.read_to_end().size(), 20U);
    EXPECT_EQ(cut.error, boost::asio::ssl::error::stream_truncated);

    server.push(Reply().body("hello").reset_after(20));
    BlockingClient reset(server);
    reset.send_get("/");
    EXPECT_EQ(reset.read_to_end().size(), 20U);
    EXPECT_EQ(reset.error, boost::asio::error::connection_reset);
}

TEST(ScriptedServerTlsTest, ClosesIdleConnections) {
    ScriptedServer server;
    server.default_reply(Reply().body("x"));
    BlockingClient client(server);
    client.get("/");
    EXPECT_EQ(server.close_idle_connections(), 1U);
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_EQ(client.error, boost::asio::error::eof);
}

TEST(ScriptedServerTlsTest, NoticesTheClientThatLeaves) {
    ScriptedServer server;
    server.default_reply(Reply::sse({"a", "b"}).piece_delay(1h));
    BlockingClient client(server);
    client.send_get("/");
    ASSERT_TRUE(server.wait_for_requests(1, watchdog));
    client.close();
    EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
}

TEST(ScriptedServerTlsTest, HangsBeforeTheHandshakeWhenTold) {
    ScriptedServer server(ServerOptions().handshake_hang());
    boost::asio::io_context io;
    boost::asio::ip::tcp::socket socket(io);
    socket.connect({boost::asio::ip::address_v4::loopback(), server.port()});
    boost::asio::write(socket, boost::asio::buffer(std::string("anything")));
    socket.close();
    // the accept counts when the server sees it, which the end of the connection proves
    while (server.stats().accepts == 0) {
        std::this_thread::yield();
    }
    ASSERT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    EXPECT_EQ(server.stats().handshakes, 0U);
    EXPECT_EQ(server.stats().handshake_failures, 0U);
}

TEST(ScriptedServerTlsTest, ServesLargeBodiesBothWays) {
    ScriptedServer server;
    server.handle([](const RecordedRequest& request) { return Reply().body(request.body); });
    BlockingClient client(server);
    const std::string big(3U << 20U, 'y');
    client.send_post("/", big);
    EXPECT_EQ(client.read().body(), big);
}

TEST(ScriptedServerTlsTest, TakesManyConnectionsAtOnce) {
    constexpr std::size_t count = 200;
    ScriptedServer server;
    server.default_reply(Reply().body("x"));
    server.hold_until_open_requests(count);
    std::vector<std::unique_ptr<BlockingClient>> clients;
    for (std::size_t i = 0; i < count; ++i) {
        clients.push_back(std::make_unique<BlockingClient>(server));
        ASSERT_FALSE(clients.back()->error) << clients.back()->error.message();
        clients.back()->send_get("/");
    }
    for (const auto& client : clients) {
        EXPECT_EQ(client->read().body(), "x");
    }
    EXPECT_EQ(server.stats().handshakes, count);
    EXPECT_EQ(server.stats().peak_open_requests, count);
}

}  // namespace
}  // namespace llmproc::testing
