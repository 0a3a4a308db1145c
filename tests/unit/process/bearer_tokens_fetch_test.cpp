// How tokens are fetched: by coroutines, by functions that block or hang.
#include <llmproc/executor.hpp>
#include "unit/process/bearer_tokens_support.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace llmproc::testing_tokens {
namespace {

using BearerTokensFetchTest = BearerTokensTest;

TEST_F(BearerTokensFetchTest, ACoroutineMayWait) {
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

TEST_F(BearerTokensFetchTest, ACoroutinesFailureIsTheCallsError) {
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

TEST_F(BearerTokensFetchTest, WhenTheLoopOfTheCoroutineDiesTheNextOneAsks) {
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

TEST_F(BearerTokensFetchTest, AFetchThatTakesTooLongIsGivenUpByTheNextCall) {
    const auto calls = std::make_shared<int>(0);
    const auto source = source_of([calls]() -> asio::awaitable<AccessToken> {
        if (*calls == 0) {
            co_return co_await never(calls);
        }
        co_return AccessToken(Secret("second"));
    });
    const auto first = begin(io, source);
    io.poll();
    steady += BearerTokens::fetch_limit;
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

TEST_F(BearerTokensFetchTest, ACoroutineThatTakesTooLongIsCancelled) {
    limit = milliseconds(1);
    bool cancelled = false;
    const auto source = source_of([&cancelled]() -> asio::awaitable<AccessToken> {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        asio::steady_timer timer(executor, hours(24));
        try {
            co_await timer.async_wait(asio::use_awaitable);
        } catch (const std::exception&) {
            cancelled = true;
            throw;
        }
        co_return AccessToken(Secret("never"));
    });
    const auto call = get(source);  // without a limit of its own
    EXPECT_TRUE(cancelled);
    ASSERT_TRUE(call->ended);
    EXPECT_EQ(call->code(), Errc::timeout);
    EXPECT_THROW(std::rethrow_exception(call->error), Timeout);
}

TEST_F(BearerTokensFetchTest, AFunctionNeedsNoThreadOfThoseWhoMayWaitForIt) {
    std::promise<void> gate;
    std::shared_future<void> open = gate.get_future().share();
    asio::io_context busy;
    const auto threads = std::max<std::size_t>(4, std::thread::hardware_concurrency());
    for (std::size_t i = 0; i < threads; ++i) {
        asio::co_spawn(
            busy,
            run_in_executor([open] { open.wait(); }),
            [](const std::exception_ptr& error) { EXPECT_FALSE(error); }
        );
    }
    busy.poll();
    const auto source = source_of([] { return AccessToken(Secret("t")); });
    EXPECT_EQ(text(get(source)->token), "t");
    gate.set_value();
    run(busy);
}

TEST_F(BearerTokensFetchTest, OfFunctionsThatHangThereAreTwo) {
    std::promise<void> gate;
    std::shared_future<void> open = gate.get_future().share();
    std::atomic<int> calls{0};
    const auto source = source_of([&calls, open] {
        ++calls;
        open.wait();
        return AccessToken(Secret("t"));
    });
    const auto first = begin(io, source);
    io.poll();
    steady += BearerTokens::fetch_limit;
    const auto second = begin(io, source);
    io.poll();
    steady += BearerTokens::fetch_limit;
    const auto third = begin(io, source);
    io.poll();
    EXPECT_FALSE(first->ended);
    EXPECT_FALSE(second->ended);
    ASSERT_TRUE(third->ended);
    EXPECT_EQ(third->code(), Errc::limit_reached);
    try {
        std::rethrow_exception(third->error);
    } catch (const LLMError& error) {
        EXPECT_NE(error.message().find("have not returned"), std::string::npos);
    }
    gate.set_value();
    run(io);
    EXPECT_EQ(text(first->token), "t");
    EXPECT_EQ(text(second->token), "t");
    EXPECT_EQ(calls, 2);
    source->invalidate(*second->token);
    EXPECT_EQ(text(get(source)->token), "t");  // their threads are free again
}

TEST_F(BearerTokensFetchTest, TheSourceMayDieWhileAThreadAsks) {
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
}  // namespace llmproc::testing_tokens
