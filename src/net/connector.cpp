#include "net/connector.hpp"

#include "net/connect_race.hpp"
#include "net/connection.hpp"
#include "net/connection_wait.hpp"
#include "net/proxy_tunnel.hpp"
#include "net/resolve.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cerrno>
#include <exception>
#include <string>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using async::StepTimer;

namespace {

/// What the TCP connection leads to: the proxy, or the origin itself.
struct FirstHop {
    explicit FirstHop(const Origin& place)
        : origin(place),
          proxy(place.proxy.get()),
          host(proxy != nullptr ? proxy->host : place.host),
          port(proxy != nullptr ? proxy->port : place.port) {}

    const Origin& origin;
    const ProxyServer* const proxy;  ///< Null: none.
    const std::string& host;
    const std::uint16_t port;
};

/// What the exception in flight means for the call.
Errc current_failure(const async::CallContext& call) noexcept {
    try {
        std::rethrow_exception(call.translate(std::current_exception()));
    } catch (const LLMError& known) {
        return known.errc();
    } catch (const boost::system::system_error& error) {
        return error.code() == asio::error::operation_aborted ? Errc::cancelled : Errc::internal;
    } catch (...) {
        return Errc::internal;
    }
}

[[noreturn]] void throw_unknown(const FirstHop& hop, const boost::system::error_code& reason) {
    std::string text = "cannot find the address of ";
    if (hop.proxy != nullptr) {
        text += "the proxy " + hop.proxy->host_port + " (" + reason.message() +
                "); check connection.proxy or HTTPS_PROXY, and the network";
    } else {
        text += "\"" + hop.host + "\" (" + reason.message() +
                "); check the host name in model.base_url and the network";
    }
    throw net_error(Errc::resolve_failed, hop.origin, Stage::resolve, text);
}

[[noreturn]] void throw_refused(const FirstHop& hop, const Refusal& refusal) {
    const std::string reason = " (" + refusal.error.message() + ")";
    const int value = refusal.error.value();
    if (value == EMFILE || value == ENFILE) {
        throw net_error(
            Errc::limit_reached,
            hop.origin,
            Stage::connect,
            "cannot open a socket" + reason +
                "; raise the limit of open files (ulimit -n) or lower "
                "connection.max_connections_per_host"
        );
    }
    std::string text = "cannot connect to ";
    if (hop.proxy != nullptr) {
        text += "the proxy " + hop.proxy->host_port + " at " + refusal.address + reason +
                "; check that the proxy runs, and connection.proxy or HTTPS_PROXY";
    } else {
        text += refusal.address + reason +
                "; check that the server runs and that model.base_url has the right port";
    }
    throw net_error(Errc::connect_failed, hop.origin, Stage::connect, text);
}

/// `source` is set as soon as it is known.
asio::awaitable<Addresses> find(
    async::CallContext& call,
    const ConnectPlan& plan,
    const FirstHop& hop,
    LookupSource& source
) {
    boost::system::error_code failure = asio::error::host_not_found;
    try {
        Addresses addresses = co_await resolve(call, plan.resolver, hop.host, hop.port, source);
        if (!addresses.empty()) {
            co_return addresses;
        }
    } catch (const boost::system::system_error& error) {
        if (call.interrupted() || error.code() == asio::error::operation_aborted) {
            throw;
        }
        failure = error.code();
    }
    throw_unknown(hop, failure);
}

/// Counts a look-up even if its caller does not see its end.
class LookupCount {
public:
    explicit LookupCount(const ConnectPlan& plan) noexcept : counters_(*plan.counters) {}
    LookupCount(const LookupCount&) = delete;
    LookupCount& operator=(const LookupCount&) = delete;
    ~LookupCount() {
        if (source == LookupSource::query) {
            counters_.lookups.fetch_add(1, std::memory_order_relaxed);
        }
    }

    LookupSource source = LookupSource::known;

private:
    HttpCounters& counters_;
};

asio::awaitable<Addresses> look_up(
    async::CallContext& call,
    const ConnectPlan& plan,
    const FirstHop& hop
) {
    call.enter(Stage::resolve);
    StepTimer timer(call.trace(), CallStep::dns, Stage::resolve);
    LookupCount count(plan);
    try {
        Addresses addresses = co_await find(call, plan, hop, count.source);
        timer.event.cached = count.source == LookupSource::known;
        timer.done();
        co_return addresses;
    } catch (...) {
        timer.failed_with(current_failure(call));
        throw;
    }
}

asio::awaitable<void> connect(
    async::CallContext& call,
    Connection& connection,
    const ConnectPlan& plan,
    const FirstHop& hop
) {
    const Addresses addresses = co_await look_up(call, plan, hop);
    call.enter(Stage::connect);
    std::string peer;
    StepTimer timer(call.trace(), CallStep::connect, Stage::connect);
    try {
        RaceResult result = co_await connect_race(call, addresses);
        if (!result.socket) {
            throw_refused(hop, result.refusal);
        }
        connection.adopt(std::move(*result.socket));
        if (timer) {
            peer = result.peer.address().to_string();
            timer.event.peer_address = peer;
        }
        timer.done();
    } catch (...) {
        const Errc code = current_failure(call);
        timer.failed_with(code);
        if (code == Errc::connect_failed || code == Errc::timeout) {
            // The host may have moved.
            plan.resolver->forget(hop.host);
        }
        throw;
    }
}

/// Where and with whom to shake hands.
struct TlsPeer {
    TlsPeer(const TlsContext& tls, const std::string& name, std::string key)
        : context(tls),
          host(name),
          resume_key(std::move(key)) {}

    const TlsContext& context;
    const std::string& host;
    std::string resume_key;
    bool is_proxy = false;
};

asio::awaitable<void> shake_hands(
    Connection& connection,
    const Origin& origin,
    const TlsPeer& peer
) {
    connection.start_tls(peer.context, peer.host, peer.resume_key);
    Step step = connection.handshake_step();
    while (step.state == StepState::want_read || step.state == StepState::want_write) {
        co_await wait_for(connection, step.state);
        step = connection.handshake_step();
    }
    if (step.state != StepState::done && peer.is_proxy) {
        throw proxy_handshake_error(origin, connection, step.state);
    }
    if (step.state != StepState::done) {
        std::string text;
        const Errc code = connection.handshake_error(step.state, text);
        throw net_error(code, origin, Stage::handshake, text);
    }
}

asio::awaitable<void> handshake(
    async::CallContext& call,
    PooledConnection& lease,
    const ConnectPlan& plan,
    const TlsPeer& peer
) {
    call.enter(Stage::handshake);
    StepTimer timer(call.trace(), CallStep::tls, Stage::handshake);
    try {
        co_await shake_hands(*lease, *plan.origin, peer);
    } catch (...) {
        timer.failed_with(current_failure(call));
        throw;
    }
    lease.pool().count_handshake();
    plan.counters->handshakes.fetch_add(1, std::memory_order_relaxed);
    const bool resumed = lease->resumed();
    if (resumed) {
        lease.pool().count_resumed();
        plan.counters->resumed.fetch_add(1, std::memory_order_relaxed);
    }
    timer.event.resumed = resumed;
    if (timer) {
        timer.event.tls_version = lease->tls_version();
    }
    timer.done();
}

}  // namespace

asio::awaitable<void> wait_for(Connection& connection, StepState want) {
    const bool write = want == StepState::want_write;
    if (write) {
        connection.note_write_wait();
    }
    const tcp::socket::wait_type type = write ? tcp::socket::wait_write : tcp::socket::wait_read;
    const auto [error] =
        co_await connection.socket().async_wait(type, asio::as_tuple(asio::deferred));
    if (error) {
        throw boost::system::system_error(error);
    }
}

ConnectPlan::ConnectPlan(
    std::shared_ptr<const Origin> place,
    std::shared_ptr<const NetSettings> limits,
    std::shared_ptr<Resolver> names,
    std::shared_ptr<HttpCounters> counts
)
    : origin(std::move(place)),
      settings(std::move(limits)),
      resolver(std::move(names)),
      counters(std::move(counts)) {}

asio::awaitable<void> open_connection(
    async::CallContext& call,
    PooledConnection& lease,
    const ConnectPlan& plan
) {
    const Origin& origin = *plan.origin;
    const FirstHop hop(origin);
    lease.touch();
    co_await connect(call, *lease, plan, hop);
    lease.pool().count_opened();
    plan.counters->opened.fetch_add(1, std::memory_order_relaxed);
    if (hop.proxy != nullptr && hop.proxy->tls) {
        TlsPeer peer(*hop.proxy->tls, hop.host, "proxy " + hop.proxy->host_port);
        peer.is_proxy = true;
        co_await handshake(call, lease, plan, peer);
    }
    if (origin.tunnelled()) {
        co_await open_tunnel(call, *lease, origin);
    }
    if (origin.tls) {
        TlsPeer peer(*origin.tls, origin.host, origin.host_port);
        if (hop.proxy != nullptr) {
            peer.resume_key += " via proxy " + hop.proxy->host_port;
        }
        co_await handshake(call, lease, plan, peer);
    }
    lease->mark_ready();
}

}  // namespace llmproc::net
