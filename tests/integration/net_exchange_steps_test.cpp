#include "net/connection_pool.hpp"
#include "net/connector.hpp"
#include "net/context_service.hpp"
#include "net/http_exchange.hpp"
#include "net_support.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <poll.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace llmproc::net::test {
namespace {

using asio::ip::tcp;

/// An exchange over a pair of sockets with little room, step by step.
class ExchangeStepsTest : public NetTest {
protected:
    ExchangeStepsTest() : peer(io) {
        tcp::acceptor acceptor(io);
        const tcp::endpoint any(asio::ip::address_v4::loopback(), 0);
        acceptor.open(any.protocol());
        acceptor.set_option(tcp::acceptor::receive_buffer_size(8 * 1024));
        acceptor.bind(any);
        acceptor.listen();
        tcp::socket own(io);
        own.open(any.protocol());
        own.set_option(tcp::socket::send_buffer_size(8 * 1024));
        own.connect(acceptor.local_endpoint());
        acceptor.accept(peer);
        own.native_non_blocking(true);
        peer.non_blocking(true);
        auto settings = std::make_shared<NetSettings>();
        const auto base = wire::Url::parse("http://127.0.0.1:9");
        const auto origin = std::make_shared<Origin>(base, nullptr, 1);
        const ConnectPlan plan(origin, settings, nullptr, std::make_shared<HttpCounters>());
        call = std::make_shared<async::CallContext>(io.get_executor(), Timeouts());
        exchange.emplace(*call, plan, request, HttpExchange::Impl::Body::viewed);
        auto lease = ContextService::of(io.get_executor()).pool()->try_acquire(*origin, *settings);
        lease->adopt(std::move(own));
        lease->mark_ready();
        exchange->begin(std::move(lease), false);
        call->enter(Stage::write);
    }
    ~ExchangeStepsTest() override { call->finish(); }

    /// Reads what has arrived at the server.
    void drain() {
        std::array<char, 64 * 1024> buffer{};
        boost::system::error_code error;
        while (!error) {
            received += peer.read_some(asio::buffer(buffer), error);
        }
    }
    void say(std::string_view text) { asio::write(peer, asio::buffer(text)); }
    void wait_for(short events) {
        pollfd own{exchange->connection().socket().native_handle(), events, 0};
        ASSERT_EQ(::poll(&own, 1, 60'000), 1);
    }

    const std::string body = std::string(2'000'000, 'x');
    const HttpRequest request = post(body);
    tcp::socket peer;
    std::shared_ptr<async::CallContext> call;
    std::optional<HttpExchange::Impl> exchange;
    std::size_t received = 0;
};

TEST_F(ExchangeStepsTest, TheWriteLimitBeginsAnewWithEveryProgress) {
    ASSERT_EQ(exchange->advance_to_head(*call), Need::either);
    while (received < body.size()) {
        call->enter(Stage::connect);  // Any other, to see that it is left.
        ASSERT_EQ(exchange->advance_to_head(*call), Need::either);
        ASSERT_EQ(call->stage(), Stage::connect) << "no progress";
        drain();
        wait_for(POLLOUT);
        if (exchange->advance_to_head(*call) == Need::readable) {
            break;
        }
        ASSERT_EQ(call->stage(), Stage::write);
    }
    EXPECT_EQ(call->stage(), Stage::first_byte);
}

TEST_F(ExchangeStepsTest, AnEarlyRefusalEndsTheSending) {
    ASSERT_EQ(exchange->advance_to_head(*call), Need::either);
    say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\n");
    wait_for(POLLIN);
    ASSERT_EQ(exchange->advance_to_head(*call), Need::nothing);
    EXPECT_EQ(exchange->head().status, 413);
    drain();
    std::string text;
    EXPECT_EQ(exchange->advance_body(text, 1024), Need::readable);
    const std::size_t before = received;
    drain();
    EXPECT_EQ(received, before);
    say("big");
    wait_for(POLLIN);
    EXPECT_EQ(exchange->advance_body(text, 1024), Need::nothing);
    EXPECT_TRUE(exchange->finished());
    EXPECT_EQ(text, "big");
    EXPECT_EQ(stats().idle, 0U);
}

TEST_F(ExchangeStepsTest, AnEarlyAcceptanceDoesNot) {
    ASSERT_EQ(exchange->advance_to_head(*call), Need::either);
    say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    wait_for(POLLIN);
    ASSERT_EQ(exchange->advance_to_head(*call), Need::nothing);
    std::string text;
    Need need = exchange->advance_body(text, 1024);
    while (need == Need::either) {
        drain();
        wait_for(POLLOUT);
        need = exchange->advance_body(text, 1024);
    }
    ASSERT_EQ(need, Need::readable);
    drain();
    EXPECT_GT(received, body.size());
    say("done");
    wait_for(POLLIN);
    EXPECT_EQ(exchange->advance_body(text, 1024), Need::nothing);
    EXPECT_TRUE(exchange->finished());
    EXPECT_EQ(text, "done");
    EXPECT_EQ(stats().idle, 1U);
}

TEST_F(ExchangeStepsTest, AnAnswerBehindAResetIsStillRead) {
    ASSERT_EQ(exchange->advance_to_head(*call), Need::either);
    say("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
    peer.close();  // With bytes unread: a reset follows the answer.
    wait_for(POLLIN);
    ASSERT_EQ(exchange->advance_to_head(*call), Need::nothing);
    std::string text;
    EXPECT_TRUE(exchange->take_early(text));
    EXPECT_EQ(text, "big");
    EXPECT_EQ(stats().idle, 0U);
}

TEST_F(ExchangeStepsTest, AResetWithoutAnAnswerIsALostConnection) {
    ASSERT_EQ(exchange->advance_to_head(*call), Need::either);
    peer.close();
    wait_for(POLLIN);
    try {
        exchange->advance_to_head(*call);
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::connection_lost);
        EXPECT_EQ(error.diagnostics().stage, Stage::write);
    }
}

}  // namespace
}  // namespace llmproc::net::test
