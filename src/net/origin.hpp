/// @file
/// Where a client's connections go, and the errors that name the place.
#pragma once

#include <llmproc/error.hpp>
#include "wire/url.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace llmproc::net {

class TlsContext;

/// One server as one client sees it; equal `key` means that connections may be shared.
struct Origin {
    Origin(const wire::Url& base, std::shared_ptr<TlsContext> context, std::size_t max_connections);

    std::string host;
    std::string host_port;    ///< For messages, e.g. "api.openai.com:443" or "[::1]:8080".
    std::string host_header;  ///< Value of the Host field.
    std::string endpoint;     ///< scheme://host:port
    std::string key;
    std::shared_ptr<TlsContext> tls;  ///< Null for plain http.
    std::uint16_t port = 0;
};

/// The error "host:port: problem", with endpoint and stage in its diagnostics.
LLMError net_error(Errc code, const Origin& origin, Stage stage, std::string_view problem);

}  // namespace llmproc::net
