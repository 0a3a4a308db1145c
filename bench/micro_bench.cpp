// The parts of a call that need no network.
#include <llmproc/provider.hpp>
#include "core/json_reader.hpp"
#include "providers/codecs.hpp"
#include "wire/sse_parser.hpp"
#include "workload.hpp"

#include <benchmark/benchmark.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

constexpr std::size_t read_size = 16UL * 1024;
constexpr int tokens = 10'000;

std::string stream_text() {
    std::string text;
    for (int i = 0; i < tokens; ++i) {
        text += R"(data: {"id":"chatcmpl-BnQ4mJ5Tq9xkP2aWcYv7RsE1uLzDf","object":)"
                R"("chat.completion.chunk","created":1751990400,"model":"gpt-5-mini",)"
                R"("choices":[{"index":0,"delta":{"content":" token"},"finish_reason":null}]})"
                "\n\n";
    }
    return text + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
                  "data: [DONE]\n\n";
}

/// Feeds `text` in pieces of one TLS record and gives each event to `take`.
template <typename Take>
void each_event(const std::string& text, Take take) {
    wire::SseParser parser;
    SseEvent event;
    for (std::size_t at = 0; at < text.size(); at += read_size) {
        parser.feed(std::string_view(text).substr(at, read_size));
        while (parser.next(event)) {
            take(event);
        }
    }
}

void sse_parse(benchmark::State& state) {
    const std::string text = stream_text();
    for (auto _ : state) {
        std::uint64_t events = 0;
        each_event(text, [&](const SseEvent&) { ++events; });
        benchmark::DoNotOptimize(events);
    }
    state.SetItemsProcessed(state.iterations() * tokens);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(sse_parse);

void stream_decode(benchmark::State& state) {
    const std::string text = stream_text();
    for (auto _ : state) {
        const auto decoder = providers::openai_chat_codec().stream_decoder();
        StreamEvents events;
        each_event(text, [&](const SseEvent& event) {
            decoder->feed(event, events);
            events.clear();
        });
        decoder->finish(events);
        benchmark::DoNotOptimize(events);
    }
    state.SetItemsProcessed(state.iterations() * tokens);
}
BENCHMARK(stream_decode);

void json_read_reply(benchmark::State& state) {
    for (auto _ : state) {
        JsonReader reader(reply_body());
        reader.skip();
        reader.finish();
        benchmark::DoNotOptimize(reader.offset());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(reply_body().size()));
}
BENCHMARK(json_read_reply);

void json_read_reply_nlohmann(benchmark::State& state) {
    for (auto _ : state) {
        const auto json = nlohmann::json::parse(reply_body());
        benchmark::DoNotOptimize(json.size());
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(reply_body().size()));
}
BENCHMARK(json_read_reply_nlohmann);

void reply_decode(benchmark::State& state) {
    HttpResponse response(200);
    response.body = reply_body();
    for (auto _ : state) {
        const ChatReply reply = providers::openai_chat_codec().decode(response);
        benchmark::DoNotOptimize(reply.usage.output_tokens);
    }
}
BENCHMARK(reply_decode);

void request_encode(benchmark::State& state) {
    Endpoint endpoint;
    endpoint.base_url = "https://127.0.0.1/v1";
    endpoint.model = "gpt-5-mini";
    endpoint.api_key = Secret("sk-benchmark-0123456789abcdef");
    const auto messages = state.range(0);
    ChatRequest request{std::string(prompt)};
    while (static_cast<std::int64_t>(request.messages.size()) < messages) {
        request.add(Message::user(std::string(prompt)));
    }
    EncodeCache cache;
    for (auto _ : state) {
        const HttpRequest encoded =
            providers::openai_chat_codec().encode(request, endpoint, false, cache);
        benchmark::DoNotOptimize(encoded.body.size());
    }
}
BENCHMARK(request_encode)->Arg(1)->Arg(100);

}  // namespace

}  // namespace llmproc::bench

BENCHMARK_MAIN();
