#include "runtime/signal_trap.hpp"

#include <llmproc/error.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>
#include <thread>

namespace llmproc {

namespace {

/// What the handler may touch.
struct TrapState {
    std::atomic<bool> taken{false};
    std::atomic<int> descriptor{-1};
    std::atomic<int> caught{0};
    std::atomic<int> handlers_running{0};
    std::atomic<pid_t> owner{0};
};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler must not take a lock");
static_assert(std::atomic<pid_t>::is_always_lock_free, "a signal handler must not take a lock");

constinit TrapState trap;

void end_program(int signal) noexcept {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    ::sigaction(signal, &action, nullptr);
    ::raise(signal);
    // It is blocked while its handler runs.
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, signal);
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

extern "C" void llmproc_on_signal(int signal) {
    const int saved_errno = errno;
    trap.handlers_running.fetch_add(1);
    const int descriptor = trap.descriptor.load();
    int none = 0;
    if (descriptor < 0) {
        // The trap went away meanwhile: for the disposition that is back now.
        ::raise(signal);
    } else if (::getpid() != trap.owner.load() || !trap.caught.compare_exchange_strong(none, signal)) {
        end_program(signal);
    } else {
        const std::uint64_t one = 1;
        // It can fail only if the descriptor is readable already.
        [[maybe_unused]] const ssize_t written = ::write(descriptor, &one, sizeof one);
    }
    trap.handlers_running.fetch_sub(1);
    errno = saved_errno;
}

}  // namespace

SignalTrap::SignalTrap(int descriptor) noexcept : descriptor_(descriptor) {}

std::unique_ptr<SignalTrap> SignalTrap::set(std::initializer_list<int> signals) {
    if (trap.taken.exchange(true)) {
        return nullptr;
    }
    const int descriptor = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0) {
        const std::string why = std::generic_category().message(errno);
        trap.taken.store(false);
        throw LLMError(
            Errc::limit_reached,
            "cannot watch signals: " + why + "; raise the limit of descriptors (ulimit -n)"
        );
    }
    std::unique_ptr<SignalTrap> set(new SignalTrap(descriptor));
    trap.caught.store(0);
    trap.owner.store(::getpid());
    trap.descriptor.store(descriptor);
    struct sigaction action {};
    action.sa_handler = llmproc_on_signal;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    for (const int signal : signals) {
        ::sigaddset(&action.sa_mask, signal);
    }
    set->before_.reserve(signals.size());
    for (const int signal : signals) {
        struct sigaction before {};
        ::sigaction(signal, &action, &before);
        set->before_.emplace_back(signal, before);
    }
    return set;
}

SignalTrap::~SignalTrap() {
    for (const auto& [signal, before] : before_) {
        struct sigaction now {};
        ::sigaction(signal, nullptr, &now);
        if ((now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == llmproc_on_signal) {
            ::sigaction(signal, &before, nullptr);
        }
    }
    trap.descriptor.store(-1);
    // A handler on another thread may be about to write. In a forked child there is none.
    while (trap.handlers_running.load() != 0 && trap.owner.load() == ::getpid()) {
        std::this_thread::yield();
    }
    ::close(descriptor_);
    trap.taken.store(false);
}

int SignalTrap::caught() const noexcept {
    return trap.caught.load();
}

void SignalTrap::drain() const noexcept {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(descriptor_, &count, sizeof count);
}

void SignalTrap::rearm() noexcept {
    trap.caught.store(0);
}

}  // namespace llmproc
