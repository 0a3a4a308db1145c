#include "process/chat_client.hpp"

#include "model/reply_builder.hpp"
#include "providers/stream_driver.hpp"
#include "wire/url.hpp"

#include <boost/asio/error.hpp>

#include <string>
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
    fill(diagnostics.attempts, note.attempts);
    fill(diagnostics.stage, note.stage);
    return diagnostics;
}

}  // namespace

ChatClient::ChatClient(std::shared_ptr<const ProcessSettings> settings)
    : settings_(std::move(settings)),
      http_(
          wire::Url::parse(settings_->endpoint.base_url),
          std::shared_ptr<const net::NetSettings>(settings_, &settings_->connection)
      ) {}

Diagnostics ChatClient::describe(const ChatRequest& request) const {
    Diagnostics note;
    note.provider = settings_->endpoint.provider;
    note.model = request.model.empty() ? settings_->endpoint.model : request.model;
    note.endpoint = http_.base().origin();
    return note;
}

asio::awaitable<net::HttpExchange> ChatClient::open(
    async::CallContext& call,
    const HttpRequest& request,
    Diagnostics& note
) {
    ++note.attempts;
    net::HttpExchange exchange = co_await http_.send(call, request);
    const HttpResponse& head = exchange.head();
    note.status = head.status;
    note.request_id = settings_->codec->request_id(head.headers);
    if (head.status < 200 || head.status > 299) {
        std::string body = co_await read_error_body(exchange);
        // Some servers quote the key they refuse.
        body = settings_->endpoint.api_key.redact(std::move(body));
        const HttpResponse response = whole(exchange, std::move(body));
        throw settings_->codec->decode_error(response);
    }
    co_return std::move(exchange);
}

asio::awaitable<ChatReply> ChatClient::send(
    async::CallContext& call,
    const ChatRequest& request,
    EncodeCache& cache,
    Diagnostics& note
) {
    const HttpRequest encoded =
        settings_->codec->encode(request, settings_->endpoint, false, cache);
    net::HttpExchange exchange = co_await open(call, encoded, note);
    std::string body = co_await exchange.read_all();
    const HttpResponse response = whole(exchange, std::move(body));
    ChatReply reply = settings_->codec->decode(response);
    reply.request_id = note.request_id;
    co_return reply;
}

asio::awaitable<ChatReply> ChatClient::stream(
    async::CallContext& call,
    const ChatRequest& request,
    EncodeCache& cache,
    ReplySink& sink,
    Diagnostics& note
) {
    const HttpRequest encoded = settings_->codec->encode(request, settings_->endpoint, true, cache);
    net::HttpExchange exchange = co_await open(call, encoded, note);
    StreamEvents events;
    if (!providers::is_event_stream(exchange.head().headers)) {
        // The server does not stream: its whole answer becomes the events.
        std::string body = co_await exchange.read_all();
        const HttpResponse response = whole(exchange, std::move(body));
        ChatReply reply = settings_->codec->decode(response);
        reply.request_id = note.request_id;
        events = events_of(reply);
        sink.opened();
        co_await sink.deliver(events);
        co_return reply;
    }
    sink.opened();
    std::unique_ptr<StreamDecoder> decoder = settings_->codec->stream_decoder();
    providers::StreamDriver driver(std::move(decoder), wire::SseLimits());
    ReplyBuilder builder;
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
        for (const StreamEvent& event : events) {
            builder.add(event);
        }
        if (failure) {
            note.partial_text = builder.text();
        }
        if (!events.empty()) {
            co_await sink.deliver(events);
        }
        if (failure) {
            std::rethrow_exception(failure);
        }
    }
    ChatReply reply = builder.finish();
    driver.decoder().complete(reply);
    reply.request_id = note.request_id;
    co_return reply;
}

asio::awaitable<TokenCount> ChatClient::count_tokens(
    async::CallContext& call,
    const HttpRequest& request,
    Diagnostics& note
) {
    net::HttpExchange exchange = co_await open(call, request, note);
    std::string body = co_await exchange.read_all();
    const HttpResponse response = whole(exchange, std::move(body));
    co_return settings_->codec->decode_count_tokens(response);
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
