#include <llmproc/call_metrics.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <numeric>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

CallEvent event_of(CallStep step, nanoseconds duration = milliseconds(1)) {
    CallEvent event;
    event.step = step;
    event.duration = duration;
    return event;
}

CallEvent failed(CallEvent event, Errc code) {
    event.error = code;
    return event;
}

TEST(DurationHistogramTest, TheBoundsAreThoseOfTheGenAiConventions) {
    // gen_ai.client.operation.duration: 0.01 s, and each twice the one before, up to 81.92 s.
    milliseconds bound(10);
    for (const milliseconds actual : DurationHistogram::bounds) {
        EXPECT_EQ(actual, bound);
        bound *= 2;
    }
    EXPECT_EQ(DurationHistogram::bounds.back(), milliseconds(81920));
}

TEST(DurationHistogramTest, ABoundBelongsToItsBucket) {
    DurationHistogram histogram;
    histogram.add(nanoseconds(0));
    histogram.add(milliseconds(10));
    histogram.add(milliseconds(10) + nanoseconds(1));
    histogram.add(milliseconds(81920));
    histogram.add(milliseconds(81920) + nanoseconds(1));
    histogram.add(std::chrono::hours(1));
    EXPECT_EQ(histogram.counts[0], 2U);
    EXPECT_EQ(histogram.counts[1], 1U);
    EXPECT_EQ(histogram.counts[13], 1U);
    EXPECT_EQ(histogram.counts[14], 2U);
    EXPECT_EQ(histogram.count, 6U);
    EXPECT_EQ(
        std::accumulate(histogram.counts.begin(), histogram.counts.end(), std::uint64_t{0}),
        histogram.count
    );
    EXPECT_EQ(histogram.sum, milliseconds(20 + 2 * 81920) + nanoseconds(2) + std::chrono::hours(1));
}

TEST(CallMetricsTest, BeginsWithZeros) {
    const CallMetricsSnapshot counts = CallMetrics().snapshot();
    EXPECT_EQ(counts.calls, 0U);
    EXPECT_EQ(counts.call_duration, DurationHistogram());
    EXPECT_EQ(counts.step(CallStep::done), StepCounters());
    EXPECT_FALSE(counts.usage.reported);
}

TEST(CallMetricsTest, CountsStepsWithFailuresTotalAndLongest) {
    CallMetrics metrics;
    metrics.on_event(event_of(CallStep::connect, milliseconds(3)));
    metrics.on_event(event_of(CallStep::connect, milliseconds(7)));
    metrics.on_event(failed(event_of(CallStep::connect, milliseconds(5)), Errc::connect_failed));
    const StepCounters connects = metrics.snapshot().step(CallStep::connect);
    EXPECT_EQ(connects.count, 3U);
    EXPECT_EQ(connects.failures, 1U);
    EXPECT_EQ(connects.total, milliseconds(15));
    EXPECT_EQ(connects.longest, milliseconds(7));
    EXPECT_EQ(metrics.snapshot().failed_calls, 0U);
    EXPECT_EQ(metrics.snapshot().failures(Errc::connect_failed), 0U);
}

TEST(CallMetricsTest, WaitsAreToldApart) {
    CallMetrics metrics;
    CallEvent wait = event_of(CallStep::wait);
    wait.stage = Stage::queue;
    metrics.on_event(wait);
    wait.stage = Stage::pool;
    metrics.on_event(wait);
    metrics.on_event(failed(wait, Errc::timeout));
    const CallMetricsSnapshot counts = metrics.snapshot();
    EXPECT_EQ(counts.step(CallStep::wait).count, 3U);
    EXPECT_EQ(counts.wait(Stage::queue).count, 1U);
    EXPECT_EQ(counts.wait(Stage::pool).count, 2U);
    EXPECT_EQ(counts.wait(Stage::pool).failures, 1U);
    EXPECT_EQ(counts.wait(Stage::rate_limit).count, 0U);
}

TEST(CallMetricsTest, CountsEndedCallsByTheirEnd) {
    CallMetrics metrics;
    Usage usage;
    usage.input_tokens = 10;
    usage.output_tokens = 5;
    usage.total_tokens = 15;
    usage.reported = true;
    CallEvent done = event_of(CallStep::done, milliseconds(30));
    done.attempt = 1;
    done.usage = &usage;
    metrics.on_event(done);
    done.attempt = 3;
    metrics.on_event(done);
    done.usage = nullptr;
    done.attempt = 2;
    metrics.on_event(failed(done, Errc::cancelled));
    done.attempt = 0;
    metrics.on_event(failed(done, Errc::internal));
    const CallMetricsSnapshot counts = metrics.snapshot();
    EXPECT_EQ(counts.calls, 4U);
    EXPECT_EQ(counts.failed_calls, 2U);
    EXPECT_EQ(counts.failures(Errc::cancelled), 1U);
    EXPECT_EQ(counts.failures(Errc::internal), 1U);
    EXPECT_EQ(counts.attempts, 6U);
    EXPECT_EQ(counts.usage.input_tokens, 20);
    EXPECT_EQ(counts.usage.output_tokens, 10);
    EXPECT_EQ(counts.usage.total_tokens, 30);
    EXPECT_TRUE(counts.usage.reported);
    EXPECT_EQ(counts.call_duration.count, 4U);
    EXPECT_EQ(counts.call_duration.counts[2], 4U);
}

TEST(CallMetricsTest, CountsRetriesAndTheirDelay) {
    CallMetrics metrics;
    CallEvent retry = failed(event_of(CallStep::retry, nanoseconds(0)), Errc::overloaded);
    retry.delay = microseconds(700);
    metrics.on_event(retry);
    metrics.on_event(retry);
    EXPECT_EQ(metrics.snapshot().retries, 2U);
    EXPECT_EQ(metrics.snapshot().retry_delay, microseconds(1400));
}

TEST(CallMetricsTest, DetailsAreCountedOfStepsThatSucceeded) {
    CallMetrics metrics;
    CallEvent dns = event_of(CallStep::dns);
    metrics.on_event(dns);
    metrics.on_event(failed(dns, Errc::resolve_failed));
    dns.cached = true;
    metrics.on_event(dns);
    metrics.on_event(dns);
    CallEvent tls = event_of(CallStep::tls);
    metrics.on_event(tls);
    metrics.on_event(failed(tls, Errc::certificate_invalid));
    tls.resumed = true;
    metrics.on_event(tls);
    metrics.on_event(tls);
    metrics.on_event(tls);
    metrics.on_event(event_of(CallStep::reuse));
    CallEvent request = event_of(CallStep::request);
    request.bytes = 100;
    metrics.on_event(request);
    metrics.on_event(failed(request, Errc::connection_lost));
    request.replaced = true;
    metrics.on_event(request);
    metrics.on_event(event_of(CallStep::first_byte, milliseconds(15)));
    metrics.on_event(failed(event_of(CallStep::first_byte), Errc::timeout));
    const CallMetricsSnapshot counts = metrics.snapshot();
    EXPECT_EQ(counts.real_lookups, 1U);
    EXPECT_EQ(counts.cached_lookups, 2U);
    EXPECT_EQ(counts.full_handshakes, 1U);
    EXPECT_EQ(counts.resumed_handshakes, 3U);
    EXPECT_EQ(counts.reused, 1U);
    EXPECT_EQ(counts.bytes_sent, 200U);
    EXPECT_EQ(counts.replaced, 1U);
    EXPECT_EQ(counts.first_byte.count, 1U);
    EXPECT_EQ(counts.first_byte.counts[1], 1U);
}

TEST(CallMetricsTest, TakeBeginsAnew) {
    CallMetrics metrics;
    metrics.on_event(event_of(CallStep::done));
    EXPECT_EQ(metrics.take().calls, 1U);
    EXPECT_EQ(metrics.snapshot().calls, 0U);
    metrics.on_event(event_of(CallStep::done));
    EXPECT_EQ(metrics.take().calls, 1U);
}

TEST(CallMetricsTest, LosesNothingBetweenThreads) {
    constexpr int threads = 4;
    constexpr int events = 2000;
    CallMetrics metrics;
    std::vector<std::thread> all;
    all.reserve(threads);
    for (int i = 0; i < threads; ++i) {
        all.emplace_back([&metrics] {
            for (int k = 0; k < events; ++k) {
                metrics.on_event(event_of(CallStep::done));
            }
        });
    }
    std::uint64_t taken = 0;
    for (int k = 0; k < events; ++k) {
        const CallMetricsSnapshot counts = metrics.take();
        EXPECT_EQ(counts.calls, counts.call_duration.count);
        taken += counts.calls;
    }
    for (std::thread& thread : all) {
        thread.join();
    }
    EXPECT_EQ(taken + metrics.snapshot().calls, std::uint64_t{threads} * events);
}

}  // namespace
}  // namespace llmproc
