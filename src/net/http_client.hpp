/// @file
/// One HTTP/1.1 request and its answer over a pooled, verified connection.
#pragma once

#include <llmproc/http_message.hpp>
#include "async/call_context.hpp"
#include "net/net_settings.hpp"
#include "net/resolver.hpp"
#include "wire/url.hpp"

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace llmproc::net {

struct HttpTarget;

/// What the exchanges of one client caused. Written from its executor, read from anywhere.
struct HttpCounters {
    std::atomic<std::uint64_t> requests{0};
    std::atomic<std::uint64_t> opened{0};
    std::atomic<std::uint64_t> handshakes{0};
    std::atomic<std::uint64_t> reused{0};
    std::atomic<std::uint64_t> replaced{0};
    std::atomic<std::uint64_t> resumed{0};
    std::atomic<std::uint64_t> lookups{0};
    std::atomic<std::uint64_t> redirects{0};
};

/// An answer whose header has arrived and whose body is read as it comes.
///
/// Lifetime: holds its connection. It goes back to the pool when the body was read to its end and
/// both sides keep it alive; otherwise the destructor closes it.
class HttpExchange {
public:
    class Impl;
    explicit HttpExchange(std::unique_ptr<Impl> impl) noexcept;
    HttpExchange(HttpExchange&&) noexcept;
    HttpExchange& operator=(HttpExchange&&) noexcept;
    ~HttpExchange();

    /// Status and headers; the body is empty here.
    const HttpResponse& head() const noexcept;
    /// The same, moved out; for whoever puts the body to it. Leaves an empty one.
    HttpResponse take_head() noexcept;
    /// Waits for more of the body and appends all that has arrived (at most `soft_limit` bytes or
    /// a little more) to `out`. False: the body is complete and nothing was appended.
    /// Throws LLMError{truncated_response, connection_lost, malformed_http}.
    boost::asio::awaitable<bool> read_some(std::string& out, std::size_t soft_limit = 64UL * 1024);
    /// Reads the rest of the body. Throws LLMError{body_too_large} beyond the settings' limit.
    boost::asio::awaitable<std::string> read_all();

private:
    std::unique_ptr<Impl> impl_;
};

/// Sends requests to one origin. Used on the executor of the calls it is given.
class HttpClient {
public:
    /// Throws LLMError{insecure_url} for plain http beyond loopback without `allow_insecure_http`
    /// and ConfigError for a CA file that cannot be used.
    HttpClient(
        wire::Url base,
        std::shared_ptr<const NetSettings> settings,
        std::shared_ptr<Resolver> resolver = system_resolver()
    );

    /// Sends `request` and waits for the answer's header. A reused connection that dies before the
    /// first byte of the answer is replaced once (`resend_on_stale`). A redirect by 307 or 308
    /// within the origin is followed, three times at most; any other throws http_status.
    /// Lifetime: client and call must outlive the wait, the request what is returned: a server may
    /// answer before it has read all of it.
    /// Throws LLMError: resolve_failed, connect_failed, tls_handshake_failed, certificate_invalid,
    /// certificate_host, connection_lost, malformed_http, header_too_large; the call's cause.
    boost::asio::awaitable<HttpExchange> send(async::CallContext& call, const HttpRequest& request);

    const HttpCounters& counters() const noexcept { return *counters_; }
    const wire::Url& base() const noexcept;

private:
    boost::asio::awaitable<HttpExchange> send_hop(
        async::CallContext& call,
        const HttpRequest& request,
        int hops
    );
    boost::asio::awaitable<HttpExchange> follow(
        async::CallContext& call,
        const HttpRequest& request,
        HttpResponse redirect,
        int hops
    );

    std::shared_ptr<const HttpTarget> target_;
    std::shared_ptr<const NetSettings> settings_;
    std::shared_ptr<Resolver> resolver_;
    std::shared_ptr<HttpCounters> counters_;
};

}  // namespace llmproc::net
