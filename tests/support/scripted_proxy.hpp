#pragma once

#include <llmproc/testing/certificate_authority.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {

/// What a ScriptedProxy does; by default it opens every tunnel.
class ProxyOptions {
public:
    ProxyOptions() = default;

    /// All targets, whatever their name, are this port of 127.0.0.1.
    ProxyOptions& target_port(std::uint16_t port) {
        target_port_ = port;
        return *this;
    }
    /// "user:password"; without it a request is answered by 407, with a body.
    ProxyOptions& credentials(std::string pair) {
        credentials_ = std::move(pair);
        return *this;
    }
    /// Speaks TLS with its clients.
    ProxyOptions& tls(Certificate certificate) {
        certificate_ = std::move(certificate);
        return *this;
    }
    /// The answer to a CONNECT that is granted.
    ProxyOptions& established(std::string bytes) {
        established_ = std::move(bytes);
        return *this;
    }
    /// Answers every request by these bytes and closes.
    ProxyOptions& answer(std::string bytes) {
        answer_ = std::move(bytes);
        return *this;
    }
    /// Reads requests and never says a word.
    ProxyOptions& hang() {
        hang_ = true;
        return *this;
    }
    /// Called on the proxy's thread with each request's head.
    ProxyOptions& on_head(std::function<void(const std::string&)> callback) {
        on_head_ = std::move(callback);
        return *this;
    }

private:
    friend class ScriptedProxy;
    std::uint16_t target_port_ = 0;
    std::string credentials_;
    std::optional<Certificate> certificate_;
    std::string established_ = "HTTP/1.1 200 Connection established\r\n\r\n";
    std::optional<std::string> answer_;
    bool hang_ = false;
    std::function<void(const std::string&)> on_head_;
};

/// An HTTP proxy on 127.0.0.1 with a thread of its own. A request that is no CONNECT is forwarded
/// without its Proxy- fields and in origin form, one per connection.
/// Thread safety: every member may be called from any thread.
class ScriptedProxy {
public:
    explicit ScriptedProxy(ProxyOptions options);
    ~ScriptedProxy();
    ScriptedProxy(const ScriptedProxy&) = delete;
    ScriptedProxy& operator=(const ScriptedProxy&) = delete;

    std::uint16_t port() const;
    /// "127.0.0.1:PORT"
    std::string host_port() const;
    /// http:// or https://, with "USERINFO@" if given.
    std::string url(const std::string& userinfo = "") const;
    /// Start lines and fields of all requests, CONNECT or not.
    std::vector<std::string> heads() const;
    std::size_t connections() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace llmproc::testing
