// tinyproxy between us and nginx or a scripted server.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "core/environment.hpp"
#include "peers/nginx_sites.hpp"
#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/nginx_server.hpp"
#include "support/peer_support.hpp"
#include "support/scripted_proxy.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing::Caller;
using testing::CertificateOptions;
using testing::contains;
using testing::Interface;
using testing::peer_program;
using testing::ScriptedServer;
using testing::ServerOptions;
using testing::setting;

constexpr const char* tinyproxy_settings = R"(Listen 127.0.0.1
Timeout 60
MaxClients 20
LogLevel Info
)";

class ProxyTest : public ::testing::TestWithParam<Interface> {
protected:
    void SetUp() override {
        testing::require_peers(
            "tinyproxy before nginx",
            testing::lack_of("tinyproxy", "tinyproxy-bin") +
                testing::lack_of("nginx", "nginx-light")
        );
    }

    /// tinyproxy with more lines in its configuration.
    void start_proxy(const std::string& settings = "") {
        proxy_port_ = testing::start_on_free_port(
            proxy_,
            folder_,
            "tinyproxy",
            [this, &settings](std::uint16_t port) {
                const std::string config = (folder_.path() / "tinyproxy.conf").string();
                testing::write_file(
                    config,
                    tinyproxy_settings + settings + "Port " + std::to_string(port) + "\n"
                );
                return std::vector<std::string>{
                    testing::find_program("tinyproxy"),
                    "-d",
                    "-c",
                    config};
            }
        );
    }
    void start_nginx() {
        testing::write_certificates(folder_, *authority_);
        nginx_.emplace(folder_, testing::site("pong", "ssl_protocols TLSv1.3;"));
    }
    ServerOptions server_options() const { return ServerOptions().authority(authority_); }
    std::unique_ptr<ScriptedServer> scripted() const { return scripted(server_options()); }
    static std::unique_ptr<ScriptedServer> scripted(const ServerOptions& options) {
        auto server = std::make_unique<ScriptedServer>(options);
        server->default_reply(testing::openai_chat_reply("pong"));
        return server;
    }

    std::string through(const std::string& credentials = "") const {
        return setting("ca_file", authority_->ca_file()) +
               setting("proxy", "http://" + credentials + host_port());
    }
    Caller caller(
        const std::string& base_url,
        const std::string& credentials = "",
        const std::string& retry = testing::no_retry
    ) const {
        return Caller(peer_program(base_url, through(credentials), retry), GetParam());
    }
    /// A refused tunnel, whose error is checked for what all of them have in common.
    LLMError refused(const std::string& base_url, const std::string& credentials, int status) {
        Caller call = caller(base_url, credentials, testing::prompt_retry);
        const LLMError error = call.failure();
        EXPECT_EQ(error.errc(), Errc::proxy_refused) << error.what();
        EXPECT_EQ(error.diagnostics().status, status) << error.what();
        EXPECT_EQ(error.diagnostics().stage, Stage::proxy);
        EXPECT_EQ(error.diagnostics().attempts, 1);
        EXPECT_TRUE(contains(error.message(), host_port())) << error.what();
        EXPECT_EQ(call.stats().tls_handshakes, 0U);
        return error;
    }

    std::string host_port() const { return "127.0.0.1:" + std::to_string(proxy_port_); }
    testing::ChildProcess& proxy() { return *proxy_; }
    const testing::NginxServer& nginx() const { return *nginx_; }
    /// How many tunnels tinyproxy was asked for.
    std::size_t connects() const {
        const std::string text = testing::read_file(folder_.path() / "tinyproxy.out");
        std::size_t count = 0;
        for (std::size_t at = text.find(": CONNECT "); at != std::string::npos;
             at = text.find(": CONNECT ", at + 1)) {
            ++count;
        }
        return count;
    }

private:
    testing::Folder folder_;
    std::shared_ptr<const testing::CertificateAuthority> authority_ =
        std::make_shared<const testing::CertificateAuthority>();
    std::unique_ptr<testing::ChildProcess> proxy_;
    std::optional<testing::NginxServer> nginx_;
    std::uint16_t proxy_port_ = 0;
};

TEST_P(ProxyTest, TwoCallsToNginxAreOneTunnel) {
    start_nginx();
    start_proxy();
    Caller call = caller(nginx().base_url("pong"));
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(call.stats().connections_opened, 1U);
    EXPECT_EQ(call.stats().tls_handshakes, 1U);
    EXPECT_EQ(call.stats().connections_reused, 1U);
    EXPECT_EQ(connects(), 1U);
    const auto log = nginx().requests("pong", 2);
    ASSERT_EQ(log.size(), 2U);
    EXPECT_EQ(log[1].number, 2U);
    EXPECT_EQ(log[1].protocol, "TLSv1.3");
}

TEST_P(ProxyTest, TwoCallsToAScriptedServerAreOneTunnel) {
    const auto server = scripted();
    start_proxy();
    Caller call = caller(server->base_url());
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(connects(), 1U);
    EXPECT_EQ(server->stats().accepts, 1U);
    EXPECT_EQ(server->stats().requests, 2U);
}

TEST_P(ProxyTest, CredentialsOpenTheTunnelAndStayAtTheProxy) {
    const auto server = scripted();
    start_proxy("BasicAuth caller pass-word\n");
    EXPECT_EQ(caller(server->base_url(), "caller:pass-word@").run(), "pong");
    const auto request = server->requests().at(0);
    EXPECT_FALSE(request.has_header("Proxy-Authorization"));
}

TEST_P(ProxyTest, MissingAndWrongCredentialsAreReported) {
    const auto server = scripted();
    start_proxy("BasicAuth caller pass-word\n");
    const LLMError none = refused(server->base_url(), "", 407);
    EXPECT_TRUE(contains(none.message(), "user name and password")) << none.what();
    // tinyproxy answers wrong ones like an origin would.
    const LLMError wrong = refused(server->base_url(), "caller:hunter2@", 401);
    EXPECT_TRUE(contains(wrong.message(), "check user name and password")) << wrong.what();
    EXPECT_FALSE(contains(wrong.what(), "hunter2")) << wrong.what();
    EXPECT_EQ(server->stats().accepts, 0U);
    EXPECT_EQ(caller(server->base_url(), "caller:pass-word@").run(), "pong");
}

TEST_P(ProxyTest, APortThatTheProxyDoesNotAllowIsReported) {
    const auto server = scripted();
    start_proxy("ConnectPort 443\n");
    const LLMError error = refused(server->base_url(), "", 403);
    EXPECT_TRUE(contains(error.message(), "allow this host and port")) << error.what();
    EXPECT_EQ(server->stats().accepts, 0U);
}

TEST_P(ProxyTest, ATargetThatTheProxyCannotReachIsReported) {
    start_proxy();
    testing::LoopbackSocket bound;  // Nobody listens there.
    const std::string closed = std::to_string(bound.bind());
    const LLMError error = refused("https://localhost:" + closed + "/v1", "", 500);
    EXPECT_TRUE(contains(error.message(), "could not reach the host")) << error.what();
    const LLMError unknown = refused("https://no-such-host.invalid/v1", "", 500);
    EXPECT_TRUE(contains(unknown.message(), "no-such-host.invalid")) << unknown.what();
}

TEST_P(ProxyTest, AWrongCertificateIsRefusedInATunnelToo) {
    start_proxy();
    const auto server = scripted(
        server_options().certificate(CertificateOptions().dns_name("other.example"))
    );
    const LLMError error = caller(server->base_url()).failure();
    EXPECT_EQ(error.errc(), Errc::certificate_host) << error.what();
    EXPECT_EQ(server->stats().requests, 0U);
}

TEST_P(ProxyTest, PlainHttpIsForwarded) {
    const auto server = scripted(server_options().https(false));
    start_proxy("BasicAuth caller pass-word\n");
    Caller call = caller(server->base_url(), "caller:pass-word@");
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(connects(), 0U);
    // tinyproxy closes without having announced it: the second call finds that out before or after
    // it has written.
    EXPECT_EQ(call.stats().connections_opened, 2U);
    EXPECT_EQ(call.stats().retries, 0U);
    for (const auto& request : server->requests()) {
        EXPECT_EQ(request.target, "/v1/chat/completions");
        EXPECT_FALSE(request.has_header("Proxy-Authorization"));
    }
    EXPECT_EQ(server->stats().requests, 2U);
}

/// No resolver knows the provider: tinyproxy asks a second proxy, which maps it.
TEST_P(ProxyTest, TheEnvironmentNamesTheProxy) {
    const auto server = scripted(
        server_options().certificate(CertificateOptions().dns_name("api.example"))
    );
    testing::ScriptedProxy next(testing::ProxyOptions().target_port(server->port()));
    start_proxy("BasicAuth caller pass-word\nUpstream http " + next.host_port() + "\n");
    const ScopedEnvironment environment({{"HTTPS_PROXY", "http://caller:pass-word@" + host_port()}}
    );
    Caller call(
        peer_program("https://api.example/v1", setting("ca_file", server->ca_file())),
        GetParam()
    );
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(call.run(), "pong");
    EXPECT_EQ(connects(), 1U);
    EXPECT_EQ(next.connections(), 1U);
    EXPECT_TRUE(contains(next.heads().at(0), "CONNECT api.example:443 ")) << next.heads().at(0);
    EXPECT_FALSE(contains(next.heads().at(0), "Proxy-Authorization")) << next.heads().at(0);
    EXPECT_EQ(server->requests().at(1).server_name, "api.example");
}

TEST_P(ProxyTest, AProxyThatIsGoneIsNamed) {
    start_proxy();
    const auto server = scripted();
    Caller call = caller(server->base_url());
    EXPECT_EQ(call.run(), "pong");
    proxy().kill();
    const LLMError error = call.failure();
    EXPECT_EQ(error.errc(), Errc::connect_failed) << error.what();
    EXPECT_TRUE(contains(error.message(), host_port())) << error.what();
    start_proxy();
    EXPECT_EQ(caller(server->base_url()).run(), "pong");
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    ProxyTest,
    ::testing::Values(Interface::blocking, Interface::awaited),
    testing::interface_name
);

}  // namespace
}  // namespace llmproc
