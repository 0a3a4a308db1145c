#include "support/fault_bed.hpp"

#include <llmproc/testing/openai.hpp>
#include "process/start.hpp"
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address_v4.hpp>
#include <boost/asio/post.hpp>

#include <fcntl.h>

#include <future>
#include <thread>
#include <utility>

namespace llmproc::testing {

namespace asio = boost::asio;

void TargetResolver::point_to(std::uint16_t port) {
    const std::lock_guard lock(mutex_);
    port_ = port;
    mode_ = Mode::answers;
}

void TargetResolver::set(Mode mode) {
    const std::lock_guard lock(mutex_);
    mode_ = mode;
}

void TargetResolver::resolve(
    std::string /*host*/,
    std::uint16_t /*port*/,
    net::ResolveHandler handler
) {
    std::unique_lock lock(mutex_);
    ++lookups_;
    asked_.notify_all();
    const Mode mode = mode_;
    const std::uint16_t port = port_;
    if (mode == Mode::never_answers) {
        unanswered_.push_back(std::move(handler));
        return;
    }
    lock.unlock();
    if (mode == Mode::fails) {
        handler(asio::error::host_not_found, net::Addresses());
        return;
    }
    net::Addresses addresses;
    addresses.emplace_back(asio::ip::address_v4::loopback(), port);
    handler(boost::system::error_code(), std::move(addresses));
}

bool TargetResolver::wait_for_lookups(std::size_t n) const {
    std::unique_lock lock(mutex_);
    return asked_.wait_for(lock, watchdog, [&] { return lookups_ >= n; });
}

SilentListener::SilentListener(bool full) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockets_.push_back(listener);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    const bool listens = ::bind(listener, generic, size) == 0 &&
                         ::listen(listener, full ? 0 : 64) == 0 &&
                         ::getsockname(listener, generic, &size) == 0;
    if (!listens) {
        throw std::runtime_error("cannot listen on 127.0.0.1");
    }
    port_ = ntohs(address.sin_port);
    // Linux drops further connection requests once the queue of accepted ones is full.
    for (int i = 0; full && i < 4; ++i) {
        const int filler = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockets_.push_back(filler);
        (void)::connect(filler, generic, size);
    }
}

SilentListener::~SilentListener() {
    for (const int socket : sockets_) {
        ::close(socket);
    }
}

FaultBed::FaultBed(bool plain_http) : plain_(plain_http) {
    if (!plain_) {
        authority_ = std::make_shared<const CertificateAuthority>();
    }
    healthy_ = std::make_unique<ScriptedServer>(
        plain_ ? ServerOptions().https(false)
               : ServerOptions()
                     .authority(authority_)
                     .certificate(CertificateOptions().dns_name("server.test"))
    );
    healthy_->handle(openai_chat_echo);
    heal();
}

ScriptedServer& FaultBed::add_server(ServerOptions options) {
    if (plain_) {
        options.https(false);
    } else {
        options.authority(authority_);
    }
    servers_.push_back(std::make_unique<ScriptedServer>(std::move(options)));
    resolver->point_to(servers_.back()->port());
    return *servers_.back();
}

SilentListener& FaultBed::add_silent(bool full) {
    silent_.push_back(std::make_unique<SilentListener>(full));
    resolver->point_to(silent_.back()->port());
    return *silent_.back();
}

void FaultBed::close_idle() {
    for (const auto& server : servers_) {
        server->close_idle_connections();
    }
}

void FaultBed::heal() {
    resolver->point_to(healthy_->port());
}

std::shared_ptr<const ProcessSettings> FaultBed::settings() const {
    auto settings = std::make_shared<ProcessSettings>();
    settings->codec = find_codec("openai_chat");
    settings->endpoint.provider = "openai_compatible";
    settings->endpoint.base_url = plain_ ? "http://server.test/v1" : "https://server.test/v1";
    settings->endpoint.model = "test-model";
    settings->connection.allow_insecure_http = plain_;
    if (authority_) {
        settings->connection.tls.ca_file = authority_->ca_file();
    }
    settings->connection.proxy.url = "";
    settings->resolver = resolver;
    settings->observer = observer;
    // The wait for the second attempt is as long as nobody waits.
    settings->retry.max_attempts = 2;
    settings->retry.initial_delay = std::chrono::hours(1);
    settings->retry.max_delay = std::chrono::hours(1);
    settings->retry.jitter = wire::Jitter::sdk;
    return settings;
}

namespace {

class SyncDriver final : public Driver {
public:
    SyncDriver(const std::shared_ptr<const ProcessSettings>& settings, bool streams)
        : process_(make_sync_process(settings, SyncOptions())),
          streams_(streams) {}

    std::string call(const std::string& prompt, const RunOptions& options) override {
        if (!streams_) {
            return process_.run(prompt, options).text();
        }
        SyncStream stream = process_.stream(prompt, options);
        return stream.result().text();
    }
    void close() override { process_.close(); }
    History messages() override { return process_.messages(); }

private:
    SyncLLMProcess process_;
    bool streams_;
};

asio::awaitable<std::string> run_text(
    AsyncLLMProcess& process,
    std::string prompt,
    RunOptions how
) {
    const RunResult result = co_await process.run(std::move(prompt), std::move(how));
    co_return result.text();
}

asio::awaitable<std::string> stream_text(
    AsyncLLMProcess& process,
    std::string prompt,
    RunOptions how
) {
    Stream stream = co_await process.stream(std::move(prompt), std::move(how));
    const RunResult result = co_await stream.result();
    co_return result.text();
}

/// How a coroutine ended, handed to the thread that waits. Once that has it the loop's thread holds
/// no reference to the error any more.
class Ending {
public:
    void finish(std::exception_ptr error, std::string value) {
        const std::lock_guard lock(mutex_);
        error_ = std::move(error);
        value_ = std::move(value);
        done_ = true;
        ended_.notify_all();
    }
    std::string get() {
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [this] { return done_; });
        if (error_) {
            const std::exception_ptr error = std::move(error_);
            lock.unlock();
            std::rethrow_exception(error);
        }
        return value_;
    }

private:
    std::mutex mutex_;
    std::condition_variable ended_;
    std::exception_ptr error_;
    std::string value_;
    bool done_ = false;
};

/// The io_context runs on a thread of its own, so that close can come while a call blocks.
class AsyncDriver final : public Driver {
public:
    AsyncDriver(const std::shared_ptr<const ProcessSettings>& settings, bool streams)
        : streams_(streams),
          guard_(asio::make_work_guard(io_)),
          process_(make_process_core(io_.get_executor(), settings)),
          thread_([this] { io_.run(); }) {}
    ~AsyncDriver() override {
        guard_.reset();
        thread_.join();
    }

    std::string call(const std::string& prompt, const RunOptions& options) override {
        const auto ending = std::make_shared<Ending>();
        asio::awaitable<std::string> body = streams_ ? stream_text(process_, prompt, options)
                                                     : run_text(process_, prompt, options);
        auto completed = [this, ending](std::exception_ptr error, std::string value) {
            // Later, when the coroutine's own reference to the error is gone.
            asio::post(io_, [ending, error = std::move(error), value = std::move(value)]() mutable {
                ending->finish(std::move(error), std::move(value));
            });
        };
        asio::co_spawn(io_, std::move(body), std::move(completed));
        return ending->get();
    }
    void close() override {
        auto closed = std::make_shared<std::promise<void>>();
        std::future<void> future = closed->get_future();
        asio::co_spawn(io_, process_.aclose(), [closed](std::exception_ptr) {
            closed->set_value();
        });
        future.get();
    }
    History messages() override { return process_.messages(); }

private:
    bool streams_;
    asio::io_context io_;
    asio::executor_work_guard<asio::io_context::executor_type> guard_;
    AsyncLLMProcess process_;
    std::thread thread_;
};

}  // namespace

std::unique_ptr<Driver> make_driver(
    const std::string& kind,
    const std::shared_ptr<const ProcessSettings>& settings
) {
    const bool streams = kind == "sync_stream" || kind == "async_stream";
    if (kind.starts_with("sync")) {
        return std::make_unique<SyncDriver>(settings, streams);
    }
    return std::make_unique<AsyncDriver>(settings, streams);
}

}  // namespace llmproc::testing
