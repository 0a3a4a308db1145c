#include <llmproc/testing/reply.hpp>
#include "net_support.hpp"

#include <string>
#include <thread>
#include <vector>

namespace llmproc::net::test {
namespace {

using llmproc::testing::Framing;

class NetExchangeTest : public NetTest, public ::testing::WithParamInterface<bool> {
protected:
    ServerOptions options() const { return ServerOptions().https(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(HttpAndHttps, NetExchangeTest, ::testing::Bool());
using NetFailureTest = NetExchangeTest;
INSTANTIATE_TEST_SUITE_P(HttpAndHttps, NetFailureTest, ::testing::Bool());

TEST_P(NetExchangeTest, FiftyRequestsUseOneConnection) {
    ScriptedServer server(options());
    server.default_reply(Reply::json(R"({"ok":true})"));
    const auto client = client_of(server);
    for (int i = 0; i < 50; ++i) {
        ASSERT_EQ(fetch(client), R"({"ok":true})");
    }
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(server.stats().handshakes, GetParam() ? 1U : 0U);
    EXPECT_EQ(client->counters().requests, 50U);
    EXPECT_EQ(client->counters().opened, 1U);
    EXPECT_EQ(client->counters().reused, 49U);
    EXPECT_EQ(client->counters().replaced, 0U);
    EXPECT_EQ(stats().idle, 1U);
    EXPECT_EQ(stats().in_use, 0U);
    EXPECT_EQ(stats().opened, 1U);
}

TEST_P(NetExchangeTest, SendsWhatItWasGiven) {
    ScriptedServer server(options());
    server.default_reply(Reply::json("{}"));
    HttpRequest
        request("POST", "/v1/a?b=c", Headers{{"X-One", "1"}, {"x-two", "two words"}}, "body");
    fetch(client_of(server), request);
    const auto seen = server.requests().at(0);
    EXPECT_EQ(seen.method, "POST");
    EXPECT_EQ(seen.target, "/v1/a?b=c");
    EXPECT_EQ(seen.body, "body");
    EXPECT_EQ(seen.header("x-one"), "1");
    EXPECT_EQ(seen.header("X-Two"), "two words");
    EXPECT_EQ(seen.header("Content-Length"), "4");
    EXPECT_EQ(seen.header("Host"), "localhost:" + std::to_string(server.port()));
    EXPECT_EQ(seen.server_name, GetParam() ? "localhost" : "");
    EXPECT_EQ(seen.alpn, GetParam() ? "http/1.1" : "");
}

TEST_P(NetExchangeTest, ReadsEveryFramingAtEverySplit) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    for (const std::size_t split : {1U, 2U, 3U, 7U, 50U, 10'000U}) {
        for (const Framing framing :
             {Framing::content_length, Framing::chunked, Framing::close_delimited}) {
            server.push(Reply().body("the whole body").framing(framing).split_every(split));
            EXPECT_EQ(fetch(client), "the whole body") << split;
        }
        server.push(Reply::status(204).split_every(split));
        EXPECT_EQ(fetch(client), "");
        server.push(Reply().interim(103).interim(100).body("after").split_every(split));
        EXPECT_EQ(fetch(client), "after");
    }
    // A body that ends with its connection costs that connection and no more.
    EXPECT_EQ(server.stats().accepts, 7U);
}

TEST_P(NetExchangeTest, MovesLargeBodiesBothWays) {
    ScriptedServer server(options());
    const std::string large(3'000'000, 'x');
    server.handle([](const auto& request) { return Reply().body(request.body); });
    const auto client = client_of(server);
    EXPECT_TRUE(fetch(client, post(large)) == large);
    EXPECT_TRUE(fetch(client, post(large)) == large);
    EXPECT_EQ(server.stats().accepts, 1U);
}

TEST_P(NetExchangeTest, ObeysConnectionClose) {
    ScriptedServer server(options());
    server.push(Reply::json("1").close_after());
    server.push(Reply::json("2"));
    const auto client = client_of(server);
    EXPECT_EQ(fetch(client), "1");
    EXPECT_EQ(stats().idle, 0U);
    EXPECT_EQ(fetch(client), "2");
    EXPECT_EQ(client->counters().replaced, 0U);
    EXPECT_EQ(server.stats().accepts, 2U);
}

TEST_P(NetExchangeTest, NoticesAConnectionThatWasClosedWhileIdle) {
    ScriptedServer server(options());
    server.default_reply(Reply::json("{}"));
    const auto client = client_of(server);
    fetch(client);
    ASSERT_EQ(server.close_idle_connections(), 1U);
    ASSERT_TRUE(server.wait_for_connections_at_most(0, 60s));
    EXPECT_EQ(fetch(client), "{}");
    EXPECT_EQ(stats().discarded + client->counters().replaced, 1U);
    EXPECT_EQ(server.stats().accepts, 2U);
}

TEST_P(NetExchangeTest, ReplacesAReusedConnectionThatDiesUnderTheRequest) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    const std::vector<Reply> deaths = {
        Reply().close_without_answer(),
        Reply().reset_after(0),
        Reply().close_without_answer().without_close_notify(),
    };
    for (const Reply& death : deaths) {
        server.push(Reply::json("1"));
        server.push(death);
        server.push(Reply::json("3"));
        EXPECT_EQ(fetch(client), "1");
        EXPECT_EQ(fetch(client), "3");
    }
    EXPECT_EQ(client->counters().replaced, 3U);
    EXPECT_EQ(server.stats().accepts, 4U);
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_P(NetExchangeTest, ReplacesOnlyOnce) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    server.push(Reply::json("1"));
    server.default_reply(Reply().close_without_answer());
    EXPECT_EQ(fetch(client), "1");
    EXPECT_EQ(errc_of(exchange(client)->error), Errc::connection_lost);
    EXPECT_EQ(server.stats().requests, 3U);
}

TEST_P(NetExchangeTest, DoesNotResendWithoutLeave) {
    ScriptedServer server(options());
    server.push(Reply::json("1"));
    server.push(Reply().close_without_answer());
    const auto settings = settings_of(server);
    settings->resend_on_stale = false;
    const auto client = client_of(server, settings);
    EXPECT_EQ(fetch(client), "1");
    const auto lost = exchange(client);
    EXPECT_EQ(errc_of(lost->error), Errc::connection_lost);
    EXPECT_NE(text_of(lost->error).find("may have executed"), std::string::npos);
    EXPECT_EQ(server.stats().requests, 2U);
}

TEST_P(NetExchangeTest, StreamsABodyAsItComes) {
    ScriptedServer server(options());
    server.push(Reply().piece("first").piece("second").hold_after(100'000));
    const auto client = client_of(server);
    auto seen = std::make_shared<std::string>();
    auto call = std::make_shared<async::CallContext>(io.get_executor(), 60s);
    struct Reader {
        static asio::awaitable<void> run(
            std::shared_ptr<async::CallContext> call,
            std::shared_ptr<HttpClient> client,
            std::shared_ptr<std::string> seen
        ) {
            const HttpRequest request = post();
            HttpExchange answer = co_await client->send(*call, request);
            EXPECT_EQ(answer.head().status, 200);
            bool more = true;
            while (more) {
                more = co_await answer.read_some(*seen, 1024);
                EXPECT_TRUE(!more || !seen->empty());
            }
        }
    };
    async::Completion done = [](std::exception_ptr error) {
        EXPECT_FALSE(error) << text_of(error);
    };
    async::spawn(call, Reader::run(call, client, seen), std::move(done));
    run();
    EXPECT_EQ(*seen, "firstsecond");
}

TEST_P(NetExchangeTest, TakesAnAnswerThatComesBeforeTheRequestIsSent) {
    ScriptedServer server(options());
    server.push(Reply::json("1"));
    const auto client = client_of(server);
    fetch(client);
    const std::string huge(30'000'000, 'x');
    server.push(Reply::status(413).close_after());
    const auto refused = exchange(client, post(huge));
    ASSERT_TRUE(refused->ended);
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_P(NetFailureTest, TruncationIsNeverSuccess) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    const std::vector<Framing> framings = {Framing::content_length, Framing::chunked};
    for (const Framing framing : framings) {
        for (const std::size_t cut : {1U, 10U, 40U, 160U}) {
            const Reply whole = Reply().body(std::string(200, 'b')).framing(framing);
            server.push(Reply(whole).truncate_after(cut));
            EXPECT_EQ(errc_of(exchange(client)->error), Errc::truncated_response) << cut;
            server.push(Reply(whole).truncate_after(cut).without_close_notify());
            EXPECT_EQ(errc_of(exchange(client)->error), Errc::truncated_response) << cut;
            server.push(Reply(whole).reset_after(cut));
            const Errc reset = errc_of(exchange(client)->error);
            EXPECT_TRUE(reset == Errc::connection_lost || reset == Errc::truncated_response) << cut;
        }
    }
    EXPECT_EQ(stats().idle + stats().in_use, 0U);
}

TEST_P(NetFailureTest, ACloseDelimitedBodyNeedsItsCloseNotify) {
    ScriptedServer server(options());
    server.push(Reply().body("text").framing(Framing::close_delimited).without_close_notify());
    const auto done = exchange(client_of(server));
    if (GetParam()) {
        EXPECT_EQ(errc_of(done->error), Errc::truncated_response);
    } else {
        EXPECT_EQ(done->reply->body, "text");
    }
}

TEST_P(NetFailureTest, AFreshConnectionThatDiesIsNotReplaced) {
    ScriptedServer server(options());
    server.default_reply(Reply().close_without_answer());
    const auto lost = exchange(client_of(server));
    EXPECT_EQ(errc_of(lost->error), Errc::connection_lost);
    EXPECT_EQ(server.stats().accepts, 1U);
}

TEST_P(NetFailureTest, BoundsHeaderAndBody) {
    ScriptedServer server(options());
    const auto settings = settings_of(server);
    settings->max_header_bytes = 1000;
    settings->max_body_bytes = 1000;
    const auto client = client_of(server, settings);
    server.push(Reply::json("{}").header("X-Large", std::string(2000, 'a')));
    EXPECT_EQ(errc_of(exchange(client)->error), Errc::header_too_large);
    server.push(Reply().body(std::string(1001, 'a')));
    EXPECT_EQ(errc_of(exchange(client)->error), Errc::body_too_large);
    server.push(Reply().body(std::string(1000, 'a')));
    EXPECT_EQ(fetch(client).size(), 1000U);
}

TEST_P(NetFailureTest, RefusesWhatIsNotHttp) {
    ScriptedServer server(options());
    const auto client = client_of(server);
    server.push(Reply().raw("SSH-2.0-OpenSSH_9.2p1\r\n\r\n"));
    const auto done = exchange(client);
    EXPECT_EQ(errc_of(done->error), Errc::malformed_http);
    const std::string place = "localhost:" + std::to_string(server.port());
    EXPECT_NE(text_of(done->error).find(place), std::string::npos);
    server.push(Reply::json("{}").header("Content-Encoding", "gzip"));
    EXPECT_EQ(errc_of(exchange(client)->error), Errc::malformed_http);
}

TEST_P(NetFailureTest, DoesNotReuseAfterBytesBeyondTheEnd) {
    ScriptedServer server(options());
    server.push(Reply().raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n"));
    server.push(Reply::json("2"));
    const auto client = client_of(server);
    EXPECT_EQ(fetch(client), "ok");
    EXPECT_EQ(fetch(client), "2");
    EXPECT_EQ(server.stats().accepts, 2U);
}

}  // namespace
}  // namespace llmproc::net::test
