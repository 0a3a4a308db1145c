#include "net/openssl_end.hpp"

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include <atomic>
#include <mutex>

namespace llmproc::net {

namespace {

std::atomic<bool> ended{false};
std::once_flag watched;

}  // namespace

void watch_openssl() {
    std::call_once(watched, [] {
        OPENSSL_init_ssl(0, nullptr);
        // Called at the very begin of the clean-up. Without memory for it: as if nobody watched.
        OPENSSL_atexit([] { ended.store(true, std::memory_order_release); });
    });
}

bool openssl_has_ended() noexcept {
    return ended.load(std::memory_order_acquire);
}

}  // namespace llmproc::net
