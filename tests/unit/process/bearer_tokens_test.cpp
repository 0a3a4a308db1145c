#include "process/bearer_tokens.hpp"

#include <llmproc/error.hpp>
#include "async/spawn.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Time = AccessToken::Time;
using TokenPtr = BearerTokens::TokenPtr;

/// A call that wants a token, and how it ended.
struct Call {
    std::shared_ptr<async::CallContext> context;
    TokenPtr token;
    std::exception_ptr error;
    bool ended = false;

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
};

asio::awaitable<void> fetch(std::shared_ptr<BearerTokens> source, std::shared_ptr<Call> call) {
    call->token = co_await source->get(*call->context);
}

std::shared_ptr<Call> begin(
    asio::io_context& io,
    const std::shared_ptr<BearerTokens>& source,
    const Timeouts& limits = Timeouts()
) {
    auto call = std::make_shared<Call>();
    call->context = std::make_shared<async::CallContext>(io.get_executor(), limits);
    async::spawn(call->context, fetch(source, call), [call](std::exception_ptr error) {
        call->ended = true;
        call->error = std::move(error);
    });
    return call;
}

void run(asio::io_context& io) {
    io.restart();
    io.run();
}

std::string text(const TokenPtr& token) {
    return token ? std::string(token->token.reveal()) : "none";
}

class BearerTokensTest : public ::testing::Test {
protected:
    std::shared_ptr<BearerTokens> source_of(TokenProvider provider) {
        return std::make_shared<BearerTokens>(std::move(provider), [this] { return now; });
    }
    /// Numbers its tokens; each lives for `life`.
    std::shared_ptr<BearerTokens> counting(std::chrono::seconds life = hours(1)) {
        return source_of([this, life] {
            return AccessToken(Secret("t" + std::to_string(++asked)), now + life);
        });
    }
    std::shared_ptr<Call> get(const std::shared_ptr<BearerTokens>& source) {
        std::shared_ptr<Call> call = begin(io, source);
        run(io);
        return call;
    }

    asio::io_context io;
    Time now{hours(1000)};
    int asked = 0;
};

TEST_F(BearerTokensTest, AsksOnceAndAgainAMarginBeforeTheEnd) {
    const auto source = counting();
    EXPECT_EQ(text(get(source)->token), "t1");
    now += minutes(54);
    EXPECT_EQ(text(get(source)->token), "t1");
    now += minutes(1);  // 300 s before the end
    EXPECT_EQ(text(get(source)->token), "t2");
    EXPECT_EQ(asked, 2);
}

TEST_F(BearerTokensTest, AShortLivedTokenIsUsedForHalfItsLife) {
    const auto source = counting(seconds(100));
    EXPECT_EQ(text(get(source)->token), "t1");
    now += seconds(49);
    EXPECT_EQ(text(get(source)->token), "t1");
    now += seconds(1);
    EXPECT_EQ(text(get(source)->token), "t2");
}

TEST_F(BearerTokensTest, TheMarginCanBeSetAndATokenMayHaveNoEnd) {
    const auto late = source_of(
        TokenProvider([this] {
            return AccessToken(Secret("t" + std::to_string(++asked)), now + hours(1));
        }).margin(seconds(0))
    );
    EXPECT_EQ(text(get(late)->token), "t1");
    now += seconds(3599);
    EXPECT_EQ(text(get(late)->token), "t1");
    now += seconds(1);
    EXPECT_EQ(text(get(late)->token), "t2");
    const auto endless = source_of([] { return AccessToken(Secret("e")); });
    EXPECT_EQ(text(get(endless)->token), "e");
    now += hours(100'000);
    EXPECT_EQ(text(get(endless)->token), "e");
}

TEST_F(BearerTokensTest, ManyCallsOnManyLoopsWaitForOneFetch) {
    std::promise<void> gate;
    std::shared_future<void> open = gate.get_future().share();
    std::atomic<int> calls{0};
    const auto source = source_of([&calls, open] {
        ++calls;
        open.wait();
        return AccessToken(Secret("shared"));
    });
    asio::io_context other;
    std::vector<std::shared_ptr<Call>> waiting;
    for (int i = 0; i < 50; ++i) {
        waiting.push_back(begin(io, source));
        waiting.push_back(begin(other, source));
    }
    io.poll();
    other.poll();
    gate.set_value();
    run(io);
    run(other);
    for (const auto& call : waiting) {
        EXPECT_TRUE(call->ended);
        EXPECT_EQ(text(call->token), "shared");
    }
    EXPECT_EQ(calls, 1);
}

TEST_F(BearerTokensTest, ACancelledCallLeavesTheFetchToTheOthers) {
    std::promise<void> gate;
    std::shared_future<void> open = gate.get_future().share();
    const auto source = source_of([this, open] {
        ++asked;
        open.wait();
        return AccessToken(Secret("t"));
    });
    const auto first = begin(io, source);  // it has begun the fetch
    const auto second = begin(io, source);
    io.poll();
    first->context->cancel(CancelReason::user);
    io.poll();
    EXPECT_TRUE(first->ended);
    EXPECT_EQ(first->code(), Errc::cancelled);
    EXPECT_FALSE(second->ended);
    gate.set_value();
    run(io);
    EXPECT_EQ(text(second->token), "t");
    EXPECT_EQ(text(get(source)->token), "t");
    EXPECT_EQ(asked, 1);
}

TEST_F(BearerTokensTest, EachCallWaitsWithinItsOwnLimitWhichNamesTheStage) {
    std::promise<void> gate;
    std::shared_future<void> open = gate.get_future().share();
    const auto source = source_of([open] {
        open.wait();
        return AccessToken(Secret("t"));
    });
    const auto patient = begin(io, source);
    const auto hasty = begin(io, source, Timeouts().token(milliseconds(1)));
    while (!hasty->ended) {
        io.run_one();
    }
    EXPECT_EQ(hasty->code(), Errc::timeout);
    try {
        std::rethrow_exception(hasty->error);
    } catch (const Timeout& error) {
        EXPECT_EQ(error.stage(), Stage::token);
    }
    EXPECT_FALSE(patient->ended);
    gate.set_value();
    run(io);
    EXPECT_EQ(text(patient->token), "t");
}

TEST_F(BearerTokensTest, AFailureEndsAllThatWaitAndTheNextCallAsksAgain) {
    const auto source = source_of([this]() -> AccessToken {
        if (++asked == 1) {
            throw std::runtime_error("no route to the identity server");
        }
        return AccessToken(Secret("t"));
    });
    const auto first = begin(io, source);
    const auto second = begin(io, source);
    run(io);
    // The second may have come after the first fetch had failed.
    EXPECT_EQ(first->code(), Errc::authentication_failed);
    try {
        std::rethrow_exception(first->error);
    } catch (const LLMError& error) {
        EXPECT_NE(error.message().find("token provider"), std::string::npos);
        EXPECT_NE(error.message().find("no route to the identity server"), std::string::npos);
    }
    EXPECT_TRUE(second->ended);
    EXPECT_EQ(text(get(source)->token), "t");
    EXPECT_EQ(asked, 2);
}

TEST_F(BearerTokensTest, WhileTheOldTokenIsGoodAFailedFetchHurtsNobody) {
    const auto source = source_of([this]() -> AccessToken {
        if (++asked == 2) {
            throw std::runtime_error("later");
        }
        return AccessToken(Secret("t" + std::to_string(asked)), now + hours(1));
    });
    EXPECT_EQ(text(get(source)->token), "t1");
    now += minutes(58);
    EXPECT_EQ(text(get(source)->token), "t1");
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(text(get(source)->token), "t3");
}

TEST_F(BearerTokensTest, TokensThatCannotBeUsedAreRefusedWithoutShowingThem) {
    for (const char* const bad : {"", "se cret", "secret\r\nx: y", "secr\xc3\xa9t"}) {
        const auto source = source_of([bad] { return AccessToken(Secret(bad)); });
        const auto call = get(source);
        EXPECT_EQ(call->code(), Errc::authentication_failed);
        try {
            std::rethrow_exception(call->error);
        } catch (const LLMError& error) {
            EXPECT_EQ(error.message().find("se c"), std::string::npos);
            EXPECT_EQ(error.message().find("secr"), std::string::npos);
        }
    }
    const auto expired = source_of([this] { return AccessToken(Secret("t"), now); });
    EXPECT_EQ(get(expired)->code(), Errc::authentication_failed);
}

TEST_F(BearerTokensTest, ARefusedTokenIsNotGivenOutAgainButItsSuccessorIs) {
    const auto source = counting();
    const TokenPtr first = get(source)->token;
    source->invalidate(*first);
    const TokenPtr second = get(source)->token;
    EXPECT_EQ(text(second), "t2");
    source->invalidate(*first);  // a late answer to the old one
    EXPECT_EQ(text(get(source)->token), "t2");
    EXPECT_EQ(asked, 2);
}

TEST_F(BearerTokensTest, ACoroutineMayWait) {
    const auto source = source_of([this]() -> asio::awaitable<AccessToken> {
        ++asked;
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        asio::steady_timer timer(executor, milliseconds(1));
        co_await timer.async_wait(asio::use_awaitable);
        co_return AccessToken(Secret("from-a-coroutine"));
    });
    const auto first = begin(io, source);
    const auto second = begin(io, source);
    run(io);
    EXPECT_EQ(text(first->token), "from-a-coroutine");
    EXPECT_EQ(text(second->token), "from-a-coroutine");
    EXPECT_EQ(asked, 1);
}

TEST_F(BearerTokensTest, ACoroutinesFailureIsTheCallsError) {
    const auto source = source_of([]() -> asio::awaitable<AccessToken> {
        throw std::runtime_error("denied");
        co_return AccessToken();
    });
    EXPECT_EQ(get(source)->code(), Errc::authentication_failed);
}

/// A coroutine that never ends by itself.
asio::awaitable<AccessToken> never(std::shared_ptr<int> asked) {
    ++*asked;
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, hours(24));
    co_await timer.async_wait(asio::use_awaitable);
    co_return AccessToken(Secret("never"));
}

TEST_F(BearerTokensTest, WhenTheLoopOfTheCoroutineDiesTheNextOneAsks) {
    auto doomed = std::make_unique<asio::io_context>();
    const auto calls = std::make_shared<int>(0);
    const auto source = source_of([calls]() -> asio::awaitable<AccessToken> {
        if (*calls == 0) {
            co_return co_await never(calls);
        }
        co_return AccessToken(Secret("second"));
    });
    const auto first = begin(*doomed, source);
    doomed->poll();
    const auto second = begin(io, source);
    io.poll();
    EXPECT_FALSE(second->ended);
    first->context->finish();  // as its process does when the context dies
    doomed.reset();
    run(io);
    EXPECT_TRUE(second->ended);
    EXPECT_EQ(text(second->token), "second");
}

TEST_F(BearerTokensTest, AFetchThatTakesTooLongIsGivenUpByTheNextCall) {
    const auto calls = std::make_shared<int>(0);
    const auto source = source_of([calls]() -> asio::awaitable<AccessToken> {
        if (*calls == 0) {
            co_return co_await never(calls);
        }
        co_return AccessToken(Secret("second"));
    });
    const auto first = begin(io, source);
    io.poll();
    now += BearerTokens::fetch_limit;
    const auto second = begin(io, source);
    while (!second->ended) {
        io.run_one();
    }
    EXPECT_EQ(text(second->token), "second");
    EXPECT_FALSE(first->ended);
    first->context->cancel(CancelReason::user);
    while (!first->ended) {
        io.run_one();
    }
    EXPECT_EQ(first->code(), Errc::cancelled);
}

TEST_F(BearerTokensTest, TheSourceMayDieWhileAThreadAsks) {
    std::promise<void> gate;
    std::promise<void> entered;
    std::shared_future<void> open = gate.get_future().share();
    auto source = std::make_shared<BearerTokens>([&entered, open] {
        entered.set_value();
        open.wait();
        return AccessToken(Secret("t"));
    });
    auto call = begin(io, source);
    io.poll();
    entered.get_future().wait();
    call->context->cancel(CancelReason::closed);
    io.restart();
    io.run();
    EXPECT_EQ(call->code(), Errc::process_closed);
    const std::weak_ptr<BearerTokens> weak = source;
    source.reset();
    call.reset();
    EXPECT_FALSE(weak.expired());  // the thread holds it
    gate.set_value();
}

}  // namespace
}  // namespace llmproc
