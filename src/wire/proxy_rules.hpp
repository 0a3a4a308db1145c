/// @file
/// Which proxy a request goes through: pure rules, no sockets.
#pragma once

#include <llmproc/secret.hpp>
#include "wire/url.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::wire {

/// The value of an environment variable; none if it is unset.
using EnvironmentLookup = std::function<std::optional<std::string>(const std::string& name)>;

/// A proxy's URL, taken apart.
struct ProxyUrl {
    ProxyUrl() = default;

    /// `[http://|https://][USER[:PASSWORD]@]HOST[:PORT]`; without scheme it is http, the ports are
    /// the schemes' own (80 and 443, as in Go; curl's 1080 is that of SOCKS). User and password are
    /// percent-decoded.
    /// Throws std::invalid_argument with reason and remedy; the text repeats nothing of `text`.
    static ProxyUrl parse(std::string_view text);

    bool tls = false;
    std::string host;  ///< In lower case; IPv6 without brackets.
    std::uint16_t port = 0;
    Secret authorization;  ///< "Basic ..." (RFC 7617); empty without user and password.
};

/// Hosts that are reached without a proxy.
///
/// An entry is `*` for all; a domain, which means itself and all below it, whether it begins with
/// "." or "*." or not, in any case; an IP address; a range like 10.0.0.0/8 or fd00::/8. A domain or
/// address may end in `:PORT` (IPv6 then in brackets) and holds for that port only.
class NoProxyList {
public:
    NoProxyList() = default;
    /// Entries separated by commas or white space. What cannot be understood matches nothing, as
    /// in curl and Go.
    static NoProxyList parse(std::string_view list);

    /// Adds one entry; false if it cannot be understood.
    bool add(std::string_view entry);
    bool matches(const Url& target) const;

private:
    struct Address {
        std::array<unsigned char, 16> bytes{};  ///< IPv4 as ::ffff:a.b.c.d.
        bool is_v4 = false;
    };
    struct Entry {
        std::string domain;  ///< Without leading dot; empty for addresses.
        std::optional<Address> address;
        unsigned prefix = 0;  ///< In bits of the 128.
        std::uint16_t port = 0;
    };
    static std::optional<Address> parse_address(std::string_view text);
    bool add_range(std::string_view entry, std::size_t slash);
    static bool covers(const Entry& entry, const Address& address);

    std::vector<Entry> entries_;
    bool all_ = false;
};

/// A proxy that the environment names.
struct ProxyVariable {
    ProxyVariable() = default;
    std::string name;   ///< Of the variable.
    std::string value;  ///< May hold a password.
};

/// What the environment says for `target`, its list of exceptions not regarded; none for a loopback
/// target, as in Go. The first that is set and not empty counts:
/// - https: https_proxy, HTTPS_PROXY, all_proxy, ALL_PROXY
/// - http: http_proxy, HTTP_PROXY, all_proxy, ALL_PROXY; HTTP_PROXY is ignored where REQUEST_METHOD
///   is set, since in a CGI program it is the request's own header "Proxy" (httpoxy)
///
/// Lower case first is the order of curl, of Python and so of the official SDKs.
std::optional<ProxyVariable> proxy_variable(
    const Url& target,
    const EnvironmentLookup& environment
);

/// The list of exceptions in no_proxy, else in NO_PROXY.
NoProxyList no_proxy_variable(const EnvironmentLookup& environment);

}  // namespace llmproc::wire
