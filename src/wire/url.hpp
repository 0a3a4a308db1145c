/// @file
/// The base URL of a provider, and request targets below it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llmproc::wire {

/// An http or https URL without userinfo and fragment, parsed once.
class Url {
public:
    /// Throws std::invalid_argument naming what is wrong and the remedy; the text shows neither
    /// credentials nor the query.
    static Url parse(std::string_view text);

    const std::string& scheme() const noexcept { return scheme_; }
    bool is_https() const noexcept { return scheme_ == "https"; }
    /// In lower case; IPv6 without brackets, in its shortest form.
    const std::string& host() const noexcept { return host_; }
    std::uint16_t port() const noexcept { return port_; }
    /// The path prefix, percent-encoded as given, without trailing slash; "" for none.
    const std::string& path() const noexcept { return path_; }
    /// The query, percent-encoded as given, without "?".
    const std::string& query() const noexcept { return query_; }

    friend bool operator==(const Url&, const Url&) = default;

    /// scheme://host:port, always with the port: equal origins have equal texts.
    std::string origin() const;
    /// For the Host header: the port only if it is not the scheme's own.
    std::string host_header() const;
    /// True for 127.0.0.0/8, ::1 and localhost by their texts; nothing is resolved.
    bool is_loopback() const;

    /// The request target for `path` below the prefix, by concatenation (RFC 3986 resolution would
    /// drop the prefix). Queries of the URL, of `path` and `extra_query` are merged: a name in a
    /// later one replaces the same name of the earlier.
    /// Throws std::invalid_argument for an absolute URL and for what cannot stand in a target.
    std::string join(std::string_view path, std::string_view extra_query = {}) const;

private:
    Url() = default;
    std::string authority_host() const;

    std::string scheme_;
    std::string host_;
    std::string path_;
    std::string query_;
    std::uint16_t port_ = 0;
};

}  // namespace llmproc::wire
