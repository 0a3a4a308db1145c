#pragma once

#include <llmproc/error.hpp>
#include <llmproc/http_message.hpp>
#include <llmproc/stats.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "async/call_context.hpp"
#include "async/spawn.hpp"
#include "net/http_client.hpp"
#include "net/net_settings.hpp"
#include "net/resolver.hpp"
#include "wire/url.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::net::test {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using llmproc::testing::Reply;
using llmproc::testing::ScriptedServer;
using llmproc::testing::ServerOptions;

/// Whether this machine has the address; some have no IPv6 on loopback.
inline bool can_listen(const std::string& host) {
    asio::io_context io;
    const asio::ip::tcp::endpoint place(asio::ip::make_address(host), 0);
    boost::system::error_code refused;
    asio::ip::tcp::acceptor probe(io);
    probe.open(place.protocol(), refused);
    if (!refused) {
        probe.bind(place, refused);
    }
    return !refused;
}

/// A server without TLS.
inline ServerOptions plain() {
    return ServerOptions().https(false);
}

/// Answers at once with the same addresses, ports included.
class FixedResolver final : public Resolver {
public:
    explicit FixedResolver(Addresses addresses) : addresses_(std::move(addresses)) {}
    void resolve(std::string, std::uint16_t, ResolveHandler handler) override {
        handler({}, addresses_);
    }
    void forget(const std::string& host) override { forgotten.push_back(host); }
    std::vector<std::string> forgotten;

private:
    Addresses addresses_;
};

/// What became of one exchange; shared with the coroutine, which may be destroyed unfinished.
struct Exchange {
    std::shared_ptr<async::CallContext> call;
    bool ended = false;
    std::exception_ptr error;
    std::optional<HttpResponse> reply;
};

inline asio::awaitable<void> perform(
    std::shared_ptr<Exchange> exchange,
    std::shared_ptr<HttpClient> client,
    HttpRequest request
) {
    HttpExchange answer = co_await client->send(*exchange->call, request);
    std::string body = co_await answer.read_all();
    HttpResponse reply = answer.head();
    reply.body = std::move(body);
    exchange->reply = std::move(reply);
}

/// Starts an exchange on a strand of its own.
inline std::shared_ptr<Exchange> start(
    const asio::any_io_executor& executor,
    const std::shared_ptr<HttpClient>& client,
    HttpRequest request,
    const Timeouts& limits = Timeouts().total(60s)
) {
    auto exchange = std::make_shared<Exchange>();
    exchange->call = std::make_shared<async::CallContext>(asio::make_strand(executor), limits);
    asio::post(exchange->call->executor(), [exchange, client, request = std::move(request)] {
        async::Completion done = [exchange](std::exception_ptr error) {
            exchange->ended = true;
            exchange->error = std::move(error);
        };
        async::spawn(exchange->call, perform(exchange, client, request), std::move(done));
    });
    return exchange;
}

inline HttpRequest post(std::string body = "question") {
    return HttpRequest("POST", "/v1/chat", Headers(), std::move(body));
}

inline Errc errc_of(const std::exception_ptr& error) {
    try {
        if (error) {
            std::rethrow_exception(error);
        }
    } catch (const LLMError& known) {
        EXPECT_FALSE(known.message().empty());
        return known.errc();
    } catch (const std::exception& other) {
        ADD_FAILURE() << "not an LLMError: " << other.what();
    }
    return Errc::internal;
}

inline std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& known) {
        return known.what();
    }
}

/// A server, one io_context and clients for it.
class NetTest : public ::testing::Test {
protected:
    std::shared_ptr<NetSettings> settings_of(const ScriptedServer& server) {
        auto settings = std::make_shared<NetSettings>();
        settings->tls.ca_file = server.ca_file();
        return settings;
    }
    std::shared_ptr<HttpClient> client_of(
        const ScriptedServer& server,
        std::shared_ptr<NetSettings> settings = nullptr
    ) {
        return std::make_shared<HttpClient>(
            wire::Url::parse(server.url()),
            settings ? settings : settings_of(server)
        );
    }
    void run() {
        io.restart();
        io.run();
    }
    std::shared_ptr<Exchange> exchange(
        const std::shared_ptr<HttpClient>& client,
        HttpRequest request = post(),
        const Timeouts& limits = Timeouts().total(60s)
    ) {
        auto started = start(io.get_executor(), client, std::move(request), limits);
        run();
        EXPECT_TRUE(started->ended);
        return started;
    }
    std::string fetch(const std::shared_ptr<HttpClient>& client, HttpRequest request = post()) {
        const auto done = exchange(client, std::move(request));
        if (done->error) {
            ADD_FAILURE() << text_of(done->error);
            return "";
        }
        return done->reply->body;
    }
    ConnectionStats stats() { return connection_stats(io.get_executor()); }

    asio::io_context io;
};

}  // namespace llmproc::net::test
