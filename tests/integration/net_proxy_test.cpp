#include <llmproc/observer.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include "core/base64.hpp"
#include "net_support.hpp"
#include "support/scripted_proxy.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace llmproc::net::test {
namespace {

using llmproc::testing::CertificateAuthority;
using llmproc::testing::CertificateOptions;
using llmproc::testing::ProxyOptions;
using llmproc::testing::ScriptedProxy;

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

Diagnostics diagnostics_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        return known.diagnostics();
    } catch (const std::exception& other) {
        ADD_FAILURE() << "not an LLMError: " << other.what();
    }
    return {};
}

/// The origin is https://api.example in name only: no resolver knows it, the proxy maps it.
class NetProxyTest : public NetTest {
protected:
    NetProxyTest() { server.default_reply(Reply::json("{}")); }

    ServerOptions server_options() {
        return ServerOptions().authority(authority).certificate(
            CertificateOptions().dns_name("api.example")
        );
    }
    ProxyOptions to_server() { return ProxyOptions().target_port(server.port()); }
    std::shared_ptr<NetSettings> settings(const std::string& proxy_url) {
        auto made = settings_of(server);
        made->proxy.url = proxy_url;
        return made;
    }
    std::shared_ptr<HttpClient> client_via(
        const std::string& proxy_url,
        const std::string& origin = "https://api.example"
    ) {
        return std::make_shared<HttpClient>(wire::Url::parse(origin), settings(proxy_url));
    }
    /// What a call gets from a proxy that answers every CONNECT by `answer`.
    std::exception_ptr failure_for(const std::string& answer) {
        ScriptedProxy proxy(to_server().answer(answer));
        const auto done = exchange(client_via(proxy.url()));
        EXPECT_TRUE(done->error) << answer.substr(0, 100);
        if (done->error) {
            EXPECT_TRUE(contains(text_of(done->error), proxy.host_port())) << text_of(done->error);
            EXPECT_EQ(diagnostics_of(done->error).stage, Stage::proxy);
        }
        return done->error;
    }

    std::shared_ptr<const CertificateAuthority> authority =
        std::make_shared<const CertificateAuthority>();
    ScriptedServer server{server_options()};
};

TEST_F(NetProxyTest, TwoCallsShareOneTunnel) {
    ScriptedProxy proxy(to_server());
    const auto client = client_via(proxy.url());
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(fetch(client), "{}");
    const std::vector<std::string> expected{
        "CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\r\n"};
    EXPECT_EQ(proxy.heads(), expected);
    EXPECT_EQ(proxy.connections(), 1U);
    EXPECT_EQ(server.stats().handshakes, 1U);
    EXPECT_EQ(client->counters().opened, 1U);
    EXPECT_EQ(client->counters().reused, 1U);
    const auto request = server.requests().at(0);
    EXPECT_EQ(request.server_name, "api.example");
    EXPECT_EQ(request.header("Host"), "api.example");
    EXPECT_EQ(request.target, "/v1/chat");
}

TEST_F(NetProxyTest, CredentialsGoToTheProxyOnly) {
    ScriptedProxy proxy(to_server().credentials("user:pass word"));
    const auto client = client_via(proxy.url("user:pass%20word"));
    EXPECT_EQ(fetch(client), "{}");
    const std::string basic = "Basic " + base64_encode("user:pass word");
    EXPECT_TRUE(contains(proxy.heads().at(0), "\r\nProxy-Authorization: " + basic + "\r\n"));
    const auto request = server.requests().at(0);
    for (const auto& [name, value] : request.headers) {
        EXPECT_FALSE(name.starts_with("Proxy")) << name;
        EXPECT_FALSE(contains(value, basic)) << name;
    }
}

TEST_F(NetProxyTest, ClientsOfOtherCredentialsDoNotShareATunnel) {
    ScriptedProxy proxy(to_server());
    EXPECT_EQ(fetch(client_via(proxy.url("first:1"))), "{}");
    EXPECT_EQ(fetch(client_via(proxy.url("second:2"))), "{}");
    EXPECT_EQ(fetch(client_via(proxy.url("first:1"))), "{}");
    EXPECT_EQ(proxy.connections(), 2U);
}

TEST_F(NetProxyTest, ReportsMissingAndWrongCredentials) {
    ScriptedProxy proxy(to_server().credentials("user:word"));
    for (const char* const userinfo : {"", "user:hunter2"}) {
        const auto done = exchange(client_via(proxy.url(userinfo)));
        ASSERT_EQ(errc_of(done->error), Errc::proxy_refused);
        const std::string text = text_of(done->error);
        EXPECT_EQ(diagnostics_of(done->error).status, 407);
        EXPECT_EQ(diagnostics_of(done->error).stage, Stage::proxy);
        EXPECT_TRUE(contains(text, proxy.host_port())) << text;
        EXPECT_TRUE(contains(text, "api.example:443")) << text;
        EXPECT_TRUE(contains(text, "407 (Proxy Authentication Required)")) << text;
        EXPECT_TRUE(contains(text, "password in") || contains(text, "password (Basic)")) << text;
        EXPECT_FALSE(contains(text, "hunter2")) << text;
        EXPECT_FALSE(contains(text, base64_encode("user:hunter2"))) << text;
    }
    EXPECT_EQ(server.stats().accepts, 0U);
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_F(NetProxyTest, ReportsTheStatusOfARefusal) {
    for (const int status : {301, 403, 404, 500, 502, 503}) {
        const auto error = failure_for(
            "HTTP/1.1 " + std::to_string(status) + " Not Today\r\nContent-Length: 2\r\n\r\nno"
        );
        ASSERT_TRUE(error);
        EXPECT_EQ(errc_of(error), Errc::proxy_refused);
        EXPECT_EQ(diagnostics_of(error).status, status);
        EXPECT_TRUE(contains(text_of(error), "Not Today")) << text_of(error);
    }
}

TEST_F(NetProxyTest, ARefusalDoesNotRepeatCredentials) {
    const std::string pair = base64_encode("user:hunter2");
    ScriptedProxy proxy(to_server().answer(
        "HTTP/1.1 403 Basic " + pair + " may not\x01 " + std::string(500, 'x') + "\r\n\r\n"
    ));
    const auto done = exchange(client_via(proxy.url("user:hunter2")));
    // A control character may also make the answer invalid: what counts is what is not shown.
    const std::string text = text_of(done->error);
    EXPECT_FALSE(contains(text, pair)) << text;
    EXPECT_FALSE(contains(text, "\x01"));
    EXPECT_LT(text.size(), 600U);
}

TEST_F(NetProxyTest, UnderstandsEveryFormOfYes) {
    const std::vector<std::string> answers{
        "HTTP/1.0 200 Connection established\r\n\r\n",
        "HTTP/1.1 200 \r\nConnection: close\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    };
    for (const std::string& answer : answers) {
        SCOPED_TRACE(answer);
        ScriptedProxy proxy(to_server().established(answer));
        const auto client = client_via(proxy.url());
        EXPECT_EQ(fetch(client), "{}");
        EXPECT_EQ(fetch(client), "{}");
        EXPECT_EQ(proxy.connections(), 1U);
    }
}

TEST_F(NetProxyTest, RefusesWhatIsNoAnswerToConnect) {
    EXPECT_EQ(errc_of(failure_for("SSH-2.0-OpenSSH_9.2\r\n")), Errc::malformed_http);
    EXPECT_EQ(errc_of(failure_for("\x15\x03\x01\x00\x02\x02\x46")), Errc::malformed_http);
    EXPECT_EQ(errc_of(failure_for("HTTP/1.1 200 OK\r\n\r\nsmuggled")), Errc::malformed_http);
    EXPECT_EQ(
        errc_of(failure_for("HTTP/1.1 200 OK\r\nX-Long: " + std::string(100'000, 'x') + "\r\n\r\n")
        ),
        Errc::header_too_large
    );
    EXPECT_EQ(errc_of(failure_for("")), Errc::connection_lost);
    EXPECT_EQ(errc_of(failure_for("HTTP/1.1 200 OK\r\nServer: ")), Errc::connection_lost);
}

TEST_F(NetProxyTest, ASilentProxyEndsAtItsTimeout) {
    ScriptedProxy proxy(to_server().hang());
    const auto client = client_via(proxy.url());
    const auto done = exchange(client, post(), Timeouts().proxy(30ms));
    ASSERT_EQ(errc_of(done->error), Errc::timeout);
    try {
        std::rethrow_exception(done->error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::proxy);
    }
    EXPECT_EQ(stats().in_use, 0U);
    EXPECT_EQ(stats().idle, 0U);
}

TEST_F(NetProxyTest, ACancelledTunnelEndsTheCall) {
    std::shared_ptr<Exchange> started;
    ScriptedProxy proxy(to_server().hang().on_head([&started](const std::string&) {
        started->call->cancel_from_anywhere(CancelReason::user);
    }));
    started = start(io.get_executor(), client_via(proxy.url()), post());
    run();
    ASSERT_TRUE(started->ended);
    EXPECT_EQ(errc_of(started->error), Errc::cancelled);
    EXPECT_EQ(stats().in_use, 0U);
    EXPECT_EQ(stats().idle, 0U);
    EXPECT_EQ(server.stats().accepts, 0U);
}

TEST_F(NetProxyTest, NamesAProxyThatIsNotThere) {
    std::string host_port;
    {
        asio::ip::tcp::acceptor taken(io, {asio::ip::address_v4::loopback(), 0});
        host_port = "127.0.0.1:" + std::to_string(taken.local_endpoint().port());
    }
    const auto done = exchange(client_via("http://user:hunter2@" + host_port));
    ASSERT_EQ(errc_of(done->error), Errc::connect_failed);
    const std::string text = text_of(done->error);
    EXPECT_TRUE(contains(text, host_port)) << text;
    EXPECT_TRUE(contains(text, "proxy")) << text;
    EXPECT_FALSE(contains(text, "hunter2")) << text;
}

TEST_F(NetProxyTest, TheOriginIsVerifiedThroughTheTunnel) {
    ScriptedProxy proxy(to_server());
    const auto other = exchange(client_via(proxy.url(), "https://other.example"));
    EXPECT_EQ(errc_of(other->error), Errc::certificate_host);
    EXPECT_TRUE(contains(text_of(other->error), "other.example:443"));
    auto distrustful = settings(proxy.url());
    distrustful->tls = TlsSettings();
    const auto unknown = exchange(
        std::make_shared<HttpClient>(wire::Url::parse("https://api.example"), distrustful)
    );
    EXPECT_EQ(errc_of(unknown->error), Errc::certificate_invalid);
    EXPECT_EQ(server.stats().requests, 0U);
}

TEST_F(NetProxyTest, ATunnelThatTheOriginHasClosedIsReplaced) {
    ScriptedProxy proxy(to_server());
    const auto client = client_via(proxy.url());
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(server.close_idle_connections(), 1U);
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(proxy.heads().size(), 2U);
}

TEST_F(NetProxyTest, SpeaksTlsInsideTls) {
    ScriptedProxy proxy(to_server().tls(authority->issue()).credentials("user:word"));
    const auto client = client_via(proxy.url("user:word"));
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(proxy.heads().size(), 1U);
    EXPECT_EQ(server.stats().handshakes, 1U);
    EXPECT_EQ(server.requests().at(1).sequence, 2);
}

TEST_F(NetProxyTest, LargeBodiesPassThroughTlsInsideTls) {
    constexpr std::size_t size = 3UL * 1024 * 1024;
    ScriptedProxy proxy(to_server().tls(authority->issue()));
    const auto client = client_via(proxy.url());
    std::string body(size, ' ');
    for (std::size_t i = 0; i < size; ++i) {
        body[i] = static_cast<char>('a' + i % 23);
    }
    server.handle([](const testing::RecordedRequest& request) { return Reply::json(request.body); }
    );
    EXPECT_TRUE(fetch(client, post(body)) == body);
    EXPECT_TRUE(fetch(client, post(body)) == body);
    EXPECT_EQ(proxy.connections(), 1U);
}

TEST_F(NetProxyTest, ManyCallsRunThroughTlsInsideTls) {
    constexpr int calls = 20;
    ScriptedProxy proxy(to_server().tls(authority->issue()));
    const auto client = client_via(proxy.url());
    std::vector<std::shared_ptr<Exchange>> all;
    for (int i = 0; i < calls; ++i) {
        all.push_back(start(io.get_executor(), client, post()));
    }
    run();
    for (const auto& done : all) {
        EXPECT_FALSE(done->error) << text_of(done->error);
    }
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(proxy.connections(), static_cast<std::size_t>(calls));
}

TEST_F(NetProxyTest, TheOriginIsVerifiedInsideTheTlsOfTheProxy) {
    ScriptedProxy proxy(to_server().tls(authority->issue()));
    const auto other = exchange(client_via(proxy.url(), "https://other.example"));
    EXPECT_EQ(errc_of(other->error), Errc::certificate_host) << text_of(other->error);
    EXPECT_TRUE(contains(text_of(other->error), "other.example:443"));
}

TEST_F(NetProxyTest, NamesAnUntrustedProxy) {
    const CertificateAuthority stranger;
    ScriptedProxy unknown(to_server().tls(stranger.issue()));
    const auto untrusted = exchange(client_via(unknown.url("user:hunter2")));
    EXPECT_EQ(errc_of(untrusted->error), Errc::certificate_invalid);
    EXPECT_TRUE(contains(text_of(untrusted->error), "proxy")) << text_of(untrusted->error);
    EXPECT_TRUE(contains(text_of(untrusted->error), unknown.host_port()));
    EXPECT_TRUE(unknown.heads().empty());
    ScriptedProxy misnamed(
        to_server().tls(authority->issue(CertificateOptions().dns_name("other.example")))
    );
    const auto wrong = exchange(client_via(misnamed.url()));
    EXPECT_EQ(errc_of(wrong->error), Errc::certificate_host);
    EXPECT_TRUE(contains(text_of(wrong->error), misnamed.host_port())) << text_of(wrong->error);
    EXPECT_FALSE(contains(text_of(wrong->error), "model.base_url")) << text_of(wrong->error);
}

TEST_F(NetProxyTest, PlainHttpIsAskedForInAbsoluteForm) {
    ScriptedServer plain(ServerOptions().https(false));
    plain.default_reply(Reply::json("{}"));
    ScriptedProxy proxy(ProxyOptions().target_port(plain.port()).credentials("user:word"));
    const auto made = settings(proxy.url("user:word"));
    made->allow_insecure_http = true;
    const auto client =
        std::make_shared<HttpClient>(wire::Url::parse("http://api.example:8080"), made);
    EXPECT_EQ(fetch(client), "{}");
    const std::string head = proxy.heads().at(0);
    EXPECT_TRUE(head.starts_with("POST http://api.example:8080/v1/chat HTTP/1.1\r\n")) << head;
    EXPECT_TRUE(contains(head, "\r\nHost: api.example:8080\r\n")) << head;
    EXPECT_TRUE(contains(head, "Proxy-Authorization: Basic " + base64_encode("user:word"))) << head;
}

TEST_F(NetProxyTest, EventsShowTheTunnelAndNoCredentials) {
    class Recorder final : public Observer {
    public:
        void on_event(const CallEvent& event) noexcept override {
            steps.push_back(event.step);
            errors.push_back(event.error);
            for (const auto& text : {event.server_address, event.peer_address, event.tls_version}) {
                texts += text;
            }
        }
        std::vector<CallStep> steps;
        std::vector<std::optional<Errc>> errors;
        std::string texts;
    };
    ScriptedProxy proxy(to_server().credentials("user:word"));
    for (const char* const userinfo : {"user:word", "user:hunter2"}) {
        const bool granted = std::string(userinfo) == "user:word";
        const auto recorder = std::make_shared<Recorder>();
        const auto client = client_via(proxy.url(userinfo));
        auto call = std::make_shared<Exchange>();
        call->call = std::make_shared<async::CallContext>(io.get_executor(), Timeouts().total(60s));
        call->call->trace().attach(recorder);
        async::Completion done = [call](std::exception_ptr error) { call->error = error; };
        async::spawn(call->call, perform(call, client, post()), std::move(done));
        run();
        EXPECT_EQ(call->error == nullptr, granted);
        const auto found =
            std::find(recorder->steps.begin(), recorder->steps.end(), CallStep::proxy);
        ASSERT_NE(found, recorder->steps.end());
        const auto index = static_cast<std::size_t>(found - recorder->steps.begin());
        EXPECT_EQ(
            recorder->errors[index],
            granted ? std::nullopt : std::optional(Errc::proxy_refused)
        );
        EXPECT_FALSE(contains(recorder->texts, "word"));
        EXPECT_FALSE(contains(recorder->texts, "hunter2"));
    }
}

}  // namespace
}  // namespace llmproc::net::test
