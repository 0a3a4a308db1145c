/// @file
/// What OpenSSL reads from and writes to: the descriptor, or another TLS.
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>

namespace llmproc::net {

/// The lower end of a connection, and what became of the last steps on it.
struct WireEnd {
    int descriptor = -1;
    int error = 0;               ///< errno of a failed step.
    bool ended = false;          ///< The peer has ended its side.
    SSL* below = nullptr;        ///< The outer TLS of two.
    bool below_secured = false;  ///< It may still say good-bye.
};

/// Never blocks. Lifetime: `end` must outlive the BIO. Throws LLMError{internal}.
BIO* make_wire_bio(WireEnd& end);
/// The same over the TLS `end.below`: the bytes of the inner TLS are the content of the outer one.
BIO* make_tunnel_bio(WireEnd& end);

}  // namespace llmproc::net
