#include "wire/url.hpp"

#include "wire/field_text.hpp"

#include <boost/url/ipv4_address.hpp>
#include <boost/url/ipv6_address.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace llmproc::wire {
namespace {

constexpr std::uint16_t https_port = 443;
constexpr std::uint16_t http_port = 80;

// What may be shown of a URL: userinfo and query may hold a key.
std::string shown(std::string_view text) {
    if (text.find('@') != std::string_view::npos) {
        return "the URL (not shown, it may hold credentials)";
    }
    std::string result = "'";
    for (const char c : text.substr(0, std::min(text.find_first_of("?#"), std::size_t{200}))) {
        const bool printable = c >= 0x20 && c != 0x7f;
        result += printable ? c : '?';
    }
    return result + "'";
}

[[noreturn]] void refuse(std::string_view text, const std::string& reason) {
    throw std::invalid_argument("invalid URL: " + shown(text) + " " + reason);
}

// RFC 3986 has no place for these; Boost.URL would only say "leftover".
constexpr auto forbidden_bytes = [] {
    std::array<bool, 256> table{};
    for (std::size_t byte = 0; byte < table.size(); ++byte) {
        table[byte] = byte <= 0x20 || byte >= 0x7f;
    }
    for (const char c : std::string_view("\"<>\\^`{|}")) {
        table[static_cast<unsigned char>(c)] = true;
    }
    return table;
}();

std::size_t find_forbidden(std::string_view text) noexcept {
    const auto* const bad = std::find_if(text.begin(), text.end(), [](char c) {
        return forbidden_bytes[static_cast<unsigned char>(c)];
    });
    return bad == text.end() ? std::string_view::npos
                             : static_cast<std::size_t>(bad - text.begin());
}

std::string describe_byte(std::string_view text, std::size_t position) {
    const auto byte = static_cast<unsigned char>(text[position]);
    std::string what = byte == 0x20  ? "a space"
                       : byte < 0x20 ? "a control character"
                       : byte < 0x7f ? "the character '" + std::string(1, text[position]) + "'"
                                     : "a character outside ASCII";
    return what + " at position " + std::to_string(position);
}

void check_characters(std::string_view text) {
    if (text.empty()) {
        throw std::invalid_argument("invalid URL: it is empty; write for example https://host/v1");
    }
    const auto bad = find_forbidden(text);
    if (bad != std::string_view::npos) {
        refuse(
            text,
            "has " + describe_byte(text, bad) + ": remove it or percent-encode it (a space " +
                "is %20; a host name outside ASCII is written in its xn-- form)"
        );
    }
}

std::string check_scheme(std::string_view text) {
    const auto end = text.find("://");
    if (end == std::string_view::npos) {
        refuse(text, "has no scheme: write https://HOST/PATH, or http://HOST:PORT/PATH");
    }
    auto scheme = lowered(text.substr(0, end));
    if (scheme != "https" && scheme != "http") {
        refuse(text, "has a scheme that is not supported: use https:// or http://");
    }
    return scheme;
}

// Checked by hand: Boost's port_number() wraps silently, 99999 would become 34463.
std::uint16_t parse_port(std::string_view text, std::string_view port, std::uint16_t fallback) {
    if (port.empty()) {
        return fallback;
    }
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!std::all_of(port.begin(), port.end(), is_digit)) {
        refuse(
            text,
            "has a port that is not a number: write https://HOST:PORT/PATH; an IPv6 address "
            "stands in brackets"
        );
    }
    unsigned long number = 0;
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
    if (parsed.ec != std::errc() || number == 0 || number > 65535) {
        refuse(text, "has a port out of range: use 1 to 65535, or leave the port out");
    }
    return static_cast<std::uint16_t>(number);
}

std::string parse_host(std::string_view text, std::string_view host) {
    if (host.empty()) {
        refuse(text, "has no host: write https://HOST/PATH; an IPv6 address stands in brackets");
    }
    if (host.starts_with('[') && host.ends_with(']')) {
        const std::string inside(host.substr(1, host.size() - 2));
        const auto address = boost::urls::parse_ipv6_address(inside);
        if (address.has_value() &&
            inside.find_first_not_of("0123456789abcdefABCDEF:.") == std::string::npos) {
            return lowered(address->to_string());
        }
    }
    auto name = lowered(host);
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    if (!std::all_of(name.begin(), name.end(), allowed)) {
        refuse(
            text,
            "has a host that is neither a DNS name nor an address: use letters, digits, '-' and "
            "'.', or [IPv6] in brackets without a zone"
        );
    }
    return name;
}

struct Authority {
    std::string_view host;
    std::string_view port;
};

Authority split_authority(std::string_view text, std::string_view authority) {
    if (authority.find('@') != std::string_view::npos) {
        refuse(text, "has a user name or password: give the key by api_key_env or a header");
    }
    // Colons inside the brackets belong to the address.
    const auto bracket = authority.starts_with('[') ? authority.find(']') : 0;
    const auto colon = authority.find(':', std::min(bracket, authority.size()));
    if (colon == std::string_view::npos) {
        return {authority, {}};
    }
    return {authority.substr(0, colon), authority.substr(colon + 1)};
}

struct Parameter {
    std::string_view name;
    std::string_view text;
};

// Names replace those of earlier queries, but may repeat inside one: that is how lists are sent.
void merge_query(std::vector<Parameter>& all, std::string_view query) {
    std::vector<Parameter> added;
    while (!query.empty()) {
        const auto end = query.find('&');
        const auto text = query.substr(0, end);
        query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
        if (!text.empty()) {
            added.push_back({text.substr(0, text.find('=')), text});
        }
    }
    std::erase_if(all, [&added](const Parameter& old) {
        return std::any_of(added.begin(), added.end(), [&old](const Parameter& parameter) {
            return parameter.name == old.name;
        });
    });
    all.insert(all.end(), added.begin(), added.end());
}

void check_target_part(std::string_view part, std::string_view what) {
    const auto bad = std::min(find_forbidden(part), part.find('#'));
    if (bad != std::string_view::npos) {
        throw std::invalid_argument(
            "invalid request " + std::string(what) + ": it has " + describe_byte(part, bad) +
            "; percent-encode it"
        );
    }
}

}  // namespace

Url Url::parse(std::string_view text) {
    check_characters(text);
    Url url;
    url.scheme_ = check_scheme(text);
    // The authority is cut out by hand: Boost 1.81 reads "h:80a" as port 80 with the path "a", and
    // "10.0.0.1.nip.io" as an address with the path ".nip.io".
    const auto start = url.scheme_.size() + 3;
    const auto end = std::min(text.find_first_of("/?#", start), text.size());
    const auto [host, port] = split_authority(text, text.substr(start, end - start));
    url.host_ = parse_host(text, host);
    url.port_ = parse_port(text, port, url.is_https() ? https_port : http_port);
    const std::string rest = "http://h" + std::string(text.substr(end));
    const auto parsed = boost::urls::parse_uri(rest);
    if (!parsed) {
        refuse(
            text,
            "has a path or query that is not valid (" + parsed.error().message() +
                "): percent-encode what is not a letter, digit or one of -._~/:@!$&'()*+,;="
        );
    }
    const boost::urls::url_view& view = *parsed;
    if (view.has_fragment()) {
        refuse(text, "has a fragment (#...): remove it, it is never sent to a server");
    }
    // Taken as they are: normalize() would decode %2F and %26 and so change their meaning.
    const auto path = view.encoded_path();
    url.path_.assign(path.data(), path.size());
    while (url.path_.ends_with('/')) {
        url.path_.pop_back();
    }
    const auto query = view.encoded_query();
    url.query_.assign(query.data(), query.size());
    return url;
}

std::string Url::authority_host() const {
    const bool is_ipv6 = host_.find(':') != std::string::npos;
    return is_ipv6 ? "[" + host_ + "]" : host_;
}

std::string Url::origin() const {
    return scheme_ + "://" + authority_host() + ":" + std::to_string(port_);
}

std::string Url::host_header() const {
    const bool is_default = port_ == (is_https() ? https_port : http_port);
    return is_default ? authority_host() : authority_host() + ":" + std::to_string(port_);
}

bool Url::is_loopback() const {
    if (host_ == "localhost" || host_ == "::1") {
        return true;
    }
    // All four numbers count: "127.evil.example" and "127.0.0.1.evil.example" are names.
    const auto only_digits = host_.find_first_not_of("0123456789.") == std::string::npos;
    const auto address = boost::urls::parse_ipv4_address(host_);
    return only_digits && address.has_value() && address->to_string() == host_ &&
           address->is_loopback();
}

std::string Url::join(std::string_view path, std::string_view extra_query) const {
    check_target_part(path, "path");
    check_target_part(extra_query, "query");
    const auto question = path.find('?');
    const auto only_path = path.substr(0, question);
    if (only_path.find("://") != std::string_view::npos) {
        throw std::invalid_argument(
            "invalid request path: it is an absolute URL, and the key of one origin must not be "
            "sent to another; give a path below the base URL"
        );
    }
    std::string target = path_;
    if (!only_path.empty() && !only_path.starts_with('/')) {
        target += '/';
    }
    target += only_path;
    if (target.empty()) {
        target = "/";
    }
    std::vector<Parameter> parameters;
    merge_query(parameters, query_);
    if (question != std::string_view::npos) {
        merge_query(parameters, path.substr(question + 1));
    }
    merge_query(parameters, extra_query);
    char separator = '?';
    for (const auto& parameter : parameters) {
        target += separator;
        target += parameter.text;
        separator = '&';
    }
    return target;
}

}  // namespace llmproc::wire
