/// @file
/// The models of a process: the program's own, and those that are asked when it fails.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/stats.hpp>
#include "async/call_context.hpp"
#include "process/chat_client.hpp"
#include "process/process_settings.hpp"
#include "process/reply_sink.hpp"
#include "process/spending.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace llmproc {

/// One question to whichever model answers it.
/// Lifetime: the arguments must outlive it.
struct ModelExchange : CallTerms {
    ModelExchange(
        async::CallContext& own_call,
        const wire::RetryPolicy& own_policy,
        RunSpending& own_account,
        Diagnostics& own_note,
        ReplySink* own_sink = nullptr
    )
        : CallTerms(own_call, own_policy, own_account),
          note(own_note),
          sink(own_sink) {}

    Diagnostics& note;                ///< Of the model that is asked; its attempts are all models'.
    ReplySink* sink;                  ///< Takes a streamed answer; null = the answer as a whole.
    bool keep_encoded = true;         ///< The messages come again with the next question.
    std::vector<FailedModel> failed;  ///< Those that have failed, in order.
    std::optional<EncodeCache> once;  ///< Where nothing is kept.
};

/// Used on the strand of its process; counters are read from anywhere.
class ModelRouter {
public:
    /// Throws as net::HttpClient's constructor.
    explicit ModelRouter(const std::shared_ptr<const ProcessSettings>& settings);
    /// Each model's requests wait for its limits from now on, if there are any.
    void limit_on(const boost::asio::any_io_executor& executor);

    /// The program's own model.
    ChatClient& own() noexcept { return own_.client; }

    /// Asks the program's model; after a failure that another one may not share, with all its
    /// retries, the next one, unless something of an answer was delivered. A request that names its
    /// model asks only that. Comes with the call's own parameters, the model's are added here.
    /// Lifetime: exchange and request must outlive the wait.
    /// Throws the failure of the model that was asked last; `exchange.note` names the others.
    boost::asio::awaitable<ChatReply> ask(ModelExchange& exchange, ChatRequest& request);

    /// Drops what was encoded of messages that are gone.
    void trim();
    /// Adds what the requests to all models caused.
    void add_counters(ProcessStats& stats) const;

private:
    struct Route {
        explicit Route(const std::shared_ptr<const ProcessSettings>& of)
            : settings(of),
              client(of) {}

        std::shared_ptr<const ProcessSettings> settings;
        ChatClient client;
        EncodeCache cache;  ///< An encoding is of one protocol.
    };

    static boost::asio::awaitable<ChatReply> ask_one(
        Route& route,
        ModelExchange& exchange,
        const ChatRequest& request
    );
    boost::asio::awaitable<ChatReply> ask_in_turn(ModelExchange& exchange, ChatRequest& request);
    template <typename Self, typename Use>
    static void for_each_route(Self& self, Use use);

    Route own_;
    std::vector<std::unique_ptr<Route>> alternates_;
    std::atomic<std::uint64_t> fallbacks_{0};
};

}  // namespace llmproc
