/// @file
/// Tells the observer of a call what it does.
#pragma once

#include <llmproc/context_map.hpp>
#include <llmproc/observer.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::async {

/// Who the call is, for all its events. Without an observer every member is a null check.
/// Thread safety: used on the call's executor only.
class CallTrace {
public:
    CallTrace() = default;

    /// Events go to `observer` (may be null) from now on.
    void attach(std::shared_ptr<Observer> observer);
    explicit operator bool() const noexcept { return observer_ != nullptr; }

    // What all further events carry.
    void operation(std::string_view name, bool streaming) noexcept;  ///< A literal.
    void target(std::string provider, std::string model);
    void server(std::string address, std::uint16_t port);
    void context(ContextMap map) noexcept { context_ = std::move(map); }
    void attempt(int number) noexcept { attempt_ = number; }
    /// The call was ended from outside: failures from now on are that. None = it goes on.
    void interrupted(std::optional<Errc> cause) noexcept { interruption_ = cause; }
    std::optional<Errc> interruption() const noexcept { return interruption_; }

    /// Sends `event` after adding the above. Precondition: an observer is attached.
    void emit(CallEvent event) const noexcept;

private:
    std::shared_ptr<Observer> observer_;
    std::uint64_t call_ = 0;
    int attempt_ = 0;
    std::optional<Errc> interruption_;
    std::string_view operation_;
    bool streaming_ = false;
    std::string provider_;
    std::string model_;
    std::string server_address_;
    std::uint16_t server_port_ = 0;
    ContextMap context_;
};

/// What it means when a step fails by itself.
constexpr Errc usual_failure(CallStep step) noexcept {
    switch (step) {
        case CallStep::dns: return Errc::resolve_failed;
        case CallStep::connect: return Errc::connect_failed;
        case CallStep::proxy: return Errc::proxy_refused;
        case CallStep::tls: return Errc::tls_handshake_failed;
        default: return Errc::connection_lost;
    }
}

/// Measures one step. Unless `done` is called the step is reported as failed when this dies.
/// The clock is read only if there is an observer.
class StepTimer {
public:
    using Clock = std::chrono::steady_clock;

    StepTimer(const CallTrace& trace, CallStep step, Stage stage = Stage::none) noexcept
        : trace_(trace ? &trace : nullptr),
          failure_(usual_failure(step)) {
        event.step = step;
        event.stage = stage;
        if (trace_ != nullptr) {
            begin_ = Clock::now();
        }
    }
    StepTimer(const StepTimer&) = delete;
    StepTimer& operator=(const StepTimer&) = delete;
    ~StepTimer() {
        if (trace_ != nullptr) {
            report(trace_->interruption().value_or(failure_));
        }
    }

    /// The step has succeeded.
    void done() noexcept {
        if (trace_ != nullptr) {
            report(std::nullopt);
            trace_ = nullptr;
        }
    }
    /// Forgets the step: nothing is reported.
    void drop() noexcept { trace_ = nullptr; }
    /// What to report as the failure instead of what is usual for the step.
    void failed_with(Errc code) noexcept { failure_ = code; }
    /// Whether anybody listens: only then details are worth collecting.
    explicit operator bool() const noexcept { return trace_ != nullptr; }

    CallEvent event;  ///< Details may be added until the end.

private:
    void report(std::optional<Errc> error) noexcept {
        event.duration = Clock::now() - begin_;
        event.error = error;
        trace_->emit(event);
    }

    const CallTrace* trace_;
    Clock::time_point begin_;
    Errc failure_;
};

}  // namespace llmproc::async
