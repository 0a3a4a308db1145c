#include "wire/proxy_rules.hpp"

#include "core/base64.hpp"
#include "wire/field_text.hpp"

#include <boost/url/ipv4_address.hpp>
#include <boost/url/ipv6_address.hpp>
#include <boost/url/pct_string_view.hpp>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <stdexcept>
#include <system_error>

namespace llmproc::wire {

namespace {

constexpr std::string_view space = " \t\r\n\v\f";
constexpr std::string_view form = "write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT";
constexpr unsigned v4_offset = 96;
constexpr unsigned v4_bits = 32;
constexpr unsigned all_bits = 128;

std::string_view trim(std::string_view text) {
    const auto begin = text.find_first_not_of(space);
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

[[noreturn]] void refuse(const std::string& reason) {
    throw std::invalid_argument("the proxy's URL (not shown, it may hold a password) " + reason);
}

/// Cuts the scheme off; true if it is https.
bool take_scheme(std::string_view& text) {
    const auto end = text.find("://");
    if (end == std::string_view::npos) {
        return false;
    }
    const std::string scheme = lowered(text.substr(0, end));
    text.remove_prefix(end + 3);
    if (scheme == "http" || scheme == "https") {
        return scheme == "https";
    }
    if (scheme.starts_with("socks")) {
        refuse("names a SOCKS proxy, which is not supported; use an HTTP proxy: http://HOST:PORT");
    }
    refuse("has a scheme that is not supported; use http:// or https://");
}

std::string decode(std::string_view text) {
    const auto encoded = boost::urls::make_pct_string_view(text);
    if (!encoded) {
        refuse("has a '%' without two hexadecimal digits in user name or password; write it %25");
    }
    return encoded->decode();
}

Secret basic_authorization(std::string_view userinfo) {
    const auto colon = userinfo.find(':');
    std::string pair = decode(userinfo.substr(0, colon));
    if (pair.find(':') != std::string::npos) {
        refuse("has a colon in its user name, which Basic authentication cannot send");
    }
    pair += ':';
    if (colon != std::string_view::npos) {
        pair += decode(userinfo.substr(colon + 1));
    }
    const Secret credentials(std::move(pair));  // Wiped at the end.
    Secret authorization;
    if (credentials.reveal() != ":") {
        authorization = Secret("Basic " + base64_encode(credentials.reveal()));
    }
    return authorization;
}

std::optional<unsigned> parse_number(std::string_view text, unsigned limit) {
    unsigned number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    const bool whole = parsed.ec == std::errc() && parsed.ptr == end;
    return whole && number <= limit ? std::optional<unsigned>(number) : std::nullopt;
}

/// Cuts ":PORT" off; 0 if there is none, nothing if it is no port.
std::optional<std::uint16_t> take_port(std::string_view& entry) {
    const bool bracketed = entry.starts_with('[');
    const auto close = bracketed ? entry.find(']') : 0;
    if (close == std::string_view::npos) {
        return std::nullopt;
    }
    const auto colon = entry.find(':', close);
    const bool bare_v6 = !bracketed && colon != entry.rfind(':');
    std::uint16_t port = 0;
    if (colon != std::string_view::npos && !bare_v6) {
        const auto number = parse_number(entry.substr(colon + 1), 65535);
        if (!number || *number == 0) {
            return std::nullopt;
        }
        port = static_cast<std::uint16_t>(*number);
        entry = entry.substr(0, colon);
    }
    if (bracketed) {
        if (!entry.ends_with(']')) {
            return std::nullopt;
        }
        entry = entry.substr(1, entry.size() - 2);
    }
    return port;
}

bool below_or_same(std::string_view host, std::string_view domain) {
    if (!host.ends_with(domain)) {
        return false;
    }
    const std::size_t before = host.size() - domain.size();
    return before == 0 || host[before - 1] == '.';
}

std::string_view without_last_dot(std::string_view host) {
    return host.ends_with('.') ? host.substr(0, host.size() - 1) : host;
}

std::optional<ProxyVariable> first_of(
    std::initializer_list<const char*> names,
    const EnvironmentLookup& environment
) {
    for (const char* const name : names) {
        const std::optional<std::string> value = environment(name);
        if (!value || trim(*value).empty()) {
            continue;
        }
        ProxyVariable found;
        found.name = name;
        found.value = trim(*value);
        return found;
    }
    return std::nullopt;
}

}  // namespace

ProxyUrl ProxyUrl::parse(std::string_view text) {
    std::string_view rest = trim(text);
    ProxyUrl proxy;
    proxy.tls = take_scheme(rest);
    const auto end = rest.find_first_of("/?#");
    if (end != std::string_view::npos && rest.substr(end) != "/") {
        // Not ignored as elsewhere: it may be the rest of a password.
        refuse(
            "has a path, query or fragment; " + std::string(form) +
            ", and in a password write / as %2F, ? as %3F, # as %23"
        );
    }
    rest = rest.substr(0, end);
    // The last one: a password with a bare @ in it still means what its owner thinks it means.
    const auto at = rest.rfind('@');
    if (at != std::string_view::npos) {
        proxy.authorization = basic_authorization(rest.substr(0, at));
        rest.remove_prefix(at + 1);
    }
    const std::string_view scheme = proxy.tls ? "https://" : "http://";
    try {
        const Url place = Url::parse(std::string(scheme) + std::string(rest));
        proxy.host = place.host();
        proxy.port = place.port();
    } catch (const std::invalid_argument&) {
        // Its text would show the password of a URL that lacks the @.
        refuse("has no valid host and port; " + std::string(form));
    }
    return proxy;
}

std::optional<NoProxyList::Address> NoProxyList::parse_address(std::string_view text) {
    Address address;
    if (text.find(':') == std::string_view::npos) {
        // Boost 1.81 reads "10.0.0.1.nip.io" as an address with something behind it.
        const bool digits = text.find_first_not_of("0123456789.") == std::string_view::npos;
        const auto v4 = boost::urls::parse_ipv4_address(text);
        if (!digits || !v4.has_value() || std::string_view(v4->to_string()) != text) {
            return std::nullopt;
        }
        const auto bytes = v4->to_bytes();
        address.bytes[10] = 0xff;
        address.bytes[11] = 0xff;
        std::copy(bytes.begin(), bytes.end(), address.bytes.begin() + 12);
        address.is_v4 = true;
        return address;
    }
    const auto v6 = boost::urls::parse_ipv6_address(text);
    const bool whole = text.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
    if (!whole || !v6.has_value()) {
        return std::nullopt;
    }
    const auto bytes = v6->to_bytes();
    std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
    address.is_v4 = v6->is_v4_mapped();
    return address;
}

bool NoProxyList::add_range(std::string_view entry, std::size_t slash) {
    Entry range;
    const std::string_view network = entry.substr(0, slash);
    range.address = parse_address(network);
    if (!range.address) {
        return false;
    }
    const bool dotted = network.find(':') == std::string_view::npos;
    const auto bits = parse_number(entry.substr(slash + 1), dotted ? v4_bits : all_bits);
    if (!bits) {
        return false;
    }
    range.prefix = *bits + (dotted ? v4_offset : 0);
    entries_.push_back(std::move(range));
    return true;
}

bool NoProxyList::add(std::string_view entry) {
    entry = trim(entry);
    if (entry == "*") {
        all_ = true;
        return true;
    }
    if (const auto slash = entry.find('/'); slash != std::string_view::npos) {
        return add_range(entry, slash);
    }
    Entry added;
    const auto port = take_port(entry);
    if (!port) {
        return false;
    }
    added.port = *port;
    added.address = parse_address(entry);
    if (added.address) {
        added.prefix = all_bits;
        entries_.push_back(std::move(added));
        return true;
    }
    if (entry.starts_with("*.")) {
        entry.remove_prefix(1);
    }
    if (entry.starts_with('.')) {
        entry.remove_prefix(1);
    }
    added.domain = lowered(without_last_dot(entry));
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    if (added.domain.empty() || !std::all_of(added.domain.begin(), added.domain.end(), allowed)) {
        return false;
    }
    entries_.push_back(std::move(added));
    return true;
}

NoProxyList NoProxyList::parse(std::string_view list) {
    constexpr std::string_view separators = ", \t\r\n\v\f";
    NoProxyList parsed;
    auto begin = list.find_first_not_of(separators);
    while (begin != std::string_view::npos) {
        const auto end = list.find_first_of(separators, begin);
        (void)parsed.add(list.substr(begin, end == std::string_view::npos ? end : end - begin));
        begin = list.find_first_not_of(separators, end);
    }
    return parsed;
}

bool NoProxyList::covers(const Entry& entry, const Address& address) {
    if (entry.address->is_v4 != address.is_v4) {
        return false;  // ::/0 is not every IPv4 address.
    }
    for (unsigned bit = 0; bit < entry.prefix; bit += 8) {
        const std::size_t index = bit / 8;
        const unsigned kept = std::min(8U, entry.prefix - bit);
        const unsigned mask = 0xffU & (0xffU << (8U - kept));
        const auto difference = static_cast<unsigned>(
            entry.address->bytes[index] ^ address.bytes[index]
        );
        if ((difference & mask) != 0) {
            return false;
        }
    }
    return true;
}

bool NoProxyList::matches(const Url& target) const {
    if (all_) {
        return true;
    }
    const std::optional<Address> address = parse_address(target.host());
    const std::string_view host = without_last_dot(target.host());
    return std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        if (entry.port != 0 && entry.port != target.port()) {
            return false;
        }
        if (entry.address) {
            return address && covers(entry, *address);
        }
        return !address && below_or_same(host, entry.domain);
    });
}

std::optional<ProxyVariable> proxy_variable(
    const Url& target,
    const EnvironmentLookup& environment
) {
    if (target.is_loopback()) {
        return std::nullopt;
    }
    if (target.is_https()) {
        return first_of({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}, environment);
    }
    if (environment("REQUEST_METHOD")) {
        return first_of({"http_proxy", "all_proxy", "ALL_PROXY"}, environment);
    }
    return first_of({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}, environment);
}

NoProxyList no_proxy_variable(const EnvironmentLookup& environment) {
    const auto found = first_of({"no_proxy", "NO_PROXY"}, environment);
    return found ? NoProxyList::parse(found->value) : NoProxyList();
}

}  // namespace llmproc::wire
