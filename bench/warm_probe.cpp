#include "warm_probe.hpp"

#include "net/http_client.hpp"
#include "net/tls_context.hpp"
#include "server.hpp"
#include "transport.hpp"
#include "wire/url.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>
#include <ostream>
#include <string>
#include <utility>

namespace llmproc::bench {

namespace asio = boost::asio;

namespace {

/// Knows one name, and counts who asks.
class CountingResolver final : public net::Resolver {
public:
    void resolve(std::string, std::uint16_t port, net::ResolveHandler handler) override {
        ++asked_;
        handler({}, {{asio::ip::address_v4::loopback(), port}});
    }
    std::uint64_t asked() const { return asked_; }

private:
    std::uint64_t asked_ = 0;
};

asio::awaitable<void> exchange_once(
    net::HttpClient& client,
    const HttpRequest& request,
    async::CallContext& call
) {
    net::HttpExchange exchange = co_await client.send(call, request);
    const std::string body = co_await exchange.read_all();
    check_reply(exchange.head().status, body.size());
}

}  // namespace

void print_warm_calls(std::ostream& out) {
    const Server server{Cores{}};
    Load load;
    load.ca_file = server.ca_file();
    const auto resolver = std::make_shared<CountingResolver>();
    const HttpRequest request = chat_request();
    const std::string base = "https://" + std::string(host_name) + ":" +
                             std::to_string(server.port()) + "/v1";
    asio::io_context context;
    const auto make = [&] {
        return std::make_unique<net::HttpClient>(
            wire::Url::parse(base),
            transport_settings(load),
            resolver
        );
    };
    const auto measure = [&](const char* which, std::unique_ptr<net::HttpClient> client) {
        const std::uint64_t contexts = net::TlsContext::created();
        const std::uint64_t asked = resolver->asked();
        if (!client) {
            client = make();
        }
        const std::uint64_t handshakes = client->counters().handshakes;
        start_body(context, [&](async::CallContext& call) {
            return exchange_once(*client, request, call);
        });
        context.restart();
        context.run();
        out << which << ' ' << client->counters().handshakes - handshakes << ' '
            << resolver->asked() - asked << ' ' << net::TlsContext::created() - contexts << '\n';
        return client;
    };
    std::unique_ptr<net::HttpClient> client = measure("first", nullptr);
    client = measure("second", std::move(client));
    measure("other", nullptr);
}

}  // namespace llmproc::bench
