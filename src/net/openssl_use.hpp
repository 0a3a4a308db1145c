/// @file
/// What OpenSSL wants from whoever uses it: its end when the program exits, and its locks, which no
/// fork() may leave taken in a child.
#pragma once

#include "core/fork_guard.hpp"
#include "core/fork_hold.hpp"

namespace llmproc::net {

/// Initialises OpenSSL and notes its end. To be called before its objects are made.
void watch_openssl();

/// Whether OpenSSL has cleaned up: its functions must not be called any more.
bool openssl_has_ended() noexcept;

/// To be held around OpenSSL's functions; see ForkHold. Also sees to it that what OpenSSL does when
/// this thread ends is held the same way.
class OpensslUse {
public:
    OpensslUse() noexcept;

private:
    ForkHold hold_;
};

/// Frees an object of OpenSSL, unless that has ended: freeing would use locks that are gone.
template <typename Object>
void free_openssl(Object* object, void (*release)(Object*)) noexcept {
    if (openssl_has_ended()) {
        KeptForParent::keep(object);
    } else {
        const OpensslUse use;
        release(object);
    }
}

}  // namespace llmproc::net
