/// @file
/// Sites of an nginx that answers every chat with "pong", each in its own way.
#pragma once

#include <llmproc/testing/certificate_authority.hpp>
#include "support/local_server.hpp"

#include <cstdint>
#include <string>

namespace llmproc::testing {

inline constexpr const char* pong =
    R"({"id":"1","object":"chat.completion","created":1,"model":"test-model","choices":[)"
    R"({"index":0,"message":{"role":"assistant","content":"pong"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}})";

/// A server block that listens on PORT{name} with TLS and the files of `certificate`.
inline std::string site(
    const std::string& name,
    const std::string& settings = "",
    const std::string& location = "",
    const std::string& certificate = "good"
) {
    return "server {\n"
           "listen 127.0.0.1:PORT{" +
           name + "} ssl;\nserver_name localhost;\nssl_certificate FOLDER/" + certificate +
           ".pem;\nssl_certificate_key FOLDER/" + certificate + ".key;\n" + settings +
           "\nlocation / {\n" +
           (location.empty() ? std::string("return 200 '") + pong + "';" : location) + "\n}\n}\n";
}

/// The certificates that the sites name.
inline void write_certificates(const Folder& folder, const CertificateAuthority& authority) {
    const auto write = [&folder](const std::string& name, const Certificate& certificate) {
        write_file(folder.path() / (name + ".pem"), certificate.chain_pem);
        write_file(folder.path() / (name + ".key"), certificate.key_pem);
    };
    write("good", authority.issue());
    write("expired", authority.issue(CertificateOptions().expired()));
    write("other", authority.issue(CertificateOptions().dns_name("other.example")));
    write("self", authority.issue(CertificateOptions().self_signed()));
    write("client", authority.issue());
    write("stranger", CertificateAuthority().issue());
    write_file(folder.path() / "ca.pem", authority.ca_pem());
}

inline std::string tls_sites() {
    const std::string client = "ssl_client_certificate FOLDER/ca.pem;\nssl_verify_client on;\n";
    return site("tls12", "ssl_protocols TLSv1.2;") + site("tls13", "ssl_protocols TLSv1.3;") +
           site("expired", "", "", "expired") + site("other", "", "", "other") +
           site("self", "", "", "self") + site("client12", client + "ssl_protocols TLSv1.2;") +
           site("client13", client + "ssl_protocols TLSv1.3;") +
           site("brief12", "keepalive_timeout 0;\nssl_protocols TLSv1.2;") +
           site("brief13", "keepalive_timeout 0;\nssl_protocols TLSv1.3;");
}

/// `silent` is a port that accepts and says nothing, `closed` one where nobody listens.
inline std::string http_sites(std::uint16_t silent, std::uint16_t closed) {
    const auto upstream = [](std::uint16_t port) {
        return "proxy_pass http://127.0.0.1:" + std::to_string(port) +
               ";\nproxy_read_timeout 100ms;";
    };
    std::string header = "set $kilobyte '" + std::string(1024, 'x') + "';\nadd_header X-Large '";
    for (int i = 0; i < 40; ++i) {
        header += "$kilobyte";
    }
    header += "';";
    // SSI makes nginx forget the length that it knows.
    const std::string unknown_length = "ssi on;\nssi_types application/json;\n";
    return site("three", "keepalive_requests 3;") +
           site("second", "listen 127.0.0.1:PORT{plain};\nkeepalive_timeout 1;") +
           site("header", header) + site("chunked", unknown_length) +
           site("delimited", unknown_length + "chunked_transfer_encoding off;") +
           site("gzip", "gzip on;\ngzip_types application/json;\ngzip_min_length 1;") +
           site("bad_gateway", "", upstream(closed)) + site("late_gateway", "", upstream(silent)) +
           site("small", "client_max_body_size 1k;");
}

}  // namespace llmproc::testing
