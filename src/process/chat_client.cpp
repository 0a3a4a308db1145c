#include "process/chat_client.hpp"

#include "process/chat_attempts.hpp"
#include "process/schema_instruction.hpp"
#include "process/token_estimate.hpp"

#include <boost/asio/error.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace llmproc {

namespace asio = boost::asio;

namespace {

template <typename T>
void fill(T& field, const T& known) {
    if (field == T()) {
        field = known;
    }
}

Diagnostics merged(Diagnostics diagnostics, const Diagnostics& note) {
    fill(diagnostics.provider, note.provider);
    fill(diagnostics.model, note.model);
    fill(diagnostics.endpoint, note.endpoint);
    fill(diagnostics.status, note.status);
    fill(diagnostics.request_id, note.request_id);
    fill(diagnostics.partial_text, note.partial_text);
    fill(diagnostics.partial_usage, note.partial_usage);
    fill(diagnostics.attempts, note.attempts);
    fill(diagnostics.stage, note.stage);
    return diagnostics;
}

std::int64_t tool_calls_of(const ChatReply& reply) {
    std::int64_t calls = 0;
    for (const ContentBlock& block : reply.message.content()) {
        calls += std::holds_alternative<ToolCallBlock>(block) ? 1 : 0;
    }
    return calls;
}

ExchangePlan plan_of(
    const ChatTransport& transport,
    const ChatRequest& request,
    const HttpRequest& encoded
) {
    const Endpoint& endpoint = transport.settings->endpoint;
    ExchangePlan plan;
    plan.provider = endpoint.provider;
    plan.model = request.model.empty() ? endpoint.model : request.model;
    plan.input_tokens = static_cast<std::int64_t>(encoded.body.size()) / bytes_per_token;
    plan.max_tokens = request.params.max_tokens;
    return plan;
}

}  // namespace

ChatClient::ChatClient(std::shared_ptr<const ProcessSettings> settings)
    : transport_(std::move(settings)) {}

void ChatClient::limit_by(std::shared_ptr<net::RateLimiter> limiter) noexcept {
    transport_.limiter = std::move(limiter);
}

std::string ChatClient::rate_limit_group() const {
    const ProcessSettings& settings = *transport_.settings;
    // Tokens change; who gives them stands for the account.
    const std::size_t key = settings.tokens
                                ? std::hash<const void*>()(settings.tokens.get())
                                : std::hash<std::string_view>()(settings.endpoint.api_key.reveal());
    return transport_.http.base().origin() + '|' + std::to_string(key);
}

Diagnostics ChatClient::describe(const std::string& model) const {
    Diagnostics note;
    note.provider = transport_.settings->endpoint.provider;
    note.model = model.empty() ? transport_.settings->endpoint.model : model;
    note.endpoint = transport_.http.base().origin();
    return note;
}

void ChatClient::introduce(async::CallTrace& trace, const std::string& model) const {
    const Endpoint& endpoint = transport_.settings->endpoint;
    trace.target(endpoint.provider, model.empty() ? endpoint.model : model);
    trace.server(transport_.http.base().host(), transport_.http.base().port());
}

HttpRequest ChatClient::encode(const ChatRequest& request, bool stream, EncodeCache& cache) const {
    const ProcessSettings& settings = *transport_.settings;
    const std::optional<ChatRequest> instructed =
        with_schema_as_words(request, *settings.codec, settings.endpoint);
    return settings.codec
        ->encode(instructed ? *instructed : request, settings.endpoint, stream, cache);
}

std::optional<HttpRequest> ChatClient::encode_count(const ChatRequest& request) const {
    const ProcessSettings& settings = *transport_.settings;
    const std::optional<ChatRequest> instructed =
        with_schema_as_words(request, *settings.codec, settings.endpoint);
    return settings.codec->encode_count_tokens(
        instructed ? *instructed : request,
        settings.endpoint
    );
}

asio::awaitable<ChatReply> ChatClient::send(
    const CallTerms& terms,
    const ChatRequest& request,
    EncodeCache& cache,
    Diagnostics& note
) {
    HttpRequest encoded = encode(request, false, cache);
    Exchange exchange(terms.account, plan_of(transport_, request, encoded));
    WholeReply attempt(transport_, terms.call, note, exchange, std::move(encoded));
    attempt.names = providers::ToolNames(request.tools);
    co_await perform_with_retries(terms.call, terms.policy, attempt, retry_counters_, note);
    exchange.succeeded(attempt.reply.usage, tool_calls_of(attempt.reply));
    co_return std::move(attempt.reply);
}

asio::awaitable<ChatReply> ChatClient::stream(
    const CallTerms& terms,
    const ChatRequest& request,
    EncodeCache& cache,
    ReplySink& sink,
    Diagnostics& note
) {
    HttpRequest encoded = encode(request, true, cache);
    Exchange exchange(terms.account, plan_of(transport_, request, encoded));
    StreamedReply attempt(transport_, terms.call, note, exchange, std::move(encoded), sink);
    attempt.names = providers::ToolNames(request.tools);
    co_await perform_with_retries(terms.call, terms.policy, attempt, retry_counters_, note);
    exchange.succeeded(attempt.reply.usage, tool_calls_of(attempt.reply));
    co_return std::move(attempt.reply);
}

std::exception_ptr annotated(const std::exception_ptr& error, const Diagnostics& note) {
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        return known.with(merged(known.diagnostics(), note));
    } catch (const boost::system::system_error& foreign) {
        if (foreign.code() == asio::error::operation_aborted) {
            return Cancelled(CancelReason::user).with(note);
        }
        return LLMError(Errc::internal, "unexpected " + foreign.code().message()).with(note);
    } catch (...) {
        return std::current_exception();
    }
}

}  // namespace llmproc
