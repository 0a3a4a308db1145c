#include "core/json_reader.hpp"
#include "providers/gemini.hpp"
#include "providers/gemini_answer.hpp"
#include "providers/openai_fields.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

constexpr std::string_view event_name = "an event of the stream";

/// The rest has to be asked for anew, so what came is no complete answer.
LLMError cut_by_server(Errc code, Diagnostics diagnostics = Diagnostics()) {
    diagnostics.provider_code = "CONTINUATION";
    return {
        code,
        "the provider cut the answer (finishReason CONTINUATION), so the reply is incomplete; try "
        "again, ask for a shorter answer, or stream it: the last event then has the "
        "continuationToken, which parameters.extra_body can send",
        std::move(diagnostics)};
}

/// The elements of a stream that came as one array.
bool read_array(JsonReader& reader, GeminiAnswer& answer, StreamEvents& events) {
    reader.begin_array();
    bool any = false;
    while (reader.next_element()) {
        answer.read(reader.raw(), events);
        any = true;
    }
    reader.finish();
    return any;
}

class GeminiStreamDecoder final : public StreamDecoder {
public:
    DecodeStatus feed(const SseEvent& event, StreamEvents& out) override {
        const std::string_view data = trimmed(event.data);
        if (event.event == "error") {
            throw make_gemini_error(std::nullopt, data, Headers(), std::string());
        }
        // The protocol names no events; a name says that this is some gateway's own.
        const bool named = !event.event.empty() && event.event != "message";
        if (data.empty() || data == "[DONE]" || (named && data.front() != '{')) {
            return DecodeStatus::unknown;
        }
        return reading(event_name, [&] {
            return answer_.read(data, out) ? DecodeStatus::ok : DecodeStatus::unknown;
        });
    }

    void finish(StreamEvents& out) override {
        if (!answer_.ended()) {
            throw LLMError(
                Errc::truncated_stream,
                "the stream ended without a finishReason, so the reply is incomplete; try again"
            );
        }
        if (answer_.to_be_continued()) {
            throw cut_by_server(Errc::truncated_stream);
        }
        if (answer_.usage().reported) {
            out.push_back(StreamEvent::token_usage(answer_.usage()));
        }
        out.push_back(StreamEvent::stopped(answer_.stop_reason(), answer_.raw_stop_reason()));
    }

    /// The end is the end of the body, so a last event without its blank line may be complete.
    bool flush_pending_event() const override { return true; }
    void complete(ChatReply& reply) const override { answer_.complete(reply); }
    Usage usage() const override { return answer_.usage(); }

private:
    GeminiAnswer answer_;
};

}  // namespace

ChatReply decode_gemini_reply(const HttpResponse& response) {
    GeminiAnswer answer;
    StreamEvents events;
    reading("the answer", [&] {
        JsonReader reader(response.body);
        if (reader.peek() != JsonKind::array) {
            answer.read(response.body, events);
        } else if (!read_array(reader, answer, events) || !answer.ended()) {
            throw LLMError(
                Errc::truncated_response,
                "the answer ended without a finishReason, so the reply is incomplete; try again"
            );
        }
    });
    if (!answer.answered()) {
        throw gemini_malformed("the answer", "it has neither candidates nor a blockReason");
    }
    ChatReply reply;
    answer.complete(reply);
    reply.usage = answer.usage();
    if (answer.to_be_continued()) {
        Diagnostics cut;
        cut.partial_text = reply.text();
        if (reply.usage.reported) {
            cut.partial_usage = reply.usage;
        }
        throw cut_by_server(Errc::truncated_response, std::move(cut));
    }
    reply.stop_reason = answer.stop_reason();
    reply.raw_stop_reason = answer.raw_stop_reason();
    return reply;
}

std::unique_ptr<StreamDecoder> make_gemini_stream_decoder() {
    return std::make_unique<GeminiStreamDecoder>();
}

}  // namespace llmproc::providers
