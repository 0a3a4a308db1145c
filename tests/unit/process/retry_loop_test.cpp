#include "process/retry_loop.hpp"

#include "async/spawn.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

std::exception_ptr error_with(Errc code, std::optional<int> status = std::nullopt) {
    Diagnostics diagnostics;
    diagnostics.status = status;
    return std::make_exception_ptr(LLMError(code, "scripted", std::move(diagnostics)));
}

/// Throws the scripted errors one after the other, then succeeds.
class ScriptedAttempt final : public Attempt {
public:
    asio::awaitable<void> perform() override {
        ++performed;
        if (hold) {
            co_await call->wait_notified(Stage::first_byte);
        }
        if (!errors.empty()) {
            const std::exception_ptr error = errors.front();
            errors.pop_front();
            if (!header.first.empty()) {
                refusal.add(header.first, header.second);
            }
            std::rethrow_exception(error);
        }
    }
    bool delivered() const noexcept override { return part_delivered; }

    std::shared_ptr<async::CallContext> call;
    std::deque<std::exception_ptr> errors;
    std::pair<std::string, std::string> header;
    int performed = 0;
    bool part_delivered = false;
    bool hold = false;  ///< Wait for ever, which a limit must end.
};

class RetryLoopTest : public ::testing::Test {
protected:
    RetryLoopTest() { policy.initial_delay = milliseconds(0); }

    void run(const Timeouts& limits = Timeouts()) {
        start(limits);
        io.run();
    }
    void start(const Timeouts& limits = Timeouts()) {
        call = std::make_shared<async::CallContext>(io.get_executor(), limits);
        attempt.call = call;
        async::spawn(
            call,
            perform_with_retries(*call, policy, attempt, counters, note),
            [this](std::exception_ptr ended_with) {
                ended = true;
                error = std::move(ended_with);
            }
        );
    }
    Errc code() const {
        try {
            if (error) {
                std::rethrow_exception(error);
            }
        } catch (const LLMError& known) {
            return known.errc();
        }
        ADD_FAILURE() << "no error";
        return Errc::internal;
    }

    asio::io_context io;
    wire::RetryPolicy policy;
    ScriptedAttempt attempt;
    RetryCounters counters;
    Diagnostics note;
    std::shared_ptr<async::CallContext> call;
    bool ended = false;
    std::exception_ptr error;
};

TEST_F(RetryLoopTest, RepeatsUntilItSucceeds) {
    attempt.errors = {error_with(Errc::overloaded, 529), error_with(Errc::connection_lost)};
    run();
    EXPECT_FALSE(error);
    EXPECT_EQ(attempt.performed, 3);
    EXPECT_EQ(note.attempts, 3);
    EXPECT_EQ(counters.retries, 2U);
}

TEST_F(RetryLoopTest, ThrowsTheLastErrorWhenTheAttemptsAreUsedUp) {
    attempt.errors = {
        error_with(Errc::server_error, 500),
        error_with(Errc::server_error, 500),
        error_with(Errc::overloaded, 503)};
    run();
    EXPECT_EQ(code(), Errc::overloaded);
    EXPECT_EQ(note.attempts, 3);
}

TEST_F(RetryLoopTest, OneAttemptMeansNoRetry) {
    policy.max_attempts = 1;
    attempt.errors = {error_with(Errc::server_error, 500)};
    run();
    EXPECT_EQ(code(), Errc::server_error);
    EXPECT_EQ(attempt.performed, 1);
}

TEST_F(RetryLoopTest, NothingIsRepeatedOnceSomethingWasDelivered) {
    attempt.part_delivered = true;
    attempt.errors = {error_with(Errc::connection_lost)};
    run();
    EXPECT_EQ(code(), Errc::connection_lost);
    EXPECT_EQ(attempt.performed, 1);
}

TEST_F(RetryLoopTest, FinalErrorsAreNotRepeated) {
    const std::vector<std::pair<Errc, std::optional<int>>> cases{
        {Errc::invalid_request, 400},
        {Errc::authentication_failed, 401},
        {Errc::not_found, 404},
        {Errc::insufficient_quota, 429},
        {Errc::certificate_invalid, std::nullopt},
        {Errc::certificate_host, std::nullopt},
        {Errc::tls_handshake_failed, std::nullopt},
        {Errc::malformed_http, std::nullopt},
        {Errc::malformed_response, 200},
        {Errc::body_too_large, 200},
        {Errc::proxy_refused, 407},
        {Errc::limit_reached, std::nullopt},
        {Errc::internal, std::nullopt}};
    for (const auto& [errc, status] : cases) {
        attempt.performed = 0;
        attempt.errors = {error_with(errc, status)};
        io.restart();
        run();
        EXPECT_EQ(code(), errc);
        EXPECT_EQ(attempt.performed, 1) << make_error_code(errc).message();
    }
}

TEST_F(RetryLoopTest, ErrorsInsideAnAnswerOfStatus200CountAsTheirKind) {
    attempt.errors = {error_with(Errc::overloaded, 200), error_with(Errc::rate_limited, 200)};
    run();
    EXPECT_FALSE(error);
    EXPECT_EQ(attempt.performed, 3);
}

TEST_F(RetryLoopTest, TheServersWishDecides) {
    attempt.header = {"x-should-retry", "false"};
    attempt.errors = {error_with(Errc::server_error, 500)};
    run();
    EXPECT_EQ(code(), Errc::server_error);
    EXPECT_EQ(attempt.performed, 1);
}

TEST_F(RetryLoopTest, ALimitOfTheAttemptIsRepeated) {
    attempt.hold = true;
    run(Timeouts().first_byte(milliseconds(1)));
    EXPECT_EQ(code(), Errc::timeout);
    EXPECT_EQ(attempt.performed, 3);
    try {
        std::rethrow_exception(error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::first_byte);
    }
}

TEST_F(RetryLoopTest, TheTotalLimitIsNotRepeated) {
    attempt.hold = true;
    run(Timeouts().total(milliseconds(1)));
    EXPECT_EQ(code(), Errc::timeout);
    EXPECT_EQ(attempt.performed, 1);
}

TEST_F(RetryLoopTest, TheWaitForTheNextAttemptIsCancelled) {
    attempt.header = {"retry-after", "60"};
    attempt.errors = {error_with(Errc::rate_limited, 429)};
    start();
    io.poll();  // it waits now
    EXPECT_FALSE(ended);
    call->cancel(CancelReason::user);
    io.run();
    EXPECT_EQ(code(), Errc::cancelled);
    EXPECT_EQ(attempt.performed, 1);
}

TEST_F(RetryLoopTest, TheTotalLimitHoldsWhileItWaits) {
    attempt.header = {"retry-after", "60"};
    attempt.errors = {error_with(Errc::rate_limited, 429)};
    run(Timeouts().total(milliseconds(5)));
    EXPECT_EQ(attempt.performed, 1);
    try {
        std::rethrow_exception(error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::retry);
    }
}

TEST_F(RetryLoopTest, ARefusingProxyIsNotAskedAgain) {
    attempt.errors = {error_with(Errc::proxy_refused, 503)};
    run();
    EXPECT_EQ(code(), Errc::proxy_refused);
    EXPECT_EQ(attempt.performed, 1);
}

TEST_F(RetryLoopTest, NotesOfAFailedAttemptAreForgotten) {
    note.status = 500;
    note.request_id = "req_1";
    note.partial_text = "half";
    attempt.errors = {error_with(Errc::server_error, 500)};
    run();
    EXPECT_FALSE(note.status);
    EXPECT_EQ(note.request_id, "");
    EXPECT_EQ(note.partial_text, "");
}

TEST_F(RetryLoopTest, ForeignExceptionsAreNotRepeated) {
    attempt.errors = {std::make_exception_ptr(std::runtime_error("bug"))};
    run();
    EXPECT_EQ(attempt.performed, 1);
    EXPECT_THROW(std::rethrow_exception(error), std::runtime_error);
}

}  // namespace
}  // namespace llmproc
