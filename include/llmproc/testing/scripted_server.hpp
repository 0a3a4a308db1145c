#pragma once

#include <llmproc/export.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/reply.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::testing {

enum class TlsVersion { tls1_0, tls1_1, tls1_2, tls1_3 };

/// How a ScriptedServer listens; every member has a working default.
class LLMPROC_API ServerOptions {
public:
    ServerOptions();

    /// TLS (the default) or plain HTTP.
    ServerOptions& https(bool value);
    /// "localhost" (default: 127.0.0.1 and ::1), or one loopback address.
    ServerOptions& host(std::string value);
    /// 0 (default) takes a free port.
    ServerOptions& port(std::uint16_t value);
    /// What the certificate says; issued by authority().
    ServerOptions& certificate(CertificateOptions options);
    /// A certificate made elsewhere; ca_file() and ca_pem() of the server are then empty.
    ServerOptions& certificate(Certificate own);
    /// Shares an authority between servers; without it each server makes its own.
    ServerOptions& authority(std::shared_ptr<const CertificateAuthority> value);
    /// Demands a client certificate that chains to this PEM.
    ServerOptions& client_ca(std::string pem);
    ServerOptions& min_tls(TlsVersion value);
    ServerOptions& max_tls(TlsVersion value);
    /// Announces `Connection: close` on the n-th response of each connection.
    ServerOptions& keep_alive_requests(std::size_t n);
    /// Closes a connection, unannounced, that sends nothing for so long after a response.
    ServerOptions& idle_timeout(std::chrono::milliseconds value);
    /// Waits so long after TCP accept before anything is read.
    ServerOptions& accept_delay(std::chrono::milliseconds value);
    /// Accepts TCP connections and then never says a word.
    ServerOptions& handshake_hang(bool value = true);

    bool https() const { return https_; }
    const std::string& host() const { return host_; }
    std::uint16_t port() const { return port_; }
    const CertificateOptions& certificate_options() const { return certificate_options_; }
    const std::optional<Certificate>& own_certificate() const { return own_certificate_; }
    const std::shared_ptr<const CertificateAuthority>& authority() const { return authority_; }
    const std::string& client_ca() const { return client_ca_; }
    TlsVersion min_tls() const { return min_tls_; }
    TlsVersion max_tls() const { return max_tls_; }
    std::size_t keep_alive_requests() const { return keep_alive_requests_; }
    std::chrono::milliseconds idle_timeout() const { return idle_timeout_; }
    std::chrono::milliseconds accept_delay() const { return accept_delay_; }
    bool handshake_hang() const { return handshake_hang_; }

private:
    bool https_ = true;
    bool handshake_hang_ = false;
    std::uint16_t port_ = 0;
    TlsVersion min_tls_ = TlsVersion::tls1_2;
    TlsVersion max_tls_ = TlsVersion::tls1_3;
    std::string host_ = "localhost";
    CertificateOptions certificate_options_;
    std::optional<Certificate> own_certificate_;
    std::shared_ptr<const CertificateAuthority> authority_;
    std::string client_ca_;
    std::size_t keep_alive_requests_ = 0;
    std::chrono::milliseconds idle_timeout_{0};
    std::chrono::milliseconds accept_delay_{0};
};

/// One request as it arrived.
class LLMPROC_API RecordedRequest {
public:
    RecordedRequest() = default;

    /// The first header of that name, whatever its case; empty if there is none.
    std::string header(std::string_view name) const;
    bool has_header(std::string_view name) const;

    std::string method;
    std::string target;
    int http_version = 11;
    Headers headers;
    std::string body;         ///< without its framing
    int connection_id = 0;    ///< counts accepted connections from 1
    int sequence = 0;         ///< counts requests on that connection from 1
    std::string server_name;  ///< TLS: the name the client sent (SNI)
    std::string tls_version;  ///< "TLSv1.3"; empty on plain HTTP
    std::string alpn;
};

/// Counters since the server was started.
class ServerStats {
public:
    ServerStats() = default;

    std::size_t accepts = 0;             ///< TCP connections accepted
    std::size_t handshakes = 0;          ///< TLS handshakes completed
    std::size_t resumed_handshakes = 0;  ///< of these, resumptions
    std::size_t handshake_failures = 0;  ///< connections that ended before their handshake did
    std::size_t requests = 0;            ///< whole requests received
    std::size_t responses = 0;           ///< responses written to their scripted end
    std::size_t bad_requests = 0;        ///< connections that sent something else than HTTP
    std::size_t aborted = 0;             ///< requests whose client left before the response's end
    std::size_t resets = 0;              ///< connections reset by the script
    std::size_t open_connections = 0;
    std::size_t open_requests = 0;  ///< received, response not finished
    std::size_t peak_open_requests = 0;
};

/// A loopback HTTP/1.1 server on its own thread that answers as it is told.
/// Each request is answered by the first of: the queue of push(), the function of handle(), the
/// default_reply(), a 500 that says nothing was scripted.
/// Lifetime: the destructor stops the server; not to be destroyed on the server's own thread.
/// Thread safety: every member may be called from any thread.
/// Throws std::runtime_error if it cannot listen or the certificate is unusable.
class LLMPROC_API ScriptedServer {
public:
    using Handler = std::function<Reply(const RecordedRequest&)>;

    explicit ScriptedServer(ServerOptions options = ServerOptions());
    ~ScriptedServer();
    ScriptedServer(const ScriptedServer&) = delete;
    ScriptedServer& operator=(const ScriptedServer&) = delete;

    /// Like https://localhost:40123, without a slash at the end.
    std::string url() const;
    /// url() + "/v1", the usual `base_url` of an OpenAI-compatible server.
    std::string base_url() const;
    std::uint16_t port() const;
    /// The authority's certificate as a file; empty without TLS or with an own certificate.
    std::string ca_file() const;
    std::string ca_pem() const;

    /// Queues an answer: the next request without one gets it.
    void push(Reply reply);
    /// Answers requests that find the queue empty. Runs on the server's thread: must not block.
    /// An exception becomes a 500 that quotes it.
    void handle(Handler handler);
    void default_reply(Reply reply);
    /// Holds every request back until n are open at once, answers all of these, and is then off.
    /// 0 switches it off and answers what it held.
    void hold_until_open_requests(std::size_t n);

    /// A copy of all requests so far, in order of arrival.
    std::vector<RecordedRequest> requests() const;
    ServerStats stats() const;
    /// True once n requests have arrived since the start; false when the time is over.
    bool wait_for_requests(std::size_t n, std::chrono::milliseconds timeout) const;
    /// True once n requests were given up by their client; false when the time is over.
    bool wait_for_aborted(std::size_t n, std::chrono::milliseconds timeout) const;
    /// True once at most n connections are open; false when the time is over.
    bool wait_for_connections_at_most(std::size_t n, std::chrono::milliseconds timeout) const;

    /// Closes every connection that waits for its next request; returns how many.
    /// When it returns, the end of stream is on its way to the client.
    std::size_t close_idle_connections();
    /// Closes everything and ends the thread; further calls do nothing.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace llmproc::testing
