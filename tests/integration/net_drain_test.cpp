// Records that have arrived are all read before the next wait.
#include <llmproc/testing/certificate_authority.hpp>
#include "async/call_context.hpp"
#include "net/context_service.hpp"
#include "net/http_exchange.hpp"
#include "net/tls_context.hpp"
#include "net_support.hpp"
#include "testing/tls_engine.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::net::test {
namespace {

using asio::ip::tcp;
using llmproc::testing::CertificateAuthority;
using llmproc::testing::TlsEngine;
using ServerTls = llmproc::testing::TlsContext;

/// An exchange over TLS and a real socket whose other end is driven by hand.
class NetDrainTest : public NetTest {
protected:
    NetDrainTest() : engine(ServerTls(ServerOptions(), authority.issue())), peer(io) {
        tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
        tcp::socket own(io);
        own.connect(acceptor.local_endpoint());
        acceptor.accept(peer);
        own.native_non_blocking(true);
        auto settings = std::make_shared<NetSettings>();
        settings->tls.ca_file = authority.ca_file();
        const auto tls = TlsContext::shared(settings->tls);
        const auto base = wire::Url::parse("https://localhost:9");
        const auto origin = std::make_shared<Origin>(base, tls, 1);
        const ConnectPlan plan(origin, settings, nullptr, std::make_shared<HttpCounters>());
        call = std::make_shared<async::CallContext>(io.get_executor(), Timeouts());
        exchange.emplace(*call, plan, request, HttpExchange::Impl::Body::viewed);
        auto lease = ContextService::of(io.get_executor()).pool()->try_acquire(*origin, *settings);
        lease->adopt(std::move(own));
        lease->start_tls(*tls, "localhost", "");
        while (lease->handshake_step().state != StepState::done) {
            exchange_bytes();
        }
        exchange_bytes();
        lease->mark_ready();
        exchange->begin(std::move(lease), false);
        call->enter(Stage::write);
    }
    ~NetDrainTest() override { call->finish(); }

    /// The server takes what is there and sends what it has to say.
    void exchange_bytes() {
        std::array<char, 4096> buffer{};
        peer.non_blocking(true);
        boost::system::error_code error;
        const std::size_t count = peer.read_some(asio::buffer(buffer), error);
        if (!error) {
            engine.feed(std::string_view(buffer.data(), count), received);
        }
        send();
    }
    void send() {
        peer.non_blocking(false);
        const std::string bytes = engine.take_output();
        asio::write(peer, asio::buffer(bytes));
    }

    CertificateAuthority authority;
    TlsEngine engine;
    tcp::socket peer;
    const HttpRequest request = post();
    std::shared_ptr<async::CallContext> call;
    std::optional<HttpExchange::Impl> exchange;
    std::string received;
};

TEST_F(NetDrainTest, ReadsEveryRecordThatHasArrivedBeforeItWaits) {
    ASSERT_EQ(exchange->advance_to_head(*call), Need::readable);
    engine.write("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
    send();
    Need need = exchange->advance_to_head(*call);
    while (need == Need::readable) {
        exchange->connection().socket().wait(tcp::socket::wait_read);
        need = exchange->advance_to_head(*call);
    }
    ASSERT_EQ(need, Need::nothing);
    std::string text;
    EXPECT_EQ(exchange->advance_body(text, 64 * 1024), Need::readable);

    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(engine.write("a token of twenty b."));
    }
    send();
    exchange->connection().socket().wait(tcp::socket::wait_read);
    // Loopback hands a small write over whole, so one step finds all of the hundred records.
    EXPECT_EQ(exchange->advance_body(text, 64 * 1024), Need::nothing);
    EXPECT_EQ(text.size(), 2000U);
    EXPECT_EQ(exchange->advance_body(text, 64 * 1024), Need::readable);

    // A limit ends the step early; what OpenSSL holds is no reason to wait.
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(engine.write("a token of twenty b."));
    }
    send();
    exchange->connection().socket().wait(tcp::socket::wait_read);
    EXPECT_EQ(exchange->advance_body(text, 100), Need::nothing);
    EXPECT_GE(text.size(), 2100U);
    EXPECT_LT(text.size(), 3000U);
    EXPECT_EQ(exchange->advance_body(text, 64 * 1024), Need::nothing);
    EXPECT_EQ(text.size(), 3000U);
    EXPECT_TRUE(exchange->finished());
}

}  // namespace
}  // namespace llmproc::net::test
