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

}  // namespace
}  // namespace llmproc::net::test
