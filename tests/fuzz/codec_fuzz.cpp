// One protocol's answers, whatever the bytes: as a stream, as a reply, as an error and as the small
// answers. A typed error or a value; a stream means the same for any split of its bytes, and what
// was read can be kept as text and be sent back.
#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "model/reply_builder.hpp"
#include "providers/stream_driver.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <string>
#include <string_view>
#include <variant>

namespace {

using llmproc::ChatReply;
using llmproc::Codec;
using llmproc::HttpResponse;
using llmproc::LLMError;
using llmproc::StreamEvent;

const Codec& codec() {
    static const Codec* const found = llmproc::find_codec(LLMPROC_FUZZ_CODEC);
    return *found;
}

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_error(const LLMError& error) {
    // Bounded, whatever the server sent.
    require(error.message().size() < 8192);
    require(error.diagnostics().provider_message.size() < 8192);
}

/// What was read is kept without loss and is encoded, or refused with a typed error.
void check_reply(const ChatReply& reply) {
    const llmproc::Message kept = llmproc::Message::from_json(reply.message.to_json());
    require(kept.to_json() == reply.message.to_json());
    llmproc::Endpoint endpoint;
    endpoint.base_url = "https://host.example/v1";
    endpoint.model = "m";
    llmproc::ChatRequest request("question");
    request.add(reply.message);
    llmproc::EncodeCache cache;
    try {
        static_cast<void>(codec().encode(request, endpoint, true, cache));
    } catch (const LLMError& error) {
        check_error(error);
    }
}

constexpr std::uint64_t whole = 0;

/// Everything that a consumer of the stream sees, as text; `sizes` chooses the pieces.
std::string stream(std::string_view body, std::uint64_t sizes) {
    llmproc::providers::StreamDriver driver(codec().stream_decoder(), llmproc::wire::SseLimits());
    llmproc::ReplyBuilder builder;
    llmproc::StreamEvents events;
    std::string end = "whole";
    try {
        while (!body.empty()) {
            std::size_t size = body.size();
            if (sizes != whole) {
                sizes = sizes * 6364136223846793005U + 1442695040888963407U;
                size = std::size_t{1} + (sizes >> 59U);
            }
            // A copy of exact size, so that a view that outlives its read is caught.
            const std::string piece(body.substr(0, size));
            body.remove_prefix(piece.size());
            driver.feed(piece, events);
        }
        driver.finish(events);
    } catch (const LLMError& error) {
        check_error(error);
        end = std::to_string(static_cast<int>(error.errc())) + error.message();
    }
    std::string text;
    std::size_t stops = 0;
    for (const StreamEvent& event : events) {
        stops += event.type == StreamEvent::Type::stop ? 1U : 0U;
        builder.add(event);
    }
    require(stops == (end == "whole" ? 1U : 0U));
    ChatReply reply = builder.finish();
    if (end == "whole") {
        driver.decoder().complete(reply);
        check_reply(reply);
    }
    for (llmproc::ContentBlock& block : reply.message.content()) {
        if (auto* call = std::get_if<llmproc::ToolCallBlock>(&block)) {
            call->id.clear();  // random where the server gave none
        }
    }
    return end + reply.message.to_json() + std::to_string(reply.usage.total_tokens) +
           reply.raw_stop_reason;
}

void try_read(const std::function<void()>& read) {
    try {
        read();
    } catch (const LLMError& error) {
        check_error(error);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string body(data, data + size);
    const std::uint64_t seed = std::hash<std::string>()(body);
    require(stream(body, whole) == stream(body, seed | 1U));

    HttpResponse response(200);
    response.body = body;
    try_read([&response] { check_reply(codec().decode(response)); });
    try_read([&response] { static_cast<void>(codec().decode_count_tokens(response)); });
    try_read([&response] { static_cast<void>(codec().decode_list_models(response)); });
    try_read([&response] { static_cast<void>(codec().decode_embeddings(response)); });
    constexpr int statuses[] = {400, 401, 404, 429, 500, 529};
    response.status = statuses[seed % std::size(statuses)];
    check_error(codec().decode_error(response));
    return 0;
}
