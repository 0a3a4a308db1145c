/// @file
/// Repeats a request that failed in passing, as the retry policy decides.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/http_message.hpp>
#include <llmproc/usage.hpp>
#include "async/call_context.hpp"
#include "wire/retry_policy.hpp"

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>

namespace llmproc {

/// One request of a call, which may be made several times.
class Attempt {
public:
    Attempt() = default;
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    virtual ~Attempt() = default;

    /// Tries once; begins anew each time.
    virtual boost::asio::awaitable<void> perform() = 0;
    /// Whether something of the answer has reached the caller: then nothing is repeated.
    virtual bool delivered() const noexcept { return false; }
    /// Whether a failure of this kind may be repeated at all.
    virtual bool repeatable(Errc /*code*/) const noexcept { return true; }
    /// The error of an attempt as it may be shown.
    virtual std::exception_ptr presentable(const std::exception_ptr& error) const { return error; }
    /// An attempt has failed after the provider had reported this usage.
    virtual void failed_after(const Usage& /*usage*/) noexcept {}

    /// The header of the last answer that was no success.
    Headers refusal;
};

/// What all calls of a process share.
struct RetryCounters {
    std::atomic<std::uint64_t> retries{0};
};

/// Performs `attempt` until it succeeds or its failure is final, which is thrown.
///
/// `note` counts the attempts, on top of those it has, and loses what an earlier one left in it.
/// Cancellation: at every point, the waits between attempts included.
boost::asio::awaitable<void> perform_with_retries(
    async::CallContext& call,
    const wire::RetryPolicy& policy,
    Attempt& attempt,
    RetryCounters& counters,
    Diagnostics& note
);

/// Tells the observer of `call` that an attempt has failed with `error` and is repeated after
/// `delay`, with the same model or the next one.
void report_failed_attempt(
    async::CallContext& call,
    const std::exception_ptr& error,
    std::chrono::microseconds delay
);

/// What the retry rules need to know of an error. Pure.
wire::Failure failure_of(const std::exception_ptr& error);

}  // namespace llmproc
