#include "net/tls_errors.hpp"

#include <boost/system/error_code.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <array>

namespace llmproc::net {

namespace {

std::string reason_of(unsigned long code) {
    if (ERR_SYSTEM_ERROR(code)) {
        return boost::system::error_code(ERR_GET_REASON(code), boost::system::system_category())
            .message();
    }
    if (const char* const reason = ERR_reason_error_string(code)) {
        return reason;
    }
    std::array<char, 160> text{};
    ERR_error_string_n(code, text.data(), text.size());
    return text.data();
}

/// What the reason means for the user, with the remedy; null if it says nothing in particular.
const char* meaning_of(int reason, bool certificate_missed) {
    switch (reason) {
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return "the server requires a client certificate; set connection.client_cert";
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
            return certificate_missed
                       ? "the server requires a client certificate; set connection.client_cert"
                       : "the server refuses our client certificate; check "
                         "connection.client_cert";
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
            return "the server does not trust the issuer of our client certificate; check that "
                   "connection.client_cert is meant for this server and holds the whole chain";
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
            return certificate_missed
                       ? "the server requires a client certificate; set connection.client_cert"
                       : "the server and we have no cipher in common, or it misses something "
                         "else that it does not name; check its TLS settings";
        case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
        case SSL_R_UNSUPPORTED_PROTOCOL:
            return "the server does not speak TLS as new as connection.min_tls demands (TLS 1.2 at "
                   "least); upgrade the server or lower connection.min_tls";
        // Older headers have no name for it.
        case SSL_AD_REASON_OFFSET + SSL_AD_NO_APPLICATION_PROTOCOL:
            return "the server does not speak HTTP/1.1, at least not on this port";
        case SSL_R_TLSV1_UNRECOGNIZED_NAME:
            return "the server does not serve this host name; check model.base_url";
        default: return nullptr;
    }
}

}  // namespace

std::string take_ssl_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    return code == 0 ? std::string() : reason_of(code);
}

TlsFailure take_tls_failure(bool certificate_missed) {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    TlsFailure failure;
    if (code == 0) {
        failure.text = "no reason given";
        return failure;
    }
    const bool from_tls = !ERR_SYSTEM_ERROR(code) && ERR_GET_LIB(code) == ERR_LIB_SSL;
    const char* const meaning = from_tls ? meaning_of(ERR_GET_REASON(code), certificate_missed)
                                         : nullptr;
    failure.refused = meaning != nullptr;
    failure.text = failure.refused ? std::string(meaning) + " (" + reason_of(code) + ")"
                                   : "TLS: " + reason_of(code);
    return failure;
}

Errc certificate_error(long verified, std::string& text) {
    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        text = "the server's certificate is not for this host; check the host name in "
               "model.base_url";
        return Errc::certificate_host;
    }
    text = std::string("the server's certificate is not trusted: ") +
           X509_verify_cert_error_string(verified);
    if (verified == X509_V_ERR_CERT_HAS_EXPIRED || verified == X509_V_ERR_CERT_NOT_YET_VALID) {
        text += "; the server's operator must renew it, or this machine's clock is wrong";
    } else {
        text += "; if you trust its issuer, name the issuer's PEM file in connection.ca_file";
    }
    return Errc::certificate_invalid;
}

}  // namespace llmproc::net
