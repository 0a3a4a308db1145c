/// @file
/// One exchange with the provider: ChatRequest out, ChatReply or stream events back.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/provider.hpp>
#include "async/call_context.hpp"
#include "net/http_client.hpp"
#include "process/process_settings.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>

namespace llmproc {

/// Takes a streamed reply as it comes.
class ReplySink {
public:
    ReplySink() = default;
    ReplySink(const ReplySink&) = delete;
    ReplySink& operator=(const ReplySink&) = delete;
    virtual ~ReplySink() = default;

    /// The provider has accepted the request; events follow.
    virtual void opened() = 0;
    /// Takes the events of one read, leaving `batch` empty; waits while the consumer is behind.
    virtual boost::asio::awaitable<void> deliver(StreamEvents& batch) = 0;
};

/// Speaks one provider's protocol over HTTP. Used on the executor of the calls it is given.
class ChatClient {
public:
    /// Throws as net::HttpClient's constructor.
    explicit ChatClient(std::shared_ptr<const ProcessSettings> settings);

    /// `note` collects what is known for the error's diagnostics, on success and failure alike.
    boost::asio::awaitable<ChatReply> send(
        async::CallContext& call,
        const ChatRequest& request,
        EncodeCache& cache,
        Diagnostics& note
    );
    boost::asio::awaitable<ChatReply> stream(
        async::CallContext& call,
        const ChatRequest& request,
        EncodeCache& cache,
        ReplySink& sink,
        Diagnostics& note
    );
    /// By the provider's endpoint. Precondition: `counts_tokens()`.
    boost::asio::awaitable<TokenCount> count_tokens(
        async::CallContext& call,
        const HttpRequest& request,
        Diagnostics& note
    );

    const net::HttpCounters& counters() const noexcept { return http_.counters(); }
    /// Provider, model and address, for diagnostics.
    Diagnostics describe(const ChatRequest& request) const;

private:
    /// Sends and returns the exchange if the answer is 2xx; throws the provider's error if not.
    boost::asio::awaitable<net::HttpExchange> open(
        async::CallContext& call,
        const HttpRequest& request,
        Diagnostics& note
    );

    std::shared_ptr<const ProcessSettings> settings_;
    net::HttpClient http_;
};

/// Fills what `error` does not know from `note`, and turns foreign exceptions of the transport into
/// LLMError. Any other exception is returned as it is.
std::exception_ptr annotated(const std::exception_ptr& error, const Diagnostics& note);

}  // namespace llmproc
