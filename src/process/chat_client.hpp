/// @file
/// One exchange with the provider: ChatRequest out, ChatReply or stream events back.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/provider.hpp>
#include "async/call_context.hpp"
#include "process/chat_attempts.hpp"
#include "process/process_settings.hpp"
#include "process/reply_sink.hpp"
#include "process/retry_loop.hpp"
#include "process/spending.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc {

/// For whom and under which terms a model is asked.
/// Lifetime: the arguments must outlive it.
struct CallTerms {
    CallTerms(
        async::CallContext& own_call,
        const wire::RetryPolicy& own_policy,
        RunSpending& own_account
    )
        : call(own_call),
          policy(own_policy),
          account(own_account) {}

    async::CallContext& call;
    const wire::RetryPolicy& policy;
    RunSpending& account;  ///< May refuse; each model that is asked is an exchange of its own.
};

/// Speaks one provider's protocol over HTTP, trying again as `policy` says. Used on the executor of the calls it is given.
class ChatClient {
public:
    /// Throws as net::HttpClient's constructor.
    explicit ChatClient(std::shared_ptr<const ProcessSettings> settings);
    /// Requests wait for `limiter` from now on.
    void limit_by(std::shared_ptr<net::RateLimiter> limiter) noexcept;
    /// Names the group that shares limits: equal server and key. Holds a hash of the key only.
    std::string rate_limit_group() const;

    /// `note` collects what is known for the error's diagnostics, on success and failure alike.
    /// Throws LLMError{budget_exhausted} if the account refuses; else that learns what was used.
    boost::asio::awaitable<ChatReply> send(
        const CallTerms& terms,
        const ChatRequest& request,
        EncodeCache& cache,
        Diagnostics& note
    );
    boost::asio::awaitable<ChatReply> stream(
        const CallTerms& terms,
        const ChatRequest& request,
        EncodeCache& cache,
        ReplySink& sink,
        Diagnostics& note
    );
    /// Asks another endpoint; the codec's `decode` reads the answer. `exchange` is told what
    /// failed attempts have used; null = they use nothing.
    template <typename T>
    boost::asio::awaitable<T> fetch(
        async::CallContext& call,
        const wire::RetryPolicy& policy,
        HttpRequest request,
        T (Codec::*decode)(const HttpResponse& response) const,
        Diagnostics& note,
        Exchange* exchange = nullptr
    ) {
        FetchedValue<T> attempt(transport_, call, note, exchange, std::move(request), decode);
        co_await perform_with_retries(call, policy, attempt, retry_counters_, note);
        co_return std::move(attempt.value);
    }

    /// The request that has `request`, with all its parameters, counted; none = the protocol has
    /// none.
    std::optional<HttpRequest> encode_count(const ChatRequest& request) const;

    const net::HttpCounters& counters() const noexcept { return transport_.http.counters(); }
    const RetryCounters& retry_counters() const noexcept { return retry_counters_; }
    /// Provider, model and address, for diagnostics.
    Diagnostics describe(const ChatRequest& request) const { return describe(request.model); }
    Diagnostics describe(const std::string& model) const;
    /// Tells a call's trace whom it will talk to; no `model` = the program's.
    void introduce(async::CallTrace& trace, const std::string& model = std::string()) const;

private:
    HttpRequest encode(const ChatRequest& request, bool stream, EncodeCache& cache) const;

    ChatTransport transport_;
    RetryCounters retry_counters_;
};

/// Fills what `error` does not know from `note`, and turns foreign exceptions of the transport into
/// LLMError. Any other exception is returned as it is.
std::exception_ptr annotated(const std::exception_ptr& error, const Diagnostics& note);

}  // namespace llmproc
