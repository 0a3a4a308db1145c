/// @file
/// OpenSSL cleans up when the program exits; objects in static storage may be destroyed after it.
#pragma once

#include "core/fork_guard.hpp"

namespace llmproc::net {

/// Initialises OpenSSL and notes its end. To be called before its objects are made.
void watch_openssl();

/// Whether OpenSSL has cleaned up: its functions must not be called any more.
bool openssl_has_ended() noexcept;

/// Frees an object of OpenSSL, unless that has ended: freeing would use locks that are gone.
template <typename Object>
void free_openssl(Object* object, void (*release)(Object*)) noexcept {
    if (openssl_has_ended()) {
        KeptForParent::keep(object);
    } else {
        release(object);
    }
}

}  // namespace llmproc::net
