// Our transport without the model's protocol: no JSON, no history.
#include "async/call_context.hpp"
#include "async/spawn.hpp"
#include "client.hpp"
#include "net/http_client.hpp"
#include "wire/url.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace asio = boost::asio;

namespace {

std::shared_ptr<const net::NetSettings> settings_for(const Load& load) {
    auto settings = std::make_shared<net::NetSettings>();
    settings->ca_file = load.ca_file;
    return settings;
}

class Transport final : public Client {
public:
    explicit Transport(const Load& load)
        : in_flight_(load.in_flight),
          request_(chat_request()),
          http_(
              wire::Url::parse("https://127.0.0.1:" + std::to_string(load.port) + "/v1"),
              settings_for(load)
          ) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        left_ = calls;
        latencies_ = &latencies;
        for (std::uint64_t i = 0; i < in_flight_; ++i) {
            const async::Completion rethrow = [](const std::exception_ptr& error) {
                if (error) {
                    std::rethrow_exception(error);
                }
            };
            auto context = std::make_shared<async::CallContext>(
                context_.get_executor(),
                std::chrono::milliseconds::max()
            );
            auto begin = [context, rethrow, this] {
                async::spawn(context, worker(*this, *context), rethrow);
            };
            async::start(*context, std::move(begin));
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

std::unique_ptr<Client> make_transport(const Load& load) {
    return std::make_unique<Transport>(load);
}

}  // namespace llmproc::bench
