#include "process/retry_loop.hpp"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <optional>
#include <random>

namespace llmproc {

namespace asio = boost::asio;

namespace {

/// Chance for the jitter: not reproducible, so that clients do not march in step.
double random01() {
    thread_local std::minstd_rand generator(std::random_device{}());
    return std::uniform_real_distribution<double>(0.0, 1.0)(generator);
}

/// The status that an error would have had: providers also report errors after status 200.
std::optional<int> status_of(const LLMError& error) {
    if (error.errc() == Errc::proxy_refused) {
        return std::nullopt;  // The status is the proxy's: the provider was not asked.
    }
    const std::optional<int>& status = error.diagnostics().status;
    constexpr int first_error = 400;
    if (status && *status >= first_error) {
        return status;
    }
    switch (error.errc()) {
        case Errc::rate_limited: return 429;
        case Errc::conflict: return 409;
        case Errc::server_error: return 500;
        case Errc::overloaded: return 503;
        default: return std::nullopt;
    }
}

/// Limits that another attempt would only meet again.
bool is_queueing(Stage stage) noexcept {
    return stage == Stage::queue || stage == Stage::rate_limit || stage == Stage::token ||
           stage == Stage::pool || stage == Stage::consumer;
}

Stage stage_of(const LLMError& error) {
    const auto* const timeout = dynamic_cast<const Timeout*>(&error);
    return timeout != nullptr ? timeout->stage() : error.diagnostics().stage;
}

bool is_connection_error(const LLMError& error) {
    if (const auto* const timeout = dynamic_cast<const Timeout*>(&error)) {
        return !is_queueing(timeout->stage());
    }
    return error.code() == Condition::retryable;
}

/// What failed, and where.
struct What {
    Errc code = Errc::internal;
    Stage stage = Stage::none;
};

What what_of(const std::exception_ptr& error) {
    What what;
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        what.code = known.errc();
        what.stage = stage_of(known);
    } catch (...) {
        // Not one of ours: a bug.
        what.code = Errc::internal;
    }
    return what;
}

/// How long to wait before the next attempt; throws `error` if there is none.
std::chrono::microseconds delay_after(
    async::CallContext& call,
    const wire::RetryPolicy& policy,
    const Attempt& attempt,
    int number,
    const std::exception_ptr& error
) {
    wire::Failure failure = failure_of(error);
    failure.headers = &attempt.refusal;
    failure.attempt = number;
    failure.delivered = attempt.delivered();
    const wire::RetryDecision decision =
        wire::decide(policy, failure, random01(), std::chrono::system_clock::now());
    if (!decision.retry || !attempt.repeatable(what_of(error).code)) {
        std::rethrow_exception(error);
    }
    report_failed_attempt(call, error, decision.delay);
    return decision.delay;
}

/// What a failed attempt has cost is spent, whether or not another follows.
void account_for(Attempt& attempt, const std::exception_ptr& error, const Diagnostics& note) {
    std::optional<Usage> usage = note.partial_usage;
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        if (known.diagnostics().partial_usage) {
            usage = known.diagnostics().partial_usage;
        }
    } catch (...) {
        // It knows of no usage.
    }
    if (usage) {
        attempt.failed_after(*usage);
    }
}

void forget_last_attempt(Diagnostics& note) {
    note.status.reset();
    note.request_id.clear();
    note.partial_text.clear();
    note.partial_usage.reset();
    note.retry_after.reset();
    note.stage = Stage::none;
}

}  // namespace

wire::Failure failure_of(const std::exception_ptr& error) {
    wire::Failure failure;
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        failure.status = status_of(known);
        failure.provider_code = known.diagnostics().provider_code;
        if (known.errc() == Errc::insufficient_quota) {
            failure.provider_code = "insufficient_quota";
        }
        failure.connection_error = is_connection_error(known);
    } catch (...) {
        // Whatever it is, it did not come from the network.
        failure.connection_error = false;
    }
    return failure;
}

void report_failed_attempt(
    async::CallContext& call,
    const std::exception_ptr& error,
    std::chrono::microseconds delay
) {
    if (!call.trace()) {
        return;
    }
    const What what = what_of(error);
    CallEvent event;
    event.step = CallStep::retry;
    event.error = what.code;
    event.stage = what.stage;
    event.status = failure_of(error).status.value_or(0);
    event.delay = delay;
    call.trace().emit(event);
}

asio::awaitable<void> perform_with_retries(
    async::CallContext& call,
    const wire::RetryPolicy& policy,
    Attempt& attempt,
    RetryCounters& counters,
    Diagnostics& note
) {
    const int before = note.attempts;
    for (int number = 1;; ++number) {
        note.attempts = before + number;
        call.trace().attempt(note.attempts);
        attempt.refusal.clear();
        std::exception_ptr error;
        try {
            call.begin_attempt();
            co_await attempt.perform();
        } catch (...) {
            error = attempt.presentable(call.translate(std::current_exception()));
        }
        if (!error) {
            call.end_attempt();
            co_return;
        }
        account_for(attempt, error, note);
        if (!call.recover()) {
            std::rethrow_exception(error);
        }
        const std::chrono::microseconds delay = delay_after(call, policy, attempt, number, error);
        error = nullptr;
        // The limit that ended the attempt has cancelled this coroutine; it begins anew.
        const asio::enable_terminal_cancellation terminal;
        co_await asio::this_coro::reset_cancellation_state(terminal);
        co_await call.sleep(Stage::retry, delay);
        forget_last_attempt(note);
        counters.retries.fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace llmproc
