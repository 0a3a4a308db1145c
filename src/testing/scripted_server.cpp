#include <llmproc/testing/scripted_server.hpp>
#include "testing/connection.hpp"
#include "testing/server_core.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#if defined(__linux__)
#include <pthread.h>
#endif
#if !defined(_WIN32)
#include <fcntl.h>
#endif

#include <future>
#include <stdexcept>
#include <thread>
#include <utility>

namespace llmproc::testing {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

void name_this_thread() {
#if defined(__linux__)
    pthread_setname_np(pthread_self(), "llm-test-srv");
#endif
}

std::string host_in_url(const std::string& host) {
    return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

/// Asio makes sockets that an executed program inherits.
void keep_from_executed_programs(tcp::acceptor::native_handle_type socket) {
#if !defined(_WIN32)
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): fcntl is what it is
    ::fcntl(socket, F_SETFD, FD_CLOEXEC);
#endif
}

tcp::acceptor listen_on(asio::io_context& context, const tcp::endpoint& endpoint) {
    tcp::acceptor acceptor(context);
    acceptor.open(endpoint.protocol());
    keep_from_executed_programs(acceptor.native_handle());
    if (endpoint.protocol() == tcp::v6()) {
        acceptor.set_option(asio::ip::v6_only(true));
    }
#if !defined(_WIN32)
    acceptor.set_option(tcp::acceptor::reuse_address(true));
#endif
    acceptor.bind(endpoint);
    acceptor.listen(asio::socket_base::max_listen_connections);
    return acceptor;
}

/// "localhost" may mean either loopback address to a client, so it listens on both, on one port.
std::vector<tcp::acceptor> listen_on_localhost(asio::io_context& context, std::uint16_t port) {
    for (int attempt = 1;; ++attempt) {
        std::vector<tcp::acceptor> acceptors;
        acceptors.push_back(listen_on(context, {asio::ip::address_v4::loopback(), port}));
        const std::uint16_t taken = acceptors.front().local_endpoint().port();
        try {
            acceptors.push_back(listen_on(context, {asio::ip::address_v6::loopback(), taken}));
        } catch (const boost::system::system_error& error) {
            const bool in_use = error.code() == asio::error::address_in_use;
            if (in_use && (port != 0 || attempt == 20)) {
                throw;
            }
            if (in_use) {
                continue;  // another process has this port on ::1: take another one on both
            }
        }
        return acceptors;
    }
}

std::vector<tcp::acceptor> listen(asio::io_context& context, const ServerOptions& options) {
    try {
        if (options.host() == "localhost") {
            return listen_on_localhost(context, options.port());
        }
        std::vector<tcp::acceptor> acceptors;
        const asio::ip::address address = asio::ip::make_address(options.host());
        acceptors.push_back(listen_on(context, {address, options.port()}));
        return acceptors;
    } catch (const boost::system::system_error& error) {
        throw std::runtime_error(
            "llmproc::testing::ScriptedServer: cannot listen on " + host_in_url(options.host()) +
            ":" + std::to_string(options.port()) + ": " + error.code().message() +
            "; give a loopback address or \"localhost\", and port 0 for a free one"
        );
    }
}

}  // namespace

struct ScriptedServer::Impl {
    explicit Impl(ServerOptions options) : core(std::move(options)) {}

    void start();
    void prepare_tls();
    void accept(tcp::acceptor& acceptor);
    void on_accept(tcp::acceptor& acceptor, error_code ec, tcp::socket socket);
    void close_all();
    std::size_t close_idle() const;
    bool on_own_thread() const { return std::this_thread::get_id() == thread_id; }
    template <class Predicate>
    bool wait(std::chrono::milliseconds timeout, Predicate reached) const {
        std::unique_lock lock(core.mutex);
        return core.changed.wait_for(lock, timeout, reached);
    }

    ServerCore core;
    std::shared_ptr<const CertificateAuthority> authority;
    std::vector<tcp::acceptor> acceptors;
    std::uint16_t port = 0;
    std::mutex stop_mutex;
    std::thread thread;
    std::thread::id thread_id;
};

void ScriptedServer::Impl::prepare_tls() {
    const ServerOptions& options = core.options;
    if (!options.https()) {
        return;
    }
    if (options.own_certificate()) {
        core.tls.emplace(options, *options.own_certificate());
        return;
    }
    authority = options.authority() ? options.authority()
                                    : std::make_shared<const CertificateAuthority>();
    core.tls.emplace(options, authority->issue(options.certificate_options()));
}

void ScriptedServer::Impl::start() {
    prepare_tls();
    acceptors = listen(core.context, core.options);
    port = acceptors.front().local_endpoint().port();
    for (tcp::acceptor& acceptor : acceptors) {
        accept(acceptor);
    }
    std::promise<void> named;
    std::future<void> ready = named.get_future();
    thread = std::thread([this, &named] {
        name_this_thread();
        thread_id = std::this_thread::get_id();
        named.set_value();
        auto guard = asio::make_work_guard(core.context);
        core.context.run();
        end_tls_of_thread();
    });
    ready.get();
}

void ScriptedServer::Impl::accept(tcp::acceptor& acceptor) {
    acceptor.async_accept([this, &acceptor](error_code ec, tcp::socket socket) {
        on_accept(acceptor, ec, std::move(socket));
    });
}

void ScriptedServer::Impl::on_accept(tcp::acceptor& acceptor, error_code ec, tcp::socket socket) {
    if (core.stopping || ec == asio::error::operation_aborted) {
        return;
    }
    if (ec) {
        // out of descriptors, as a rule: trying again at once would spin
        auto pause = std::make_shared<asio::steady_timer>(core.context);
        pause->expires_after(std::chrono::milliseconds(10));
        pause->async_wait([this, &acceptor, pause](error_code) {
            if (!core.stopping) {
                accept(acceptor);
            }
        });
        return;
    }
    {
        const std::lock_guard lock(core.mutex);
        ++core.stats.accepts;
        ++core.stats.open_connections;
        core.changed.notify_all();
    }
    keep_from_executed_programs(socket.native_handle());
    const int id = core.next_connection_id++;
    auto connection = std::make_shared<Connection>(core, std::move(socket), id);
    core.connections.emplace(id, connection);
    connection->start();
    accept(acceptor);
}

void ScriptedServer::Impl::close_all() {
    core.stopping = true;
    error_code ignored;
    for (tcp::acceptor& acceptor : acceptors) {
        acceptor.close(ignored);
    }
    core.held.clear();
    const auto open = core.connections;
    for (const auto& [id, connection] : open) {
        connection->close_now();
    }
    core.context.stop();
}

std::size_t ScriptedServer::Impl::close_idle() const {
    std::size_t closed = 0;
    const auto open = core.connections;
    for (const auto& [id, connection] : open) {
        if (connection->idle()) {
            connection->close_gracefully();
            ++closed;
        }
    }
    return closed;
}

ScriptedServer::ScriptedServer(ServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {
    impl_->start();
}

ScriptedServer::~ScriptedServer() {
    stop();
}

void ScriptedServer::stop() {
    if (impl_->on_own_thread()) {
        asio::post(impl_->core.context, [impl = impl_.get()] { impl->close_all(); });
        return;
    }
    const std::lock_guard lock(impl_->stop_mutex);
    if (impl_->thread.joinable()) {
        asio::post(impl_->core.context, [impl = impl_.get()] { impl->close_all(); });
        impl_->thread.join();
    }
}

std::string ScriptedServer::url() const {
    const ServerOptions& options = impl_->core.options;
    return (options.https() ? "https://" : "http://") + host_in_url(options.host()) + ":" +
           std::to_string(impl_->port);
}

std::string ScriptedServer::base_url() const {
    return url() + "/v1";
}

std::uint16_t ScriptedServer::port() const {
    return impl_->port;
}

std::string ScriptedServer::ca_file() const {
    return impl_->authority ? impl_->authority->ca_file() : std::string();
}

std::string ScriptedServer::ca_pem() const {
    return impl_->authority ? impl_->authority->ca_pem() : std::string();
}

void ScriptedServer::push(Reply reply) {
    const std::lock_guard lock(impl_->core.mutex);
    impl_->core.queue.push_back(std::move(reply));
}

void ScriptedServer::handle(Handler handler) {
    const std::lock_guard lock(impl_->core.mutex);
    impl_->core.handler.swap(handler);  // the old one is destroyed outside the lock
}

void ScriptedServer::default_reply(Reply reply) {
    const std::lock_guard lock(impl_->core.mutex);
    impl_->core.default_reply = std::move(reply);
}

void ScriptedServer::hold_until_open_requests(std::size_t n) {
    {
        const std::lock_guard lock(impl_->core.mutex);
        impl_->core.gate = n;
    }
    asio::post(impl_->core.context, [core = &impl_->core] { core->release_held(); });
}

std::vector<RecordedRequest> ScriptedServer::requests() const {
    const std::lock_guard lock(impl_->core.mutex);
    return impl_->core.requests;
}

ServerStats ScriptedServer::stats() const {
    const std::lock_guard lock(impl_->core.mutex);
    return impl_->core.stats;
}

bool ScriptedServer::wait_for_requests(std::size_t n, std::chrono::milliseconds timeout) const {
    const ServerStats& stats = impl_->core.stats;
    return impl_->wait(timeout, [&stats, n] { return stats.requests >= n; });
}

bool ScriptedServer::wait_for_aborted(std::size_t n, std::chrono::milliseconds timeout) const {
    const ServerStats& stats = impl_->core.stats;
    return impl_->wait(timeout, [&stats, n] { return stats.aborted >= n; });
}

bool ScriptedServer::wait_for_connections_at_most(std::size_t n, std::chrono::milliseconds timeout)
    const {
    const ServerStats& stats = impl_->core.stats;
    return impl_->wait(timeout, [&stats, n] { return stats.open_connections <= n; });
}

std::size_t ScriptedServer::close_idle_connections() {
    if (impl_->on_own_thread()) {
        return impl_->close_idle();
    }
    const std::lock_guard lock(impl_->stop_mutex);  // the thread lives as long as this is held
    if (!impl_->thread.joinable()) {
        return 0;
    }
    auto closed = std::make_shared<std::promise<std::size_t>>();
    std::future<std::size_t> result = closed->get_future();
    asio::post(impl_->core.context, [impl = impl_.get(), closed] {
        closed->set_value(impl->close_idle());
    });
    while (result.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
        if (impl_->core.context.stopped()) {
            return 0;  // a handler stopped the server
        }
    }
    return result.get();
}

}  // namespace llmproc::testing
