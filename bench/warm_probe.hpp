/// @file
/// What a call over a warm pool costs in set-up.
#pragma once

#include <iosfwd>

namespace llmproc::bench {

/// A line per call "WHICH HANDSHAKES LOOK-UPS SSL_CONTEXTS": `first`, `second` of the same client,
/// `other` = the first of another client with equal settings.
/// Throws std::runtime_error if the server cannot be started or a call fails.
void print_warm_calls(std::ostream& out);

}  // namespace llmproc::bench
