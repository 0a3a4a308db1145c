#include <llmproc/call_metrics.hpp>

#include <algorithm>
#include <utility>

namespace llmproc {

namespace {

void add(StepCounters& counters, const CallEvent& event) noexcept {
    ++counters.count;
    counters.failures += event.error ? 1U : 0U;
    counters.total += event.duration;
    counters.longest = std::max(counters.longest, event.duration);
}

void add_end(CallMetricsSnapshot& counts, const CallEvent& event) noexcept {
    ++counts.calls;
    counts.attempts += static_cast<std::uint64_t>(std::max(event.attempt, 0));
    counts.call_duration.add(event.duration);
    if (event.error) {
        ++counts.failed_calls;
        const auto code = static_cast<std::size_t>(*event.error);
        ++counts.failed_calls_by[code < counts.failed_calls_by.size() ? code : 0];
    }
    if (event.usage != nullptr) {
        counts.usage += *event.usage;
    }
}

/// What is counted beside number and duration of the steps that succeeded.
void add_details(CallMetricsSnapshot& counts, const CallEvent& event) noexcept {
    switch (event.step) {
        case CallStep::dns: ++(event.cached ? counts.cached_lookups : counts.real_lookups); break;
        case CallStep::tls:
            ++(event.resumed ? counts.resumed_handshakes : counts.full_handshakes);
            break;
        case CallStep::reuse: ++counts.reused; break;
        case CallStep::request:
            counts.bytes_sent += event.bytes;
            counts.replaced += event.replaced ? 1U : 0U;
            break;
        case CallStep::first_byte: counts.first_byte.add(event.duration); break;
        default: break;
    }
}

}  // namespace

void DurationHistogram::add(std::chrono::nanoseconds duration) noexcept {
    const auto* const bound = std::lower_bound(bounds.begin(), bounds.end(), duration);
    ++counts[static_cast<std::size_t>(bound - bounds.begin())];
    ++count;
    sum += duration;
}

void CallMetrics::on_event(const CallEvent& event) noexcept {
    const std::lock_guard lock(mutex_);
    add(counts_.steps[static_cast<std::size_t>(event.step)], event);
    if (event.step == CallStep::wait) {
        add(counts_.waits[static_cast<std::size_t>(event.stage)], event);
    } else if (event.step == CallStep::retry) {
        ++counts_.retries;
        counts_.retry_delay += event.delay;
    } else if (event.step == CallStep::done) {
        add_end(counts_, event);
    } else if (!event.error) {
        add_details(counts_, event);
    }
}

CallMetricsSnapshot CallMetrics::snapshot() const {
    const std::lock_guard lock(mutex_);
    return counts_;
}

CallMetricsSnapshot CallMetrics::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(counts_, CallMetricsSnapshot());
}

}  // namespace llmproc
