// A new connection for every call, with and without resuming the TLS session of an earlier one.
#include "client.hpp"
#include "net/http_client.hpp"
#include "net/tls_context.hpp"
#include "transport.hpp"
#include "wire/url.hpp"

#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace asio = boost::asio;

namespace {

class Connects final : public Client {
public:
    Connects(const Load& load, bool resume)
        : resume_(resume),
          request_(chat_request()),
          settings_(transport_settings(load)),
          http_(
              wire::Url::parse("https://127.0.0.1:" + std::to_string(load.port) + "/v1"),
              settings_
          ),
          tls_(net::TlsContext::shared(settings_->tls)) {
        if (!resume) {
            // OpenSSL then shows the sessions it is given to nobody.
            SSL_CTX_set_session_cache_mode(tls_->native(), SSL_SESS_CACHE_OFF);
        }
    }

    void run(std::uint64_t calls, Latencies& latencies) override {
        const long hits = SSL_CTX_sess_hits(tls_->native());
        const std::uint64_t handshakes = http_.counters().handshakes;
        left_ = calls;
        latencies_ = &latencies;
        start_body(context_, [this](async::CallContext& call) { return worker(*this, call); });
        context_.restart();
        context_.run();
        check(
            calls,
            http_.counters().handshakes - handshakes,
            static_cast<std::uint64_t>(SSL_CTX_sess_hits(tls_->native()) - hits)
        );
    }

private:
    /// The very first connection has nothing to resume.
    void check(std::uint64_t calls, std::uint64_t handshakes, std::uint64_t resumed) {
        const std::uint64_t expected = resume_ ? calls - (first_run_ && calls > 0 ? 1 : 0) : 0;
        first_run_ = false;
        if (handshakes != calls || resumed != expected) {
            throw std::runtime_error(
                std::to_string(calls) + " calls made " + std::to_string(handshakes) +
                " handshakes, " + std::to_string(resumed) + " of them resumed instead of " +
                std::to_string(expected)
            );
        }
    }

    static asio::awaitable<void> worker(Connects& self, async::CallContext& call) {
        while (self.left_ > 0) {
            --self.left_;
            const auto begin = std::chrono::steady_clock::now();
            net::HttpExchange exchange = co_await self.http_.send(call, self.request_);
            const std::string body = co_await exchange.read_all();
            check_reply(exchange.head().status, body.size());
            self.latencies_->push_back(std::chrono::steady_clock::now() - begin);
        }
    }

    bool resume_;
    bool first_run_ = true;
    HttpRequest request_;
    std::shared_ptr<const net::NetSettings> settings_;
    asio::io_context context_;
    net::HttpClient http_;
    std::shared_ptr<net::TlsContext> tls_;
    std::uint64_t left_ = 0;
    Latencies* latencies_ = nullptr;
};

}  // namespace

std::unique_ptr<Client> make_connect_full(const Load& load) {
    return std::make_unique<Connects>(load, false);
}

std::unique_ptr<Client> make_connect_resumed(const Load& load) {
    return std::make_unique<Connects>(load, true);
}

}  // namespace llmproc::bench
