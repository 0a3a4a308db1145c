#include "net/openssl_use.hpp"

#include <openssl/crypto.h>
#include <openssl/ssl.h>

#include <atomic>
#include <mutex>

namespace llmproc::net {

namespace {

std::atomic<bool> ended{false};
std::once_flag watched;

/// Frees what OpenSSL keeps for a thread, which takes one of its global locks.
struct ThreadEnd {
    ThreadEnd() noexcept = default;
    ThreadEnd(const ThreadEnd&) = delete;
    ThreadEnd& operator=(const ThreadEnd&) = delete;
    ~ThreadEnd() {
        if (!openssl_has_ended()) {
            const ForkHold hold;
            OPENSSL_thread_stop();
        }
    }
};

}  // namespace

void watch_openssl() {
    const OpensslUse use;
    std::call_once(watched, [] {
        OPENSSL_init_ssl(0, nullptr);
        // Called at the very begin of the clean-up. Without memory for it: as if nobody watched.
        OPENSSL_atexit([] { ended.store(true, std::memory_order_release); });
    });
}

bool openssl_has_ended() noexcept {
    return ended.load(std::memory_order_acquire);
}

OpensslUse::OpensslUse() noexcept {
    [[maybe_unused]] static const thread_local ThreadEnd thread_end;
}

}  // namespace llmproc::net
