#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/reply.hpp>
#include "net/connection_pool.hpp"
#include "net/connector.hpp"
#include "net/context_service.hpp"
#include "net/http_exchange.hpp"
#include "net_support.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include <poll.h>

#include <array>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::net::test {
namespace {

using asio::ip::tcp;
using llmproc::testing::CertificateAuthority;

class NetRobustnessTest : public NetTest, public ::testing::WithParamInterface<bool> {
protected:
    ServerOptions options() const { return ServerOptions().https(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(HttpAndHttps, NetRobustnessTest, ::testing::Bool());

const std::string ok = "HTTP/1.1 200 OK\r\n";

TEST_P(NetRobustnessTest, OddButCorrectAnswersKeepTheConnection) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    const std::pair<std::string, std::string> answers[] = {
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
         "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
             ok + "Content-Length: 2\r\n\r\nhi",
         "hi"},
        {ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "hi"},
        {ok + "Content-Length: 2, 2\r\n\r\nhi", "hi"},
        {ok + "Transfer-Encoding: Chunked\r\n\r\n2;a=\"b;c\"\r\nhi\r\n0;z\r\n\r\n", "hi"},
        {ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
        {ok + "Transfer-Encoding: chunked\r\n\r\n00002\r\nhi\r\n000\r\nX-Late: 1\r\n\r\n", "hi"},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""},
        {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", ""},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi", "hi"},
        {ok + "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", ""},
        {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "hi"},
    };
    for (const std::size_t split : {1U, 3U, 10'000U}) {
        for (const auto& [wire, body] : answers) {
            server.push(Reply().raw(wire).split_every(split));
            EXPECT_EQ(fetch(client), body) << wire;
        }
    }
    EXPECT_EQ(server.stats().accepts, 1U);
}

TEST_P(NetRobustnessTest, WhatCouldHideASecondAnswerIsRefusedAndNeverReused) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    const std::vector<std::string> answers = {
        ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ok + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ok + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
        ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
        ok + "Content-Length: 2, 3\r\n\r\nhi!",
        ok + "Content-Length: -2\r\n\r\nhi",
        ok + "Content-Length: two\r\n\r\nhi",
        ok + "X-Folded: a\r\n Content-Length: 0\r\n\r\n",
        ok + "X-Cut: a\rb\r\nContent-Length: 0\r\n\r\n",
        ok + "X-Nul: a" + '\0' + "b\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        ok + "Transfer-Encoding: chunked\r\n\r\n100000000000000000\r\nhi\r\n0\r\n\r\n",
    };
    for (const std::string& wire : answers) {
        server.push(Reply().raw(wire));
        const auto refused = exchange(client);
        EXPECT_EQ(errc_of(refused->error), Errc::malformed_http) << wire;
        EXPECT_EQ(stats().idle + stats().in_use, 0U) << wire;
    }
    EXPECT_EQ(server.stats().accepts, answers.size());
}

TEST_P(NetRobustnessTest, SaysAtOnceThatItIsNotHttp) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    // None of them ends a line, and the server keeps the connection open: only the bytes tell.
    const std::pair<std::string, std::string> greetings[] = {
        {"220 mail", "HTTP/1."},
        {"SSH-2.0-", "HTTP/1."},
        {std::string("\x15\x03\x01\x00\x02\x02\x46", 7), "https"},
        {std::string("\x00\x00\x12\x04\x00", 5), "HTTP/2"},
        {"HTTP/2", "HTTP/1."},
        {"h", "HTTP/1."},
    };
    for (const auto& [bytes, word] : greetings) {
        server.push(Reply().raw(bytes).hold_after(100'000));
        const auto refused = exchange(client);
        EXPECT_EQ(errc_of(refused->error), Errc::malformed_http) << bytes;
        EXPECT_NE(text_of(refused->error).find(word), std::string::npos) << text_of(refused->error);
    }
}

TEST_P(NetRobustnessTest, Trap22_ACompressedBodyIsNeitherAskedForNorTaken) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    server.push(Reply().body("x").header("Content-Encoding", "identity"));
    EXPECT_EQ(fetch(client), "x");
    EXPECT_EQ(server.requests().at(0).header("Accept-Encoding"), "identity");
    for (const char* const coding : {"gzip", "br", "identity, gzip"}) {
        server.push(Reply().body("x").header("Content-Encoding", coding));
        const auto refused = exchange(client);
        EXPECT_EQ(errc_of(refused->error), Errc::malformed_http) << coding;
    }
}

TEST_P(NetRobustnessTest, TrailersAreNotHeaders) {
    ScriptedServer server(options());
    server.push(Reply().piece("text").trailer("X-Late", "1").header("X-Early", "1"));
    const auto done = exchange(client_of(server));
    ASSERT_TRUE(done->reply);
    EXPECT_TRUE(done->reply->headers.contains("X-Early"));
    EXPECT_FALSE(done->reply->headers.contains("X-Late"));
}

TEST_P(NetRobustnessTest, AHeadRequestHasNoBody) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    server.push(Reply().raw(ok + "Content-Length: 1000\r\n\r\n"));
    EXPECT_EQ(fetch(client, HttpRequest("HEAD", "/v1")), "");
    server.push(Reply::json("{}"));
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(server.stats().accepts, 1U);
}

TEST_P(NetRobustnessTest, TellsThePoolWhatKeepAliveSays) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    server.push(Reply::json("1").header("Keep-Alive", "timeout=100, max=50"));
    server.push(Reply::json("2").header("Keep-Alive", "max=0"));
    server.push(Reply::json("3"));
    EXPECT_EQ(fetch(client), "1");
    EXPECT_EQ(fetch(client), "2");
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(fetch(client), "3");
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(client->counters().replaced, 0U);
}

TEST_P(NetRobustnessTest, AnAbandonedAnswerCostsItsConnection) {
    ScriptedServer server(options());
    server.push(Reply().body(std::string(10'000, 'b')).hold_after(5'000));
    const auto client = client_of(server);
    auto call = std::make_shared<async::CallContext>(io.get_executor(), 60s);
    struct Reader {
        static asio::awaitable<void> run(
            std::shared_ptr<async::CallContext> call,
            std::shared_ptr<HttpClient> client
        ) {
            const HttpRequest request = post();
            HttpExchange answer = co_await client->send(*call, request);
            std::string text;
            const bool more = co_await answer.read_some(text, 1);
            EXPECT_TRUE(more);
        }
    };
    async::Completion done = [](std::exception_ptr error) { EXPECT_FALSE(error); };
    async::spawn(call, Reader::run(call, client), std::move(done));
    run();
    EXPECT_EQ(stats().idle + stats().in_use, 0U);
    EXPECT_TRUE(server.wait_for_connections_at_most(0, 60s));
}

/// Answers as soon as it has the header of the request, on a thread of its own.
class HastyServer {
public:
    HastyServer(bool tls, std::string answer, bool closes)
        : context_(asio::ssl::context::tls_server),
          acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
          tls_(tls) {
        const auto certificate = authority_.issue();
        context_.use_certificate_chain(asio::buffer(certificate.chain_pem));
        context_.use_private_key(asio::buffer(certificate.key_pem), asio::ssl::context::pem);
        thread_ = std::thread([this, answer = std::move(answer), closes] { serve(answer, closes); }
        );
    }
    HastyServer(const HastyServer&) = delete;
    HastyServer& operator=(const HastyServer&) = delete;
    ~HastyServer() {
        over_.set_value();
        thread_.join();
    }

    std::string url() const {
        return std::string(tls_ ? "https" : "http") +
               "://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port());
    }
    const std::string& ca_file() const { return authority_.ca_file(); }

private:
    template <typename Stream>
    static void answer_head(Stream& stream, const std::string& answer) {
        boost::system::error_code ignored;
        std::string head;
        asio::read_until(stream, asio::dynamic_buffer(head), "\r\n\r\n", ignored);
        asio::write(stream, asio::buffer(answer), ignored);
    }

    /// Ends its own side first: to close with unread input would reset the connection, and that may
    /// overtake the answer.
    static void linger(tcp::socket& socket) {
        boost::system::error_code error;
        socket.shutdown(tcp::socket::shutdown_send, error);
        std::array<char, 16UL * 1024> unread{};
        while (!error) {
            socket.read_some(asio::buffer(unread), error);
        }
    }

    void serve(const std::string& answer, bool closes) {
        boost::system::error_code ignored;
        asio::ssl::stream<tcp::socket> stream(io_, context_);
        acceptor_.accept(stream.next_layer(), ignored);
        if (tls_) {
            stream.handshake(asio::ssl::stream_base::server, ignored);
            answer_head(stream, answer);
        } else {
            answer_head(stream.next_layer(), answer);
        }
        if (closes) {
            linger(stream.next_layer());
        } else {
            // Reads no more, and keeps the connection until the test is over.
            over_.get_future().wait();
        }
        stream.next_layer().close(ignored);
    }

    CertificateAuthority authority_;
    asio::io_context io_;
    asio::ssl::context context_;
    tcp::acceptor acceptor_;
    bool tls_;
    std::promise<void> over_;
    std::thread thread_;
};

TEST_P(NetRobustnessTest, ARefusalBeforeTheRequestIsSentIsReported) {
    const std::string answer =
        "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig";
    for (const bool closes : {true, false}) {
        HastyServer server(GetParam(), answer, closes);
        auto settings = std::make_shared<NetSettings>();
        settings->tls.ca_file = server.ca_file();
        const auto client = std::make_shared<HttpClient>(wire::Url::parse(server.url()), settings);
        const auto done = exchange(client, post(std::string(30'000'000, 'x')));
        ASSERT_FALSE(done->error) << text_of(done->error);
        EXPECT_EQ(done->reply->status, 413);
        EXPECT_EQ(done->reply->body, "big");
        EXPECT_EQ(stats().idle + stats().in_use, 0U);
    }
}

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
