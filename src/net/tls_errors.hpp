/// @file
/// What OpenSSL reports, in words that name the remedy.
#pragma once

#include <llmproc/error.hpp>

#include <string>

namespace llmproc::net {

/// The text of the first error of OpenSSL's queue, "" if it is empty. Empties the queue.
std::string take_ssl_error();

/// Why a TLS connection failed.
struct TlsFailure {
    std::string text;
    /// One side refuses the other for good: the same attempt would fail again.
    bool refused = false;
};

/// The first error of OpenSSL's queue; empties the queue. `certificate_missed`: the server has
/// asked for a client certificate and we had none, which many servers report by a vague alert.
TlsFailure take_tls_failure(bool certificate_missed);

/// What a verification result other than X509_V_OK means: a code and a text with the remedy.
Errc certificate_error(long verified, std::string& text);

}  // namespace llmproc::net
