#include "net/http_client.hpp"

#include "net/connection_pool.hpp"
#include "net/connector.hpp"
#include "net/context_service.hpp"
#include "net/http_exchange.hpp"
#include "net/tls_context.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// Tells the connection what it will be waited on for.
tcp::socket::wait_type prepare_wait(Connection& connection, Need need) {
    if (need == Need::writable) {
        connection.note_write_wait();
        return tcp::socket::wait_write;
    }
    connection.note_read_wait();
    return tcp::socket::wait_read;
}

void throw_if(const boost::system::error_code& error) {
    if (error) {
        throw boost::system::system_error(error);
    }
}

/// The server may refuse a large request before it has read it, and then stop reading.
asio::awaitable<void> wait_for_either(Connection& connection) {
    connection.note_write_wait();
    tcp::socket& socket = connection.socket();
    auto group = asio::experimental::make_parallel_group(
        socket.async_wait(tcp::socket::wait_read, asio::deferred),
        socket.async_wait(tcp::socket::wait_write, asio::deferred)
    );
    const asio::experimental::wait_for_one first_of_them;
    const auto [order, read_error, write_error] =
        co_await group.async_wait(first_of_them, asio::as_tuple(asio::use_awaitable));
    const boost::system::error_code& error = order[0] == 0 ? read_error : write_error;
    throw_if(error);
}

std::shared_ptr<const Origin> make_origin(const wire::Url& base, const NetSettings& settings) {
    if (base.is_https()) {
        return std::make_shared<Origin>(
            base,
            TlsContext::shared(settings),
            settings.max_connections_per_host
        );
    }
    auto origin = std::make_shared<Origin>(base, nullptr, settings.max_connections_per_host);
    if (!base.is_loopback() && !settings.allow_insecure_http) {
        throw net_error(
            Errc::insecure_url,
            *origin,
            Stage::none,
            "plain http would show keys and prompts to the network; use https in model.base_url "
            "or set connection.allow_insecure_http"
        );
    }
    return origin;
}

}  // namespace

HttpExchange::HttpExchange(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
HttpExchange::HttpExchange(HttpExchange&&) noexcept = default;
HttpExchange& HttpExchange::operator=(HttpExchange&&) noexcept = default;
HttpExchange::~HttpExchange() = default;

const HttpResponse& HttpExchange::head() const noexcept {
    return impl_->head();
}

HttpResponse HttpExchange::take_head() noexcept {
    return std::move(impl_->head());
}

asio::awaitable<bool> HttpExchange::read_some(std::string& out, std::size_t soft_limit) {
    Impl& exchange = *impl_;
    if (exchange.take_early(out)) {
        co_return true;
    }
    if (exchange.finished()) {
        co_return false;
    }
    const std::shared_ptr<async::CallContext> call = exchange.call();
    call->enter(Stage::body);
    const std::size_t before = out.size();
    for (;;) {
        const Need need = exchange.advance_body(out, soft_limit);
        if (need == Need::nothing) {
            co_return out.size() > before;
        }
        Connection& connection = exchange.connection();
        const tcp::socket::wait_type type = prepare_wait(connection, need);
        const auto [error] =
            co_await connection.socket().async_wait(type, asio::as_tuple(asio::deferred));
        throw_if(error);
    }
}

asio::awaitable<std::string> HttpExchange::read_all() {
    Impl& exchange = *impl_;
    std::string body;
    const std::size_t limit = exchange.max_body_bytes();
    bool more = true;
    while (more) {
        if (exchange.finished()) {
            more = exchange.take_early(body);
        } else {
            more = co_await read_some(body, 64UL * 1024);
        }
        if (body.size() > limit) {
            throw exchange.error(
                Errc::body_too_large,
                Stage::body,
                "the body of the answer is larger than " + std::to_string(limit) +
                    " bytes; raise connection.max_body_bytes if that is intended"
            );
        }
    }
    co_return body;
}

HttpClient::HttpClient(
    wire::Url base,
    std::shared_ptr<const NetSettings> settings,
    std::shared_ptr<Resolver> resolver
)
    : base_(std::move(base)),
      settings_(std::move(settings)),
      resolver_(std::move(resolver)),
      counters_(std::make_shared<HttpCounters>()),
      origin_(make_origin(base_, *settings_)) {}

asio::awaitable<HttpExchange> HttpClient::send(
    async::CallContext& call,
    const HttpRequest& request
) {
    const ConnectPlan plan(origin_, settings_, resolver_, counters_);
    auto exchange = std::make_unique<HttpExchange::Impl>(call, plan, request);
    const std::shared_ptr<ConnectionPool> pool = ContextService::of(call.executor()).pool();
    PooledConnection lease = pool->try_acquire(*origin_, *settings_);
    if (!lease) {
        PooledConnection granted = co_await pool->acquire(call, *origin_, *settings_);
        lease = std::move(granted);
    }
    bool reused = lease->ready();
    counters_->reused.fetch_add(reused ? 1 : 0, std::memory_order_relaxed);
    for (;;) {
        if (!reused) {
            co_await open_connection(call, lease, plan);
        }
        call.enter(Stage::write);
        counters_->requests.fetch_add(1, std::memory_order_relaxed);
        exchange->begin(std::move(lease), reused);
        Need need = exchange->advance_to_head(call);
        while (need != Need::nothing && need != Need::new_start) {
            Connection& connection = exchange->connection();
            if (need == Need::either) {
                co_await wait_for_either(connection);
            } else {
                const tcp::socket::wait_type type = prepare_wait(connection, need);
                const auto [error] =
                    co_await connection.socket().async_wait(type, asio::as_tuple(asio::deferred));
                throw_if(error);
            }
            need = exchange->advance_to_head(call);
        }
        if (need == Need::nothing) {
            break;
        }
        counters_->replaced.fetch_add(1, std::memory_order_relaxed);
        lease = exchange->restart();
        reused = false;
    }
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.Move): clang 14 takes a co_return for two moves
    co_return HttpExchange(std::move(exchange));
}

}  // namespace llmproc::net
