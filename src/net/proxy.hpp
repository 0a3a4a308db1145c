/// @file
/// From settings and environment to the proxy of a client.
#pragma once

#include "net/net_settings.hpp"
#include "net/origin.hpp"
#include "wire/proxy_rules.hpp"
#include "wire/url.hpp"

#include <memory>

namespace llmproc::net {

using wire::EnvironmentLookup;

/// The proxy on the way to `base`; null = reached directly.
///
/// `connection.proxy` counts before the environment, and unlike it for loopback targets too; so
/// does `connection.no_proxy` before NO_PROXY, which as in curl also holds for a proxy that the
/// program names.
/// TLS to an https proxy follows the same settings as TLS to the provider.
/// Throws ConfigError (keys connection.proxy, connection.no_proxy, or of TLS settings), and
/// LLMError{invalid_config} naming the environment variable that cannot be used.
std::shared_ptr<const ProxyServer> choose_proxy(
    const wire::Url& base,
    const NetSettings& settings,
    const EnvironmentLookup& environment
);

}  // namespace llmproc::net
