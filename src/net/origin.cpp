#include "net/origin.hpp"

#include <utility>

namespace llmproc::net {

namespace {

std::string with_port(const std::string& host, std::uint16_t port) {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    std::string text = is_ipv6 ? "[" + host + "]" : host;
    text += ':';
    text += std::to_string(port);
    return text;
}

}  // namespace

Origin::Origin(
    const wire::Url& base,
    std::shared_ptr<TlsContext> context,
    std::size_t max_connections,
    std::shared_ptr<const ProxyServer> via
)
    : host(base.host()),
      host_port(with_port(base.host(), base.port())),
      host_header(base.host_header()),
      endpoint(base.origin()),
      tls(std::move(context)),
      proxy(std::move(via)),
      port(base.port()) {
    // The address of the context is its identity: whoever holds the key also holds the context.
    key = endpoint + '|' + std::to_string(reinterpret_cast<std::uintptr_t>(tls.get())) + '|' +
          std::to_string(max_connections);
    if (proxy) {
        // Credentials choose what the proxy allows, so they are part of the key; it is never shown.
        key += '|' + proxy->host_port + '|' +
               std::to_string(reinterpret_cast<std::uintptr_t>(proxy->tls.get())) + '|';
        key += proxy->authorization.reveal();
    }
}

LLMError net_error(Errc code, const Origin& origin, Stage stage, std::string_view problem) {
    Diagnostics diagnostics;
    diagnostics.endpoint = origin.endpoint;
    diagnostics.stage = stage;
    std::string text = origin.host_port;
    text += ": ";
    text += problem;
    return {code, text, std::move(diagnostics)};
}

}  // namespace llmproc::net
