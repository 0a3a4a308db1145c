// Our transport without the model's protocol: no JSON, no history.
#include <llmproc/timeouts.hpp>
#include "async/spawn.hpp"
#include "client.hpp"
#include "net/http_client.hpp"
#include "transport.hpp"
#include "wire/url.hpp"

#include <exception>
#include <string>

namespace llmproc::bench {

namespace asio = boost::asio;

namespace {

class Transport final : public Client {
public:
    explicit Transport(const Load& load)
        : in_flight_(load.in_flight),
          request_(chat_request()),
          http_(
              wire::Url::parse("https://127.0.0.1:" + std::to_string(load.port) + "/v1"),
              transport_settings(load)
          ) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        left_ = calls;
        latencies_ = &latencies;
        for (std::uint64_t i = 0; i < in_flight_; ++i) {
            start_body(context_, [this](async::CallContext& call) { return worker(*this, call); });
        }
        context_.restart();
        context_.run();
    }

private:
    static asio::awaitable<void> worker(Transport& self, async::CallContext& call) {
        while (self.left_ > 0) {
            --self.left_;
            const auto begin = std::chrono::steady_clock::now();
            net::HttpExchange exchange = co_await self.http_.send(call, self.request_);
            const std::string body = co_await exchange.read_all();
            check_reply(exchange.head().status, body.size());
            self.latencies_->push_back(std::chrono::steady_clock::now() - begin);
        }
    }

    std::uint64_t in_flight_;
    HttpRequest request_;
    asio::io_context context_;
    net::HttpClient http_;
    std::uint64_t left_ = 0;
    Latencies* latencies_ = nullptr;
};

}  // namespace

std::shared_ptr<const net::NetSettings> transport_settings(const Load& load) {
    auto settings = std::make_shared<net::NetSettings>();
    settings->tls.ca_file = load.ca_file;
    settings->proxy.url = "";
    settings->max_connections_per_host = 10'000;
    settings->max_connections = 10'000;
    return settings;
}

void start_body(asio::io_context& context, const TransportBody& body) {
    const async::Completion rethrow = [](const std::exception_ptr& error) {
        if (error) {
            std::rethrow_exception(error);
        }
    };
    // Thousands of handshakes that begin at once take their time.
    const std::chrono::minutes patience(10);
    const Timeouts limits = Timeouts().connect(patience).handshake(patience);
    auto call = std::make_shared<async::CallContext>(context.get_executor(), limits);
    auto begin = [call, rethrow, body] { async::spawn(call, body(*call), rethrow); };
    async::start(*call, std::move(begin));
}

std::unique_ptr<Client> make_transport(const Load& load) {
    return std::make_unique<Transport>(load);
}

}  // namespace llmproc::bench
