// Calls that want a token, and a source whose clocks stand still.
#pragma once

#include <llmproc/error.hpp>
#include "async/spawn.hpp"
#include "process/bearer_tokens.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace llmproc::testing_tokens {

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

inline asio::awaitable<void> fetch(
    std::shared_ptr<BearerTokens> source,
    std::shared_ptr<Call> call
) {
    call->token = co_await source->get(*call->context);
}

inline std::shared_ptr<Call> begin(
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

inline void run(asio::io_context& io) {
    io.restart();
    io.run();
}

inline std::string text(const TokenPtr& token) {
    return token ? std::string(token->token.reveal()) : "none";
}

class BearerTokensTest : public ::testing::Test {
protected:
    std::shared_ptr<BearerTokens> source_of(TokenProvider provider) {
        BearerTokens::Clocks clocks;
        clocks.now = [this] { return now; };
        clocks.steady = [this] { return steady; };
        return std::make_shared<BearerTokens>(std::move(provider), std::move(clocks), limit);
    }
    /// Numbers its tokens; each lives for `life`. `get` returns when the fetch that it began has
    /// ended too.
    std::shared_ptr<BearerTokens> counting(std::chrono::seconds life = hours(1)) {
        return source_of(numbered(life));
    }
    TokenProvider numbered(std::chrono::seconds life) {
        return {[this, life]() -> asio::awaitable<AccessToken> {
            co_return AccessToken(Secret("t" + std::to_string(++asked)), now + life);
        }};
    }
    std::shared_ptr<Call> get(const std::shared_ptr<BearerTokens>& source) {
        std::shared_ptr<Call> call = begin(io, source);
        run(io);
        return call;
    }

    asio::io_context io;
    Time now{hours(1000)};
    BearerTokens::Steady steady{hours(10)};
    milliseconds limit = BearerTokens::fetch_limit;
    int asked = 0;
};

}  // namespace llmproc::testing_tokens
