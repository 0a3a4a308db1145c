#include <llmproc/testing/scripted_server.hpp>
#include "testing/ascii.hpp"

#include <algorithm>
#include <utility>

namespace llmproc::testing {

ServerOptions::ServerOptions() = default;

ServerOptions& ServerOptions::https(bool value) {
    https_ = value;
    return *this;
}

ServerOptions& ServerOptions::host(std::string value) {
    host_ = std::move(value);
    return *this;
}

ServerOptions& ServerOptions::port(std::uint16_t value) {
    port_ = value;
    return *this;
}

ServerOptions& ServerOptions::certificate(CertificateOptions options) {
    certificate_options_ = std::move(options);
    return *this;
}

ServerOptions& ServerOptions::certificate(Certificate own) {
    own_certificate_ = std::move(own);
    return *this;
}

ServerOptions& ServerOptions::authority(std::shared_ptr<const CertificateAuthority> value) {
    authority_ = std::move(value);
    return *this;
}

ServerOptions& ServerOptions::client_ca(std::string pem) {
    client_ca_ = std::move(pem);
    return *this;
}

ServerOptions& ServerOptions::min_tls(TlsVersion value) {
    min_tls_ = value;
    return *this;
}

ServerOptions& ServerOptions::max_tls(TlsVersion value) {
    max_tls_ = value;
    min_tls_ = std::min(min_tls_, value);
    return *this;
}

ServerOptions& ServerOptions::keep_alive_requests(std::size_t n) {
    keep_alive_requests_ = n;
    return *this;
}

ServerOptions& ServerOptions::idle_timeout(std::chrono::milliseconds value) {
    idle_timeout_ = value;
    return *this;
}

ServerOptions& ServerOptions::accept_delay(std::chrono::milliseconds value) {
    accept_delay_ = value;
    return *this;
}

ServerOptions& ServerOptions::handshake_hang(bool value) {
    handshake_hang_ = value;
    return *this;
}

std::string RecordedRequest::header(std::string_view name) const {
    const auto found = std::find_if(headers.begin(), headers.end(), [name](const auto& header) {
        return equal_ignoring_case(header.first, name);
    });
    return found == headers.end() ? std::string() : found->second;
}

bool RecordedRequest::has_header(std::string_view name) const {
    return std::any_of(headers.begin(), headers.end(), [name](const auto& header) {
        return equal_ignoring_case(header.first, name);
    });
}

}  // namespace llmproc::testing
