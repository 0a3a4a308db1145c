/// @file
/// Bearer tokens from a callback, in place of a key: Entra ID, Google Cloud, one's own gateway.
#pragma once

#include <llmproc/asio_fwd.hpp>
#include <llmproc/export.hpp>
#include <llmproc/secret.hpp>

#include <chrono>
#include <functional>
#include <type_traits>
#include <utility>

namespace llmproc {

/// A bearer token and the time from which on it is worthless.
struct LLMPROC_API AccessToken {
    using Time = std::chrono::system_clock::time_point;

    AccessToken() = default;
    explicit AccessToken(Secret own_token, Time own_expiry = Time::max()) noexcept
        : token(std::move(own_token)),
          expiry(own_expiry) {}

    Secret token;
    Time expiry = Time::max();  ///< The end of time: until the server refuses it.
};

/// Where tokens come from: a function that may block, or a coroutine function.
///
/// It is asked when there is no token, by the first call from `margin` before the token expires, and
/// once when the server answers 401. All processes of a program share the token. Until it expires
/// calls use it; then they wait for the next one, each within its own limits (Stage::token). What
/// the callback throws fails those calls with Errc::authentication_failed; the next call asks again.
///
/// A function runs on a thread that the program has for it. A coroutine runs on the io_context of
/// the call that asks. After 60 s a coroutine is cancelled and a function left to itself, and then
/// or with the context's end the next call asks anew; while two functions hang, calls that need a
/// token fail with Errc::limit_reached.
/// Lifetime: the programs made with it and their processes keep the callback.
/// Thread safety: it is asked by one call at a time (two, if one was given up), on any thread.
class LLMPROC_API TokenProvider {
public:
    using Function = std::function<AccessToken()>;
    using Coroutine =
        std::function<boost::asio::awaitable<AccessToken, boost::asio::any_io_executor>()>;

    /// Implicit, so that a function can be given where a provider is expected.
    template <typename F>
    requires std::is_same_v < std::invoke_result_t < std::decay_t<F>
    & >,
        AccessToken >
            // NOLINTNEXTLINE(google-explicit-constructor,hicpp-explicit-conversions,bugprone-forwarding-reference-overload)
            TokenProvider(F&& ask) : function_(std::forward<F>(ask)) {}
    template <typename F>
    requires std::is_same_v < std::invoke_result_t < std::decay_t<F>
    & >, boost::asio::awaitable < AccessToken,
        boost::asio::any_io_executor >>
            // NOLINTNEXTLINE(google-explicit-constructor,hicpp-explicit-conversions,bugprone-forwarding-reference-overload)
            TokenProvider(F&& ask) : coroutine_(std::forward<F>(ask)) {}

    /// How long before its expiry a token is replaced, 300 s unless said, a day at most; of a token
    /// that lives for less than twice as long, half its life.
    TokenProvider& margin(std::chrono::seconds value) noexcept {
        margin_ = value;
        return *this;
    }

    std::chrono::seconds margin() const noexcept { return margin_; }
    /// Empty if there is a coroutine function.
    const Function& function() const noexcept { return function_; }
    const Coroutine& coroutine() const noexcept { return coroutine_; }

private:
    Function function_;
    Coroutine coroutine_;
    std::chrono::seconds margin_{300};
};

}  // namespace llmproc
