/// @file
/// An observer that counts.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/export.hpp>
#include <llmproc/observer.hpp>
#include <llmproc/usage.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace llmproc {

/// Steps of one kind.
struct StepCounters {
    std::uint64_t count = 0;              ///< All of them, the failed ones included.
    std::uint64_t failures = 0;           ///< Failed, or ended from outside.
    std::chrono::nanoseconds total{0};    ///< Sum of the durations.
    std::chrono::nanoseconds longest{0};  ///< The longest duration.
    friend bool operator==(const StepCounters&, const StepCounters&) = default;
};

/// Durations by size. The bounds are those that OpenTelemetry's GenAI conventions advise for
/// gen_ai.client.operation.duration: docs/observability.md.
struct DurationHistogram {
    /// Upper bounds, themselves included; what is longer than the last one is counted after it.
    static constexpr std::array<std::chrono::milliseconds, 14> bounds{
        std::chrono::milliseconds(10),
        std::chrono::milliseconds(20),
        std::chrono::milliseconds(40),
        std::chrono::milliseconds(80),
        std::chrono::milliseconds(160),
        std::chrono::milliseconds(320),
        std::chrono::milliseconds(640),
        std::chrono::milliseconds(1280),
        std::chrono::milliseconds(2560),
        std::chrono::milliseconds(5120),
        std::chrono::milliseconds(10240),
        std::chrono::milliseconds(20480),
        std::chrono::milliseconds(40960),
        std::chrono::milliseconds(81920)};

    std::array<std::uint64_t, bounds.size() + 1> counts{};  ///< Each bucket alone, not summed up.
    std::uint64_t count = 0;
    std::chrono::nanoseconds sum{0};

    LLMPROC_API void add(std::chrono::nanoseconds duration) noexcept;
    friend bool operator==(const DurationHistogram&, const DurationHistogram&) = default;
};

/// What `CallMetrics` has counted: plain values.
struct CallMetricsSnapshot {
    static constexpr std::size_t step_kinds = static_cast<std::size_t>(CallStep::done) + 1;
    static constexpr std::size_t stages = static_cast<std::size_t>(Stage::total) + 1;
    static constexpr std::size_t codes = static_cast<std::size_t>(Errc::internal) + 1;

    std::array<StepCounters, step_kinds> steps{};        ///< By CallStep; see `step`.
    std::array<StepCounters, stages> waits{};            ///< CallStep::wait by Stage; see `wait`.
    std::array<std::uint64_t, codes> failed_calls_by{};  ///< By Errc; see `failures`.

    std::uint64_t calls = 0;                   ///< Calls that have ended.
    std::uint64_t failed_calls = 0;            ///< Those that failed or were cancelled.
    std::uint64_t attempts = 0;                ///< Attempts of the calls that have ended.
    std::uint64_t retries = 0;                 ///< Attempts that failed and were repeated.
    std::chrono::microseconds retry_delay{0};  ///< Waiting times announced by these.

    std::uint64_t full_handshakes = 0;     ///< TLS handshakes with certificates.
    std::uint64_t resumed_handshakes = 0;  ///< Those that resumed a TLS session.
    std::uint64_t real_lookups = 0;        ///< Successful look-ups that made a query.
    std::uint64_t cached_lookups = 0;      ///< Those that needed none.
    std::uint64_t reused = 0;              ///< Requests begun on a kept-alive connection.
    std::uint64_t replaced = 0;            ///< Of these, sent anew: the connection was dead.
    std::uint64_t bytes_sent = 0;          ///< Header and body of all requests.

    Usage usage;                      ///< Sum over the calls that succeeded.
    DurationHistogram call_duration;  ///< Whole calls, failed ones included.
    DurationHistogram first_byte;     ///< From a request sent to its answer's complete header.

    const StepCounters& step(CallStep kind) const noexcept {
        return steps[static_cast<std::size_t>(kind)];
    }
    const StepCounters& wait(Stage stage) const noexcept {
        return waits[static_cast<std::size_t>(stage)];
    }
    /// Calls that failed with `code`.
    std::uint64_t failures(Errc code) const noexcept {
        return failed_calls_by[static_cast<std::size_t>(code)];
    }
};

/// Counts the events of any number of programs; it allocates nothing and does no I/O.
/// Thread safety: all members from any thread.
class LLMPROC_API CallMetrics final : public Observer {
public:
    CallMetrics() = default;

    void on_event(const CallEvent& event) noexcept override;
    /// All counters at one moment.
    CallMetricsSnapshot snapshot() const;
    /// The same, and begins anew from zero: no event is lost or counted twice.
    CallMetricsSnapshot take();

private:
    mutable std::mutex mutex_;
    CallMetricsSnapshot counts_;
};

}  // namespace llmproc
