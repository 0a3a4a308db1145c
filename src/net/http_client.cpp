#include "net/http_client.hpp"

#include "core/environment.hpp"
#include "net/connection_pool.hpp"
#include "net/connector.hpp"
#include "net/context_service.hpp"
#include "net/http_exchange.hpp"
#include "net/proxy.hpp"
#include "net/tls_context.hpp"
#include "wire/redirect.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>
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
    std::shared_ptr<TlsContext> tls = base.is_https() ? TlsContext::shared(settings.tls) : nullptr;
    std::shared_ptr<const ProxyServer> proxy = choose_proxy(base, settings, environment_variable);
    auto origin = std::make_shared<Origin>(
        base,
        std::move(tls),
        settings.max_connections_per_host,
        std::move(proxy)
    );
    if (!base.is_https() && !base.is_loopback() && !settings.allow_insecure_http) {
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

/// Files and environment may have changed since the last client was made.
std::shared_ptr<const HttpTarget> find_or_make_target(wire::Url base, const NetSettings& settings) {
    std::shared_ptr<const Origin> origin = make_origin(base, settings);
    std::shared_ptr<const HttpTarget> last = settings.target.get();
    if (last && last->origin->key == origin->key && last->base == base) {
        return last;
    }
    auto target = std::make_shared<const HttpTarget>(std::move(base), std::move(origin));
    settings.target.keep(target);
    return target;
}

/// The events of one request on one connection.
class SendTrace {
public:
    SendTrace(const async::CallTrace& trace, bool reused, bool replaced) : trace_(trace) {
        if (!trace_) {
            return;
        }
        if (reused) {
            CallEvent event;
            event.step = CallStep::reuse;
            trace_.emit(event);
        }
        step_.emplace(trace_, CallStep::request, Stage::write);
        step_->event.replaced = replaced;
    }

    /// The call has come to `stage`; the request had `bytes`.
    void reached(Stage stage, std::size_t bytes) {
        if (step_ && stage == Stage::first_byte && step_->event.step == CallStep::request) {
            step_->event.bytes = bytes;
            step_->done();
            step_.emplace(trace_, CallStep::first_byte, Stage::first_byte);
        }
    }
    /// The answer's header is there, maybe before all of the request was sent.
    void answered(int status, std::size_t bytes) {
        reached(Stage::first_byte, bytes);
        if (step_) {
            step_->event.status = status;
            step_->done();
        }
    }
    /// The call fails with `code`.
    void failed(Errc code) noexcept {
        if (step_) {
            step_->failed_with(code);
        }
    }
    /// The connection was dead; nothing failed that matters to the call.
    void died() {
        if (step_) {
            step_->drop();
        }
    }

private:
    const async::CallTrace& trace_;
    std::optional<async::StepTimer> step_;
};

/// The exchange's next step; what it throws is told to the trace.
Need advance(HttpExchange::Impl& exchange, async::CallContext& call, SendTrace& trace) {
    try {
        return exchange.advance_to_head(call);
    } catch (const LLMError& error) {
        trace.failed(error.errc());
        throw;
    }
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
        if (need == Need::either) {
            co_await wait_for_either(connection);
            continue;
        }
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
    : target_(find_or_make_target(std::move(base), *settings)),
      settings_(std::move(settings)),
      resolver_(std::move(resolver)),
      counters_(std::make_shared<HttpCounters>()) {}

const wire::Url& HttpClient::base() const noexcept {
    return target_->base;
}

asio::awaitable<HttpExchange> HttpClient::send(
    async::CallContext& call,
    const HttpRequest& request
) {
    return send_hop(call, request, 0);
}

asio::awaitable<HttpExchange> HttpClient::follow(
    async::CallContext& call,
    const HttpRequest& request,
    HttpResponse redirect,
    int hops
) {
    constexpr int most_hops = 3;
    const wire::RedirectDecision decision = wire::decide_redirect(
        target_->base,
        request.target,
        redirect.status,
        redirect.headers.get("Location")
    );
    std::string problem = decision.problem;
    if (problem.empty() && hops == most_hops) {
        problem = "the server redirects again and again; set model.base_url to where the API is";
    }
    if (!problem.empty()) {
        LLMError error = net_error(Errc::http_status, *target_->origin, Stage::first_byte, problem);
        Diagnostics diagnostics = error.diagnostics();
        diagnostics.status = redirect.status;
        error.rethrow_with(std::move(diagnostics));
    }
    counters_->redirects.fetch_add(1, std::memory_order_relaxed);
    HttpRequest moved = request;
    moved.target = decision.target;
    co_return co_await send_hop(call, moved, hops + 1);
}

asio::awaitable<HttpExchange> HttpClient::send_hop(
    async::CallContext& call,
    const HttpRequest& request,
    int hops
) {
    const std::shared_ptr<const Origin>& origin = target_->origin;
    const ConnectPlan plan(origin, settings_, resolver_, counters_);
    // What a redirect made is gone when its exchange is read.
    const auto body = hops == 0 ? HttpExchange::Impl::Body::viewed
                                : HttpExchange::Impl::Body::copied;
    auto exchange = std::make_unique<HttpExchange::Impl>(call, plan, request, body);
    const std::shared_ptr<ConnectionPool> pool = ContextService::of(call.executor()).pool();
    PooledConnection lease = pool->try_acquire(*origin, *settings_);
    if (!lease) {
        PooledConnection granted = co_await pool->acquire(call, *origin, *settings_);
        lease = std::move(granted);
    }
    bool reused = lease->ready();
    bool replaced = false;
    counters_->reused.fetch_add(reused ? 1 : 0, std::memory_order_relaxed);
    for (;;) {
        if (!reused) {
            co_await open_connection(call, lease, plan);
        }
        call.enter(Stage::write);
        counters_->requests.fetch_add(1, std::memory_order_relaxed);
        SendTrace trace(call.trace(), reused, replaced);
        exchange->begin(std::move(lease), reused);
        Need need = advance(*exchange, call, trace);
        while (need != Need::nothing && need != Need::new_start) {
            trace.reached(call.stage(), exchange->request_size());
            Connection& connection = exchange->connection();
            if (need == Need::either) {
                co_await wait_for_either(connection);
            } else {
                const tcp::socket::wait_type type = prepare_wait(connection, need);
                const auto [error] =
                    co_await connection.socket().async_wait(type, asio::as_tuple(asio::deferred));
                throw_if(error);
            }
            need = advance(*exchange, call, trace);
        }
        if (need == Need::nothing) {
            trace.answered(exchange->head().status, exchange->sent());
            break;
        }
        trace.died();
        counters_->replaced.fetch_add(1, std::memory_order_relaxed);
        lease = exchange->restart();
        reused = false;
        replaced = true;
    }
    if (wire::is_redirect(exchange->head().status)) {
        HttpResponse redirect = std::move(exchange->head());
        exchange.reset();
        co_return co_await follow(call, request, std::move(redirect), hops);
    }
    // NOLINTNEXTLINE(clang-analyzer-cplusplus.Move): clang 14 takes a co_return for two moves
    co_return HttpExchange(std::move(exchange));
}

}  // namespace llmproc::net
