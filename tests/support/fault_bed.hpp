/// @file
/// A place where anything can go wrong between a process and its provider, and be mended.
#pragma once

#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "net/resolver.hpp"
#include "process/process_settings.hpp"
#include "support/recording_observer.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace llmproc::testing {

/// Sends "server.test" wherever the test wants.
class TargetResolver final : public net::Resolver {
public:
    enum class Mode { answers, fails, never_answers };

    void point_to(std::uint16_t port);
    void set(Mode mode);
    void resolve(std::string host, std::uint16_t port, net::ResolveHandler handler) override;
    /// Waits until somebody has asked `n` times.
    bool wait_for_lookups(std::size_t n) const;

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable asked_;
    Mode mode_ = Mode::answers;
    std::uint16_t port_ = 0;
    std::size_t lookups_ = 0;
    std::vector<net::ResolveHandler> unanswered_;
};

/// A listening socket that never reads; with `full` it does not even complete a connect.
class SilentListener {
public:
    explicit SilentListener(bool full);
    SilentListener(const SilentListener&) = delete;
    SilentListener& operator=(const SilentListener&) = delete;
    ~SilentListener();
    std::uint16_t port() const noexcept { return port_; }

private:
    std::vector<int> sockets_;
    std::uint16_t port_ = 0;
};

/// Servers, resolver and settings of one test.
class FaultBed {
public:
    explicit FaultBed(bool plain_http);

    /// A server that answers as it is told; certificate for server.test unless options say more.
    ScriptedServer& add_server(ServerOptions options);
    SilentListener& add_silent(bool full);
    /// Closes connections that wait for their next request, at all servers.
    void close_idle();
    /// From now on everything works.
    void heal();

    std::shared_ptr<const ProcessSettings> settings() const;
    ScriptedServer& healthy() noexcept { return *healthy_; }

    std::shared_ptr<TargetResolver> resolver = std::make_shared<TargetResolver>();
    std::shared_ptr<RecordingObserver> observer = std::make_shared<RecordingObserver>();
    std::string prompt = "hi";  ///< What the call under test sends.

private:
    bool plain_;
    std::shared_ptr<const CertificateAuthority> authority_;
    std::unique_ptr<ScriptedServer> healthy_;
    std::vector<std::unique_ptr<ScriptedServer>> servers_;
    std::vector<std::unique_ptr<SilentListener>> silent_;
};

/// A process of either kind, asked in either way; every member blocks.
class Driver {
public:
    Driver() = default;
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;
    virtual ~Driver() = default;

    /// Runs, or streams to the end. Returns the text.
    virtual std::string call(const std::string& prompt, const RunOptions& options) = 0;
    /// From another thread than the call's.
    virtual void close() = 0;
    virtual History messages() = 0;
};

/// `kind`: sync_run, sync_stream, async_run, async_stream.
std::unique_ptr<Driver> make_driver(
    const std::string& kind,
    const std::shared_ptr<const ProcessSettings>& settings
);

}  // namespace llmproc::testing
