/// @file
/// Where a client's connections go, and the errors that name the place.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/secret.hpp>
#include "wire/url.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::net {

class TlsContext;

/// A proxy on the way to an origin.
struct ProxyServer {
    ProxyServer() = default;

    std::string host;
    std::uint16_t port = 0;
    std::string host_port;            ///< For messages and keys; without credentials.
    std::shared_ptr<TlsContext> tls;  ///< Null: plain TCP to the proxy.
    Secret authorization;             ///< Value of Proxy-Authorization; empty = none is sent.
};

/// One server as one client sees it; equal `key` means that connections may be shared.
struct Origin {
    Origin(
        const wire::Url& base,
        std::shared_ptr<TlsContext> context,
        std::size_t max_connections,
        std::shared_ptr<const ProxyServer> via = nullptr
    );

    std::string host;
    std::string host_port;    ///< For messages, e.g. "api.openai.com:443" or "[::1]:8080".
    std::string host_header;  ///< Value of the Host field.
    std::string endpoint;     ///< scheme://host:port
    std::string key;
    std::shared_ptr<TlsContext> tls;           ///< Null for plain http.
    std::shared_ptr<const ProxyServer> proxy;  ///< Null: reached directly.
    std::uint16_t port = 0;

    /// https through a proxy runs in a CONNECT tunnel; plain http is asked for in absolute form.
    bool tunnelled() const noexcept { return proxy && tls; }
};

/// Where one client sends its requests; clients with equal settings share it.
struct HttpTarget {
    HttpTarget(wire::Url url, std::shared_ptr<const Origin> server)
        : base(std::move(url)),
          origin(std::move(server)) {}

    wire::Url base;
    std::shared_ptr<const Origin> origin;
};

/// The error "host:port: problem", with endpoint and stage in its diagnostics.
LLMError net_error(Errc code, const Origin& origin, Stage stage, std::string_view problem);

}  // namespace llmproc::net
