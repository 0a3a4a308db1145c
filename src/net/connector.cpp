#include "net/connector.hpp"

#include "net/connection.hpp"
#include "net/context_service.hpp"
#include "net/resolve.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <string>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// What the last address answered.
struct Refusal {
    boost::system::error_code error;
    std::string address;
};

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

asio::awaitable<Addresses> look_up(async::CallContext& call, const ConnectPlan& plan) {
    const Origin& origin = *plan.origin;
    call.enter(Stage::resolve, plan.settings->connect_timeout);
    boost::system::error_code failure;
    try {
        Addresses addresses = co_await resolve(call, plan.resolver, origin.host, origin.port);
        if (!addresses.empty()) {
            co_return addresses;
        }
        failure = asio::error::host_not_found;
    } catch (const boost::system::system_error& error) {
        if (call.interrupted() || error.code() == asio::error::operation_aborted) {
            throw;
        }
        failure = error.code();
    }
    throw net_error(
        Errc::resolve_failed,
        origin,
        Stage::resolve,
        "cannot find the address of \"" + origin.host + "\" (" + failure.message() +
            "); check the host name in model.base_url and the network"
    );
}

[[noreturn]] void throw_refused(const Origin& origin, const Refusal& refusal) {
    const int value = refusal.error.value();
    if (value == EMFILE || value == ENFILE) {
        throw net_error(
            Errc::limit_reached,
            origin,
            Stage::connect,
            "cannot open a socket (" + refusal.error.message() +
                "); raise the limit of open files (ulimit -n) or lower "
                "connection.max_connections_per_host"
        );
    }
    throw net_error(
        Errc::connect_failed,
        origin,
        Stage::connect,
        "cannot connect to " + refusal.address + " (" + refusal.error.message() +
            "); check that the server runs and that model.base_url has the right port"
    );
}

/// True if connected; else `refusal` says why not.
asio::awaitable<bool> connect_one(
    Connection& connection,
    const asio::any_io_executor& executor,
    const tcp::endpoint& peer,
    Refusal& refusal
) {
    Step step = connection.start_connect(executor, peer);
    while (step.state == StepState::want_write) {
        co_await wait_for(connection, step.state);
        step = connection.finish_connect();
    }
    if (step.state == StepState::done) {
        co_return true;
    }
    refusal.error = connection.error();
    refusal.address = peer.address().to_string();
    co_return false;
}

asio::awaitable<void> connect(
    async::CallContext& call,
    Connection& connection,
    const ConnectPlan& plan,
    const Addresses& addresses
) {
    call.enter(Stage::connect, plan.settings->connect_timeout);
    const asio::any_io_executor executor = plain_executor(call.executor());
    Refusal refusal;
    for (const tcp::endpoint& peer : addresses) {
        const bool connected = co_await connect_one(connection, executor, peer, refusal);
        if (connected) {
            co_return;
        }
    }
    throw_refused(*plan.origin, refusal);
}

asio::awaitable<void> handshake(
    async::CallContext& call,
    Connection& connection,
    const ConnectPlan& plan
) {
    const Origin& origin = *plan.origin;
    call.enter(Stage::handshake, plan.settings->connect_timeout);
    connection.start_tls(*origin.tls, origin.host);
    Step step = connection.handshake_step();
    while (step.state == StepState::want_read || step.state == StepState::want_write) {
        co_await wait_for(connection, step.state);
        step = connection.handshake_step();
    }
    if (step.state != StepState::done) {
        std::string text;
        const Errc code = connection.handshake_error(step.state, text);
        throw net_error(code, origin, Stage::handshake, text);
    }
}

}  // namespace

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
    lease.touch();
    const Addresses addresses = co_await look_up(call, plan);
    co_await connect(call, *lease, plan, addresses);
    lease.pool().count_opened();
    plan.counters->opened.fetch_add(1, std::memory_order_relaxed);
    if (plan.origin->tls) {
        co_await handshake(call, *lease, plan);
        lease.pool().count_handshake();
        plan.counters->handshakes.fetch_add(1, std::memory_order_relaxed);
    }
    lease->mark_ready();
}

}  // namespace llmproc::net
