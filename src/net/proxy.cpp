#include "net/proxy.hpp"

#include "net/tls_context.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace llmproc::net {

namespace {

ConfigError config_error(std::string key, const std::string& problem) {
    ConfigPlace place;
    place.key = std::move(key);
    return {std::move(place), problem};
}

wire::NoProxyList exceptions(const NetSettings& settings, const EnvironmentLookup& environment) {
    if (!settings.proxy.no_proxy) {
        return wire::no_proxy_variable(environment);
    }
    wire::NoProxyList list;
    for (const std::string& entry : *settings.proxy.no_proxy) {
        if (!list.add(entry)) {
            throw config_error(
                "connection.no_proxy",
                "\"" + entry +
                    "\" is no host; write a domain, an IP address, a range like 10.0.0.0/8, or "
                    "\"*\", each but the last two with :PORT if need be"
            );
        }
    }
    return list;
}

wire::ProxyUrl parse_explicit(const std::string& url) {
    try {
        return wire::ProxyUrl::parse(url);
    } catch (const std::invalid_argument& error) {
        throw config_error("connection.proxy", error.what());
    }
}

wire::ProxyUrl parse_variable(const wire::ProxyVariable& variable) {
    try {
        return wire::ProxyUrl::parse(variable.value);
    } catch (const std::invalid_argument& error) {
        throw LLMError(
            Errc::invalid_config,
            "environment variable " + variable.name + ": " + error.what() +
                "; or set connection.proxy, to \"\" for none"
        );
    }
}

std::optional<wire::ProxyUrl> find_proxy(
    const wire::Url& base,
    const NetSettings& settings,
    const EnvironmentLookup& environment
) {
    if (settings.proxy.url) {
        if (settings.proxy.url->empty()) {
            return std::nullopt;
        }
        wire::ProxyUrl proxy = parse_explicit(*settings.proxy.url);
        if (exceptions(settings, environment).matches(base)) {
            return std::nullopt;
        }
        return proxy;
    }
    const wire::NoProxyList direct = exceptions(settings, environment);
    const std::optional<wire::ProxyVariable> variable = wire::proxy_variable(base, environment);
    if (!variable || direct.matches(base)) {
        return std::nullopt;
    }
    return parse_variable(*variable);
}

}  // namespace

std::shared_ptr<const ProxyServer> choose_proxy(
    const wire::Url& base,
    const NetSettings& settings,
    const EnvironmentLookup& environment
) {
    std::optional<wire::ProxyUrl> found = find_proxy(base, settings, environment);
    if (!found) {
        return nullptr;
    }
    auto proxy = std::make_shared<ProxyServer>();
    const bool is_ipv6 = found->host.find(':') != std::string::npos;
    proxy->host_port = is_ipv6 ? "[" + found->host + "]" : found->host;
    proxy->host_port += ":" + std::to_string(found->port);
    proxy->host = std::move(found->host);
    proxy->port = found->port;
    proxy->authorization = std::move(found->authorization);
    if (found->tls) {
        proxy->tls = TlsContext::shared(settings.tls);
    }
    return proxy;
}

}  // namespace llmproc::net
