#include "unit/process/bearer_tokens_support.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing_tokens {
namespace {

TEST_F(BearerTokensTest, AsksOnceAndAgainAMarginBeforeTheEnd) {
    const auto source = counting();
    EXPECT_EQ(text(get(source)->token), "t1");
    now += minutes(54);
    EXPECT_EQ(text(get(source)->token), "t1");
    EXPECT_EQ(asked, 1);
    now += minutes(1);  // 300 s before the end
    EXPECT_EQ(text(get(source)->token), "t1");
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(text(get(source)->token), "t2");
    EXPECT_EQ(asked, 2);
}

TEST_F(BearerTokensTest, AShortLivedTokenIsUsedForHalfItsLife) {
    const auto source = counting(seconds(100));
    EXPECT_EQ(text(get(source)->token), "t1");
    now += seconds(49);
    EXPECT_EQ(text(get(source)->token), "t1");
    EXPECT_EQ(asked, 1);
    now += seconds(1);
    EXPECT_EQ(text(get(source)->token), "t1");
    EXPECT_EQ(text(get(source)->token), "t2");
}

TEST_F(BearerTokensTest, NobodyWaitsForTheNextTokenWhileTheLastOneIsGood) {
    std::promise<void> gate;
    std::shared_future<void> open = gate.get_future().share();
    const auto source = source_of([this, open, end = now + hours(1)] {
        if (++asked == 1) {
            return AccessToken(Secret("t1"), end);
        }
        open.wait();
        return AccessToken(Secret("t2"));
    });
    EXPECT_EQ(text(get(source)->token), "t1");
    now += minutes(56);
    EXPECT_EQ(text(get(source)->token), "t1");  // it begins the fetch
    EXPECT_EQ(text(get(source)->token), "t1");
    now += minutes(4);
    const auto late = begin(io, source);
    io.restart();
    io.poll();
    EXPECT_FALSE(late->ended);
    gate.set_value();
    run(io);
    EXPECT_EQ(text(late->token), "t2");
    EXPECT_EQ(asked, 2);
}

TEST_F(BearerTokensTest, TheMarginCanBeSetAndATokenMayHaveNoEnd) {
    const auto late = source_of(numbered(hours(1)).margin(seconds(0)));
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
    const auto source = source_of([this]() -> asio::awaitable<AccessToken> {
        if (++asked == 2) {
            throw std::runtime_error("later");
        }
        co_return AccessToken(Secret("t" + std::to_string(asked)), now + hours(1));
    });
    EXPECT_EQ(text(get(source)->token), "t1");
    now += minutes(58);
    EXPECT_EQ(text(get(source)->token), "t1");
    EXPECT_EQ(asked, 2);
    EXPECT_EQ(text(get(source)->token), "t1");
    EXPECT_EQ(asked, 3);
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

}  // namespace
}  // namespace llmproc::testing_tokens
