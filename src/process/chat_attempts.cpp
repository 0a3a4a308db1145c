#include "process/chat_attempts.hpp"

#include "process/token_estimate.hpp"
#include "providers/profiles.hpp"
#include "providers/stream_driver.hpp"
#include "wire/rate_limit_headers.hpp"
#include "wire/retry_policy.hpp"
#include "wire/url.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <typeinfo>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

/// Error answers are short; whatever is longer is no JSON error body.
constexpr std::size_t error_body_limit = 256UL * 1024;

asio::awaitable<std::string> read_error_body(net::HttpExchange& exchange) {
    std::string body;
    bool more = true;
    while (more && body.size() < error_body_limit) {
        more = co_await exchange.read_some(body);
    }
    co_return body;
}

/// Some providers say in the body how long to wait; the retry looks at the headers.
void keep_hint(Headers& refusal, const Diagnostics& error) {
    const auto now = std::chrono::system_clock::now();
    if (error.retry_after && !wire::retry_after_hint(refusal, now)) {
        refusal.set("retry-after-ms", std::to_string(error.retry_after->count()));
    }
}

HttpResponse whole(net::HttpExchange& exchange, std::string body) {
    HttpResponse response = exchange.take_head();
    response.body = std::move(body);
    return response;
}

/// The events that a complete reply would have streamed as.
StreamEvents events_of(const ChatReply& reply) {
    StreamEvents events;
    const std::string thinking = reply.message.thinking();
    if (!thinking.empty()) {
        events.emplace_back(StreamEvent::Type::thinking, thinking);
    }
    std::uint32_t index = 0;
    for (const ContentBlock& block : reply.message.content()) {
        if (const auto* text = std::get_if<TextBlock>(&block)) {
            events.emplace_back(
                text->refusal ? StreamEvent::Type::refusal : StreamEvent::Type::text,
                text->text
            );
        } else if (const auto* call = std::get_if<ToolCallBlock>(&block)) {
            events.push_back(StreamEvent::tool_call(index, call->id, call->name));
            events.push_back(StreamEvent::tool_arguments(index, call->arguments));
            ++index;
        }
    }
    if (reply.usage.reported) {
        events.push_back(StreamEvent::token_usage(reply.usage));
    }
    events.push_back(StreamEvent::stopped(reply.stop_reason, reply.raw_stop_reason));
    return events;
}

/// What a request may use of a provider's token budget: most count the answer's limit too.
std::int64_t estimated_tokens(const HttpRequest& request, std::int64_t answer_tokens) {
    return static_cast<std::int64_t>(request.body.size()) / bytes_per_token +
           summable_tokens(answer_tokens);
}

void authorize(HttpRequest& request, const AccessToken& token) {
    // One credential of a request is enough, whatever else the program's headers say.
    request.headers.set("authorization", "Bearer " + std::string(token.token.reveal()));
}

void settle(net::RatePermit& permit, const Usage& usage) noexcept {
    if (usage.reported) {
        permit.settle(usage.total_tokens);
    }
}

}  // namespace

ChatTransport::ChatTransport(std::shared_ptr<const ProcessSettings> own_settings)
    : settings(std::move(own_settings)),
      http(
          wire::Url::parse(settings->endpoint.base_url),
          std::shared_ptr<const net::NetSettings>(settings, &settings->connection),
          settings->resolver ? settings->resolver : net::system_resolver()
      ) {}

asio::awaitable<net::RatePermit> ChatAttempt::admitted(
    const HttpRequest& request,
    std::int64_t answer_tokens
) {
    net::RateLimiter& limiter = *transport_.limiter;
    const std::int64_t tokens = estimated_tokens(request, answer_tokens);
    std::optional<net::RatePermit> at_once = limiter.try_acquire(tokens);
    if (at_once) {
        co_return std::move(*at_once);
    }
    co_return co_await limiter.acquire(call_, tokens);
}

void ChatAttempt::learn_limits(const HttpResponse& head) {
    const auto now = std::chrono::system_clock::now();
    transport_.limiter->learn(wire::parse_rate_limits(head.headers, now));
    constexpr int too_many_requests = 429;
    const auto hint = wire::retry_after_hint(head.headers, now);
    if (head.status == too_many_requests && hint) {
        transport_.limiter->pause_until(async::Clock::now() + *hint);
    }
}

asio::awaitable<net::HttpExchange> ChatAttempt::send(HttpRequest& request) {
    if (!transport_.settings->tokens) {
        co_return co_await transport_.http.send(call_, request);
    }
    BearerTokens& tokens = *transport_.settings->tokens;
    token_ = co_await tokens.get(call_);
    authorize(request, *token_);
    {
        net::HttpExchange exchange = co_await transport_.http.send(call_, request);
        constexpr int unauthorized = 401;
        if (exchange.head().status != unauthorized) {
            co_return std::move(exchange);
        }
        tokens.invalidate(*token_);
        // Read to its end, the answer leaves a connection that can be used again.
        const std::string refused = co_await read_error_body(exchange);
    }
    token_ = co_await tokens.get(call_);
    authorize(request, *token_);
    co_return co_await transport_.http.send(call_, request);
}

const Secret& ChatAttempt::credential() const noexcept {
    return token_ ? token_->token : transport_.settings->endpoint.api_key;
}

std::exception_ptr ChatAttempt::presentable(const std::exception_ptr& error) const {
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        const Secret& key = credential();
        // Those of a type of their own say nothing that a server has said.
        if (key.empty() || typeid(known) != typeid(LLMError)) {
            return error;
        }
        Diagnostics diagnostics = known.diagnostics();
        diagnostics.provider_type = key.redact(std::move(diagnostics.provider_type));
        diagnostics.provider_code = key.redact(std::move(diagnostics.provider_code));
        diagnostics.provider_message = key.redact(std::move(diagnostics.provider_message));
        const std::string message = key.redact(known.message());
        return std::make_exception_ptr(LLMError(known.errc(), message, std::move(diagnostics)));
    } catch (...) {
        return error;
    }
}

asio::awaitable<net::HttpExchange> ChatAttempt::open(HttpRequest& request) {
    net::HttpExchange exchange = co_await send(request);
    const HttpResponse& head = exchange.head();
    note_.status = head.status;
    note_.request_id = codec().request_id(head.headers);
    if (limited()) {
        learn_limits(head);
    }
    if (head.status < 200 || head.status > 299) {
        refusal = head.headers;
        std::string body = co_await read_error_body(exchange);
        // Some servers quote the key they refuse. Before the text is cut, which may cut the key.
        body = credential().redact(std::move(body));
        const HttpResponse response = whole(exchange, std::move(body));
        const LLMError error = codec().decode_error(response);
        keep_hint(refusal, error.diagnostics());
        throw LLMError(error);
    }
    co_return std::move(exchange);
}

asio::awaitable<HttpResponse> ChatAttempt::fetch(HttpRequest& request) {
    net::HttpExchange exchange = co_await open(request);
    std::string body = co_await exchange.read_all();
    co_return whole(exchange, std::move(body));
}

asio::awaitable<void> WholeAnswer::perform() {
    net::RatePermit permit;
    if (limited()) {
        net::RatePermit granted = co_await admitted(request_, answer_tokens_);
        permit = std::move(granted);
    }
    const HttpResponse response = co_await fetch(request_);
    if (const Usage* const usage = take(response)) {
        settle(permit, *usage);
    }
}

const Usage* WholeReply::take(const HttpResponse& response) {
    reply = codec().decode(response);
    reply.request_id = note().request_id;
    names.restore(reply.message);
    return &reply.usage;
}

asio::awaitable<void> StreamedReply::perform() {
    net::RatePermit permit;
    if (limited()) {
        net::RatePermit granted = co_await admitted(request_, answer_tokens_);
        permit = std::move(granted);
    }
    net::HttpExchange exchange = co_await open(request_);
    if (providers::is_event_stream(exchange.head().headers)) {
        // From here on the answer may take as long as it keeps coming.
        call().end_attempt();
        sink_.opened();
        co_await read_events(exchange);
        settle(permit, reply.usage);
        co_return;
    }
    // The server does not stream: its whole answer becomes the events.
    std::string body = co_await exchange.read_all();
    const HttpResponse response = whole(exchange, std::move(body));
    reply = codec().decode(response);
    reply.request_id = note().request_id;
    names.restore(reply.message);
    settle(permit, reply.usage);
    StreamEvents events = events_of(reply);
    sink_.opened();
    sink_.note_delivery();
    co_await sink_.deliver(events);
}

asio::awaitable<void> StreamedReply::read_events(net::HttpExchange& exchange) {
    std::unique_ptr<StreamDecoder> decoder = codec().stream_decoder();
    const std::size_t limit = max_body_bytes();
    providers::StreamDriver driver(std::move(decoder), wire::SseLimits(limit, limit), limit);
    ReplyBuilder builder;
    StreamEvents events;
    std::string bytes;
    bool more = true;
    while (more) {
        bytes.clear();
        std::exception_ptr failure;
        try {
            more = co_await exchange.read_some(bytes);
            if (more) {
                driver.feed(bytes, events);
            } else {
                driver.finish(events);
            }
        } catch (...) {
            failure = std::current_exception();
        }
        // What came before a failure still reaches the consumer, and the error's partial text.
        for (StreamEvent& event : events) {
            names.restore(event);
            builder.add(event);
        }
        // Also for a consumer who leaves: what was reported is spent.
        note_usage(driver.decoder().usage());
        if (failure) {
            note().partial_text = builder.text();
        }
        if (!events.empty()) {
            sink_.note_delivery();
            co_await sink_.deliver(events);
        }
        if (failure) {
            std::rethrow_exception(failure);
        }
    }
    reply = builder.finish();
    driver.decoder().complete(reply);
    reply.request_id = note().request_id;
    names.restore(reply.message);
    note().partial_usage.reset();
}

void StreamedReply::note_usage(const Usage& usage) {
    if (usage.reported) {
        note().partial_usage = usage;
    }
}

bool has_no_counting(const Endpoint& endpoint, std::optional<int> status) {
    // The statuses with which servers say that they lack the endpoint (RFC 9110, 15.5 and 15.6).
    constexpr std::array<int, 3> no_such_endpoint{404, 405, 501};
    const auto* const known =
        std::find(no_such_endpoint.begin(), no_such_endpoint.end(), status.value_or(0));
    if (known == no_such_endpoint.end()) {
        return false;
    }
    const ProviderProfile* const profile = find_profile(endpoint.provider);
    return profile == nullptr ||
           !providers::is_vendors_own(wire::Url::parse(endpoint.base_url), *profile);
}

}  // namespace llmproc
