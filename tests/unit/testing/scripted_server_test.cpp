#include <llmproc/testing/scripted_server.hpp>
#include "blocking_client.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace llmproc::testing {
namespace {

using namespace std::chrono_literals;
namespace http = boost::beast::http;

constexpr auto watchdog = 30s;

ServerOptions plain_http() {
    return ServerOptions().https(false);
}

TEST(ScriptedServerTest, AnswersFromTheQueueThenTheHandlerThenTheDefault) {
    ScriptedServer server(plain_http());
    server.default_reply(Reply().body("default"));
    server.push(Reply::json(R"({"n":1})"));
    BlockingClient client(server);
    const auto first = client.get("/a");
    EXPECT_EQ(first.body(), R"({"n":1})");
    EXPECT_EQ(first["Content-Type"], "application/json");
    EXPECT_EQ(client.get("/b").body(), "default");
    server.handle([](const RecordedRequest& request) { return Reply().body(request.target); });
    EXPECT_EQ(client.get("/c").body(), "/c");
    server.push(Reply::status(503));
    EXPECT_EQ(client.get("/d").result_int(), 503U);
}

TEST(ScriptedServerTest, SaysSoWhenNothingIsScriptedOrTheHandlerThrows) {
    ScriptedServer server(plain_http());
    BlockingClient client(server);
    const auto unscripted = client.get("/");
    EXPECT_EQ(unscripted.result_int(), 500U);
    EXPECT_NE(unscripted.body().find("nothing is scripted"), std::string::npos);
    server.handle([](const RecordedRequest&) -> Reply { throw std::runtime_error("no \"luck\""); });
    const auto thrown = client.get("/");
    EXPECT_EQ(thrown.result_int(), 500U);
    EXPECT_NE(thrown.body().find("no  luck "), std::string::npos);
}

TEST(ScriptedServerTest, RecordsRequestsWithTheirConnection) {
    ScriptedServer server(plain_http());
    server.default_reply(Reply::status(204));
    BlockingClient one(server);
    one.send(
        "POST /v1/x?y=1 HTTP/1.1\r\nHost: h\r\nX-Thing: a b\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    );
    EXPECT_EQ(one.read().result_int(), 204U);
    one.get("/second");
    BlockingClient two(server);
    two.get("/third");
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 3U);
    EXPECT_EQ(requests[0].method, "POST");
    EXPECT_EQ(requests[0].target, "/v1/x?y=1");
    EXPECT_EQ(requests[0].body, "abcde");
    EXPECT_EQ(requests[0].header("x-THING"), "a b");
    EXPECT_FALSE(requests[0].has_header("x-other"));
    EXPECT_EQ(requests[0].header("x-other"), "");
    EXPECT_EQ(requests[1].connection_id, requests[0].connection_id);
    EXPECT_EQ(requests[1].sequence, 2);
    EXPECT_NE(requests[2].connection_id, requests[0].connection_id);
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_TRUE(server.wait_for_requests(3, watchdog));
}

TEST(ScriptedServerTest, ReadsARequestInAnyPiecesAndAPipelinedOne) {
    ScriptedServer server(plain_http());
    server.handle([](const RecordedRequest& request) { return Reply().body(request.body); });
    BlockingClient client(server);
    const std::string bytes = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nping";
    for (const char letter : bytes) {
        client.send(std::string(1, letter));
    }
    EXPECT_EQ(client.read().body(), "ping");
    client.send(bytes + bytes + bytes);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(client.read().body(), "ping");
    }
}

TEST(ScriptedServerTest, ContinuesWhenAskedTo) {
    ScriptedServer server(plain_http());
    server.default_reply(Reply().body("got it"));
    BlockingClient client(server);
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(client.read().result_int(), 100U);
    client.send("ok");
    EXPECT_EQ(client.read().body(), "got it");
}

TEST(ScriptedServerTest, RefusesWhatIsNotHttp) {
    ScriptedServer server(plain_http());
    BlockingClient client(server);
    client.send("\x16\x03\x01 nonsense\r\n\r\n");
    EXPECT_EQ(client.read().result_int(), 400U);
    client.read_to_end();
    EXPECT_EQ(client.error, boost::asio::error::eof);
    EXPECT_EQ(server.stats().bad_requests, 1U);
    EXPECT_EQ(server.stats().requests, 0U);
}

TEST(ScriptedServerTest, AnnouncesTheCloseAtTheKeepAliveLimit) {
    ScriptedServer server(plain_http().keep_alive_requests(2));
    server.default_reply(Reply().body("x"));
    BlockingClient client(server);
    EXPECT_TRUE(client.get("/").keep_alive());
    EXPECT_FALSE(client.get("/").keep_alive());
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_EQ(client.error, boost::asio::error::eof);
}

TEST(ScriptedServerTest, ClosesInTheScriptedWay) {
    ScriptedServer server(plain_http());
    server.push(Reply().body("x").close_after());
    BlockingClient announced(server);
    EXPECT_FALSE(announced.get("/").keep_alive());
    EXPECT_EQ(announced.read_to_end(), "");
    EXPECT_EQ(announced.error, boost::asio::error::eof);

    server.push(Reply().body("x").close_silently_after());
    BlockingClient silent(server);
    EXPECT_TRUE(silent.get("/").keep_alive());
    EXPECT_EQ(silent.read_to_end(), "");
    EXPECT_EQ(silent.error, boost::asio::error::eof);

    server.push(Reply().close_without_answer());
    BlockingClient unanswered(server);
    unanswered.send_get("/");
    EXPECT_EQ(unanswered.read_to_end(), "");
    EXPECT_EQ(unanswered.error, boost::asio::error::eof);
}

TEST(ScriptedServerTest, TruncatesAndResetsAfterExactlyThatManyBytes) {
    ScriptedServer server(plain_http());
    const std::string whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{7}, whole.size() - 1, whole.size()}) {
        server.push(Reply().body("hello").truncate_after(size));
        BlockingClient cut(server);
        cut.send_get("/");
        EXPECT_EQ(cut.read_to_end(), whole.substr(0, size));
        EXPECT_EQ(cut.error, boost::asio::error::eof);

        server.push(Reply().body("hello").reset_after(size));
        BlockingClient reset(server);
        reset.send_get("/");
        EXPECT_EQ(reset.read_to_end(), whole.substr(0, size));
        EXPECT_EQ(reset.error, boost::asio::error::connection_reset);
    }
    EXPECT_EQ(server.stats().resets, 4U);
    EXPECT_EQ(server.stats().aborted, 0U);
}

TEST(ScriptedServerTest, FramesABodyInEachWay) {
    ScriptedServer server(plain_http());
    BlockingClient client(server);
    server.push(Reply().piece("ab").piece("").piece("cd").trailer("X-Sum", "4"));
    client.send_get("/");
    const auto chunked = client.read();
    EXPECT_TRUE(chunked.chunked());
    EXPECT_EQ(chunked.body(), "abcd");
    EXPECT_EQ(chunked["X-Sum"], "4");

    server.push(Reply().piece("ab").piece("cd").framing(Framing::content_length).split_every(1));
    const auto sized = client.get("/");
    EXPECT_EQ(sized["Content-Length"], "4");
    EXPECT_EQ(sized.body(), "abcd");

    server.push(Reply().interim(103, {{"Link", "</x>"}}).body("late"));
    client.send_get("/");
    EXPECT_EQ(client.read().result_int(), 103U);
    EXPECT_EQ(client.read().body(), "late");

    server.push(Reply().body("until the end").framing(Framing::close_delimited));
    BlockingClient last(server);
    last.send_get("/");
    const auto delimited = last.read();
    EXPECT_FALSE(last.error);
    EXPECT_EQ(delimited.body(), "until the end");
    EXPECT_FALSE(delimited.has_content_length());
    EXPECT_FALSE(delimited.keep_alive());
}

TEST(ScriptedServerTest, WritesRawBytesAsGiven) {
    ScriptedServer server(plain_http());
    server.push(Reply().raw("HTTP/1.1 nonsense\n").close_silently_after());
    BlockingClient client(server);
    client.send_get("/");
    EXPECT_EQ(client.read_to_end(), "HTTP/1.1 nonsense\n");
}

TEST(ScriptedServerTest, SendsSseEventsOneByOne) {
    ScriptedServer server(plain_http());
    server.push(Reply::sse({"one", "two\nlines", "[DONE]"}).piece_delay(1ms));
    BlockingClient client(server);
    const auto reply = client.get("/");
    EXPECT_EQ(reply["Content-Type"], "text/event-stream");
    EXPECT_EQ(reply.body(), "data: one\n\ndata: two\ndata: lines\n\ndata: [DONE]\n\n");
}

TEST(ScriptedServerTest, HoldsRequestsUntilEnoughAreOpen) {
    constexpr std::size_t count = 64;
    ScriptedServer server(plain_http());
    server.default_reply(Reply().body("x"));
    server.hold_until_open_requests(count);
    std::vector<std::unique_ptr<BlockingClient>> clients;
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_EQ(server.stats().responses, 0U);
        clients.push_back(std::make_unique<BlockingClient>(server));
        clients.back()->send_get("/");
        ASSERT_TRUE(server.wait_for_requests(i + 1, watchdog));
    }
    for (const auto& client : clients) {
        EXPECT_EQ(client->read().body(), "x");
    }
    EXPECT_EQ(server.stats().peak_open_requests, count);
    EXPECT_EQ(clients.front()->get("/").body(), "x") << "the gate is off once it has opened";
}

TEST(ScriptedServerTest, ReleasesTheGateOnDemand) {
    ScriptedServer server(plain_http());
    server.default_reply(Reply().body("x"));
    server.hold_until_open_requests(1000);
    BlockingClient client(server);
    client.send_get("/");
    ASSERT_TRUE(server.wait_for_requests(1, watchdog));
    EXPECT_EQ(server.stats().open_requests, 1U);
    server.hold_until_open_requests(0);
    EXPECT_EQ(client.read().body(), "x");
}

TEST(ScriptedServerTest, NoticesTheClientThatLeaves) {
    ScriptedServer server(plain_http());
    server.push(Reply().hold());
    server.push(Reply::sse({"a", "b"}).piece_delay(1h));
    server.push(Reply().body("hello").hold_after(10));
    server.push(Reply().delay(1h));
    for (std::size_t i = 1; i <= 4; ++i) {
        BlockingClient client(server);
        client.send_get("/");
        ASSERT_TRUE(server.wait_for_requests(i, watchdog));
        EXPECT_EQ(server.stats().aborted, i - 1);
        client.close();
        ASSERT_TRUE(server.wait_for_aborted(i, watchdog));
    }
    server.hold_until_open_requests(9);
    BlockingClient held(server);
    held.send_get("/");
    ASSERT_TRUE(server.wait_for_requests(5, watchdog));
    held.close();
    EXPECT_TRUE(server.wait_for_aborted(5, watchdog));
    EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    EXPECT_EQ(server.stats().open_requests, 0U);
    EXPECT_FALSE(server.wait_for_aborted(6, 1ms));
}

TEST(ScriptedServerTest, ClosesIdleConnectionsOnly) {
    ScriptedServer server(plain_http());
    server.default_reply(Reply().body("x"));
    BlockingClient idle(server);
    idle.get("/");
    server.push(Reply().hold());
    BlockingClient busy(server);
    busy.send_get("/");
    ASSERT_TRUE(server.wait_for_requests(2, watchdog));
    EXPECT_EQ(server.close_idle_connections(), 1U);
    EXPECT_EQ(idle.read_to_end(), "");
    EXPECT_EQ(idle.error, boost::asio::error::eof);
    EXPECT_EQ(server.stats().open_requests, 1U);
}

TEST(ScriptedServerTest, ClosesAConnectionAfterTheIdleTimeout) {
    ScriptedServer server(plain_http().idle_timeout(20ms));
    server.default_reply(Reply().body("x"));
    BlockingClient client(server);
    EXPECT_TRUE(client.get("/").keep_alive());
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_EQ(client.error, boost::asio::error::eof);
}

TEST(ScriptedServerTest, WritesABodyLargerThanTheSocketBuffers) {
    ScriptedServer server(plain_http());
    const std::string big(6U << 20U, 'x');  // Beast's client takes up to 8 MiB
    server.push(Reply().body(big));
    server.push(Reply().body("small"));
    BlockingClient client(server);
    client.send_get("/");
    ASSERT_TRUE(server.wait_for_requests(1, watchdog));
    EXPECT_EQ(client.read().body(), big);
    EXPECT_EQ(client.get("/").body(), "small");
}

TEST(ScriptedServerTest, StopsWithRequestsOpenAndMoreThanOnce) {
    ScriptedServer server(plain_http());
    server.default_reply(Reply().hold());
    BlockingClient client(server);
    client.send_get("/");
    ASSERT_TRUE(server.wait_for_requests(1, watchdog));
    server.stop();
    server.stop();
    client.read_to_end();
    EXPECT_TRUE(client.error);
    EXPECT_EQ(server.close_idle_connections(), 0U);
    EXPECT_EQ(server.stats().open_connections, 0U);
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST(ScriptedServerTest, MayBeStoppedByItsHandler) {
    ScriptedServer server(plain_http());
    server.handle([&server](const RecordedRequest&) {
        server.stop();
        return Reply().body("x");
    });
    BlockingClient client(server);
    client.send_get("/");
    client.read_to_end();
    EXPECT_TRUE(client.error);
    EXPECT_EQ(server.close_idle_connections(), 0U);
}

TEST(ScriptedServerTest, SaysWhyItCannotListen) {
    ScriptedServer first(plain_http().host("127.0.0.1"));
    EXPECT_EQ(first.url(), "http://127.0.0.1:" + std::to_string(first.port()));
    EXPECT_EQ(first.base_url(), first.url() + "/v1");
    EXPECT_EQ(first.ca_file(), "");
    try {
        const ScriptedServer second(plain_http().host("127.0.0.1").port(first.port()));
        FAIL() << "the port was taken";
    } catch (const std::runtime_error& error) {
        const std::string text = error.what();
        EXPECT_NE(text.find("127.0.0.1:" + std::to_string(first.port())), std::string::npos);
    }
    EXPECT_THROW(ScriptedServer(plain_http().host("nowhere")), std::runtime_error);
}

TEST(ScriptedServerTest, ServesManyThreadsAtOnce) {
    ScriptedServer server(plain_http());
    server.handle([](const RecordedRequest& request) { return Reply().body(request.target); });
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&server, t] {
            BlockingClient client(server);
            for (int i = 0; i < 50; ++i) {
                const std::string target = "/" + std::to_string(t) + "/" + std::to_string(i);
                EXPECT_EQ(client.get(target).body(), target);
                EXPECT_GE(server.stats().requests, 1U);
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(server.stats().requests, 400U);
    EXPECT_EQ(server.stats().accepts, 8U);
}

}  // namespace
}  // namespace llmproc::testing
