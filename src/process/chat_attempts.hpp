/// @file
/// One try of each kind of exchange with the provider.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/http_message.hpp>
#include <llmproc/provider.hpp>
#include "async/call_context.hpp"
#include "model/reply_builder.hpp"
#include "net/http_client.hpp"
#include "net/rate_limiter.hpp"
#include "process/bearer_tokens.hpp"
#include "process/process_settings.hpp"
#include "process/reply_sink.hpp"
#include "process/retry_loop.hpp"
#include "process/spending.hpp"
#include "process/usage_of.hpp"
#include "providers/tool_names.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace llmproc {

/// What the exchanges of one process use.
struct ChatTransport {
    /// Throws as net::HttpClient's constructor.
    explicit ChatTransport(std::shared_ptr<const ProcessSettings> own_settings);

    std::shared_ptr<const ProcessSettings> settings;
    net::HttpClient http;
    std::shared_ptr<net::RateLimiter> limiter;  ///< Null: nothing is limited here.
};

/// What all kinds of attempts share: who sends, for which call, and what is noted of it.
/// Lifetime: the arguments must outlive it.
class ChatAttempt : public Attempt {
public:
    /// `exchange` is told what failed attempts have used; null = they use nothing.
    ChatAttempt(
        ChatTransport& transport,
        async::CallContext& call,
        Diagnostics& note,
        Exchange* exchange
    )
        : transport_(transport),
          call_(call),
          note_(note),
          exchange_(exchange) {}

    /// Who declines that a lost connection's request is sent anew means retries as well.
    bool repeatable(Errc code) const noexcept override {
        return code != Errc::connection_lost || transport_.settings->connection.resend_on_stale;
    }
    void failed_after(const Usage& usage) noexcept override {
        if (exchange_ != nullptr) {
            exchange_->failed(usage);
        }
    }

    /// A server may quote the key or token that it was sent, in an answer of any status.
    std::exception_ptr presentable(const std::exception_ptr& error) const override;

    /// Calls get the names that the request's tools have; the wire's may differ.
    providers::ToolNames names;

protected:
    bool limited() const noexcept { return transport_.limiter != nullptr; }
    /// Waits for the client-side limits; `answer_tokens` may come back. Precondition: limited.
    boost::asio::awaitable<net::RatePermit> admitted(
        const HttpRequest& request,
        std::int64_t answer_tokens
    );
    /// Sends and returns the exchange if the answer is 2xx; throws the provider's error if not.
    /// A token becomes a header of `request`, which must outlive the exchange.
    boost::asio::awaitable<net::HttpExchange> open(HttpRequest& request);
    /// The same with the whole body.
    boost::asio::awaitable<HttpResponse> fetch(HttpRequest& request);
    std::size_t max_body_bytes() const noexcept {
        return transport_.settings->connection.max_body_bytes;
    }
    const Codec& codec() const noexcept { return *transport_.settings->codec; }
    const Endpoint& endpoint() const noexcept { return transport_.settings->endpoint; }
    async::CallContext& call() const noexcept { return call_; }
    Diagnostics& note() const noexcept { return note_; }

private:
    /// Sends; where tokens are used, once more with a new one if the server refuses the first.
    boost::asio::awaitable<net::HttpExchange> send(HttpRequest& request);
    /// The one that was sent last.
    const Secret& credential() const noexcept;
    void learn_limits(const HttpResponse& head);

    ChatTransport& transport_;
    async::CallContext& call_;
    Diagnostics& note_;
    BearerTokens::TokenPtr token_;  ///< Null = the key counts.
    Exchange* exchange_;
};

/// An answer that is read as a whole.
class WholeAnswer : public ChatAttempt {
public:
    /// `answer_tokens` is what the answer may cost at most.
    WholeAnswer(
        ChatTransport& transport,
        async::CallContext& call,
        Diagnostics& note,
        Exchange* exchange,
        HttpRequest request,
        std::int64_t answer_tokens = 0
    )
        : ChatAttempt(transport, call, note, exchange),
          request_(std::move(request)),
          answer_tokens_(answer_tokens) {}

    boost::asio::awaitable<void> perform() final;

protected:
    /// Keeps what the answer means; returns the tokens that it cost, null if it does not say.
    virtual const Usage* take(const HttpResponse& response) = 0;

private:
    HttpRequest request_;
    std::int64_t answer_tokens_;
};

/// The model's answer.
class WholeReply final : public WholeAnswer {
public:
    WholeReply(
        ChatTransport& transport,
        async::CallContext& call,
        Diagnostics& note,
        Exchange& exchange,
        HttpRequest request
    )
        : WholeAnswer(
              transport,
              call,
              note,
              &exchange,
              std::move(request),
              transport.settings->params.max_tokens.value_or(0)
          ) {}

    ChatReply reply;

private:
    const Usage* take(const HttpResponse& response) override;
};

/// The answer as events, as they come.
class StreamedReply final : public ChatAttempt {
public:
    StreamedReply(
        ChatTransport& transport,
        async::CallContext& call,
        Diagnostics& note,
        Exchange& exchange,
        HttpRequest request,
        ReplySink& sink
    )
        : ChatAttempt(transport, call, note, &exchange),
          request_(std::move(request)),
          answer_tokens_(transport.settings->params.max_tokens.value_or(0)),
          sink_(sink) {}

    bool delivered() const noexcept override { return sink_.delivered(); }
    boost::asio::awaitable<void> perform() override;

    ChatReply reply;

private:
    boost::asio::awaitable<void> read_events(net::HttpExchange& exchange);
    void note_usage(const Usage& usage);

    HttpRequest request_;
    std::int64_t answer_tokens_;
    ReplySink& sink_;
};

/// Whether this answer to a request for a count says that the server cannot count: compatible
/// servers speak a protocol without all of its endpoints. A vendor's own has them, so that there
/// it means something else, for example that the model is unknown.
bool has_no_counting(const Endpoint& endpoint, std::optional<int> status);

/// The answer of another endpoint, which `decode` reads.
template <typename T>
class FetchedValue final : public WholeAnswer {
public:
    using Decode = T (Codec::*)(const HttpResponse& response) const;

    FetchedValue(
        ChatTransport& transport,
        async::CallContext& call,
        Diagnostics& note,
        Exchange* exchange,
        HttpRequest request,
        Decode decode
    )
        : WholeAnswer(transport, call, note, exchange, std::move(request)),
          decode_(decode) {}

    /// A server that answers 501 (RFC 9110, 15.6.2) lacks the endpoint, and will not have it later.
    bool repeatable(Errc code) const noexcept override {
        constexpr int not_implemented = 501;
        return note().status != not_implemented && ChatAttempt::repeatable(code);
    }

    T value;

private:
    const Usage* take(const HttpResponse& response) override {
        value = (codec().*decode_)(response);
        return usage_of(value);
    }

    Decode decode_;
};

}  // namespace llmproc
