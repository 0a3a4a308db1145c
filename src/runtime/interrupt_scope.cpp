#include "runtime/interrupt_scope.hpp"

#include <llmproc/error.hpp>
#include <llmproc/run_main.hpp>
#include "runtime/loop_core.hpp"
#include "runtime/signal_trap.hpp"
#include "runtime/task_core.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

/// What the scope shares with its watch on the loop, which may end later.
class Interruption {
public:
    explicit Interruption(std::unique_ptr<SignalTrap> trap) noexcept : trap_(std::move(trap)) {}

    bool came() noexcept {
        const std::lock_guard lock(mutex_);
        return trap_ && trap_->caught() != 0;
    }

    std::stop_token token() {
        const std::lock_guard lock(mutex_);
        return source_.get_token();
    }

    /// On the loop: the descriptor is readable.
    void look() { interrupted().request_stop(); }

    void reset() {
        const std::lock_guard lock(mutex_);
        if (trap_) {
            trap_->rearm();
            source_ = std::stop_source();
        }
    }

    void end() noexcept {
        const std::lock_guard lock(mutex_);
        trap_.reset();
    }

private:
    /// What to stop; a signal that `reset` has forgotten interrupts nothing.
    std::stop_source interrupted() {
        const std::lock_guard lock(mutex_);
        if (trap_) {
            trap_->drain();
        }
        if (trap_ && trap_->caught() != 0) {
            return source_;
        }
        return std::stop_source(std::nostopstate);
    }

    std::mutex mutex_;
    std::unique_ptr<SignalTrap> trap_;
    std::stop_source source_;
};

class Descriptor {
public:
    explicit Descriptor(int value) noexcept : value_(value) {}
    Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    ~Descriptor() {
        if (value_ >= 0) {
            ::close(value_);
        }
    }
    int release() noexcept { return std::exchange(value_, -1); }

private:
    int value_;
};

/// The scope may be gone before its watch has let go of the descriptor.
Descriptor copy_of(int descriptor) {
    const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        throw LLMError(
            Errc::limit_reached,
            "cannot watch signals: " + std::generic_category().message(errno) +
                "; raise the limit of descriptors (ulimit -n)"
        );
    }
    return Descriptor(copy);
}

asio::awaitable<void> watch(Descriptor descriptor, std::shared_ptr<Interruption> interruption) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::posix::stream_descriptor readable(executor, descriptor.release());
    for (;;) {
        co_await readable.async_wait(asio::posix::descriptor_base::wait_read, asio::use_awaitable);
        interruption->look();
    }
}

}  // namespace

class InterruptScope::State {
public:
    State(Descriptor descriptor, std::unique_ptr<SignalTrap> trap)
        : interruption_(std::make_shared<Interruption>(std::move(trap))),
          watch_(TaskCore::begin(
              EventLoop::global().core(),
              watch(std::move(descriptor), interruption_),
              "interrupt-scope",
              RunOptions(),
              nullptr
          )) {}
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        interruption_->end();
        watch_->cancel(CancelReason::closed);
    }

    Interruption& interruption() const noexcept { return *interruption_; }

private:
    const std::shared_ptr<Interruption> interruption_;
    const std::shared_ptr<TaskCore> watch_;
};

namespace {

thread_local const InterruptScope::State* current_scope = nullptr;

}  // namespace

std::stop_token interrupt_token() {
    return current_scope == nullptr ? std::stop_token() : current_scope->interruption().token();
}

void throw_if_interrupted() {
    if (current_scope != nullptr && current_scope->interruption().came()) {
        throw Cancelled(CancelReason::signal);
    }
}

InterruptScope::InterruptScope() {
    std::unique_ptr<SignalTrap> trap = SignalTrap::set({SIGINT});
    if (trap) {
        Descriptor descriptor = copy_of(trap->descriptor());
        state_ = std::make_unique<State>(std::move(descriptor), std::move(trap));
        current_scope = state_.get();
    }
}

InterruptScope::~InterruptScope() {
    if (state_) {
        current_scope = nullptr;
    }
}

bool InterruptScope::active() const noexcept {
    return state_ != nullptr;
}

bool InterruptScope::interrupted() const noexcept {
    return state_ && state_->interruption().came();
}

void InterruptScope::reset() {
    if (state_) {
        state_->interruption().reset();
    }
}

}  // namespace llmproc
