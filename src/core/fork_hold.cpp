#include "core/fork_hold.hpp"

#include <llmproc/error.hpp>

#include <pthread.h>

#include <atomic>
#include <ctime>
#include <utility>

namespace llmproc {

namespace {

#ifdef PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP
// Else threads that come and go would let a fork wait for ever. Nobody takes it twice.
constexpr pthread_rwlock_t unlocked = PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP;
#else
constexpr pthread_rwlock_t unlocked = PTHREAD_RWLOCK_INITIALIZER;
#endif

constinit pthread_rwlock_t forks = unlocked;
constinit std::atomic<bool> torn{false};

constinit thread_local unsigned depth = 0;
constinit thread_local bool kept_out = false;  ///< This thread forks and keeps the others out.

timespec wait_end() noexcept {
    using std::chrono::nanoseconds;
    constexpr long second = nanoseconds(std::chrono::seconds(1)).count();
    timespec end{};
    ::clock_gettime(CLOCK_REALTIME, &end);
    const long nanoseconds_in_all = end.tv_nsec + nanoseconds(fork_wait_limit).count();
    end.tv_sec += nanoseconds_in_all / second;
    end.tv_nsec = nanoseconds_in_all % second;
    return end;
}

void before_fork() noexcept {
    if (depth == 0) {
        const timespec end = wait_end();
        kept_out = ::pthread_rwlock_timedwrlock(&forks, &end) == 0;
    }
}

void let_go_in_parent() noexcept {
    if (std::exchange(kept_out, false)) {
        ::pthread_rwlock_unlock(&forks);
    }
}

void let_go_in_child() noexcept {
    if (!std::exchange(kept_out, false)) {
        torn.store(true, std::memory_order_relaxed);
    }
    // Its threads, this one among them, are known to it by the parent's numbers.
    forks = unlocked;
    if (depth != 0) {
        ::pthread_rwlock_rdlock(&forks);
    }
}

/// When the library is loaded. Without memory for it children may hang in OpenSSL; nothing better
/// can be done.
[[maybe_unused]] const bool held_when_loaded =
    ::pthread_atfork(&before_fork, &let_go_in_parent, &let_go_in_child) == 0;

}  // namespace

ForkHold::ForkHold() noexcept {
    if (depth++ == 0) {
        ::pthread_rwlock_rdlock(&forks);
    }
}

ForkHold::~ForkHold() {
    if (--depth == 0) {
        ::pthread_rwlock_unlock(&forks);
    }
}

ForkHoldPause::ForkHoldPause() noexcept : depth_(std::exchange(depth, 0)) {
    if (depth_ != 0) {
        ::pthread_rwlock_unlock(&forks);
    }
}

ForkHoldPause::~ForkHoldPause() {
    if (depth_ != 0) {
        ::pthread_rwlock_rdlock(&forks);
    }
    depth = depth_;
}

void check_forked_in_order() {
    if (torn.load(std::memory_order_relaxed)) {
        throw LLMError(
            Errc::forked_process,
            "this process was forked while another thread was inside OpenSSL and did not leave it "
            "in time: TLS would hang here; fork before such work, or exec in the child"
        );
    }
}

}  // namespace llmproc
