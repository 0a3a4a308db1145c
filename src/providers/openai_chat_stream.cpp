#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_errors.hpp"
#include "providers/openai_fields.hpp"
#include "providers/stream_extras.hpp"
#include "providers/text_frame.hpp"
#include "providers/tool_call_pieces.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

class ChatStreamDecoder final : public StreamDecoder {
public:
    DecodeStatus feed(const SseEvent& event, StreamEvents& out) override;
    void finish(StreamEvents& out) override;
    bool flush_pending_event() const override { return true; }
    void complete(ChatReply& reply) const override;
    Usage usage() const override { return usage_; }

private:
    bool read_chunk(std::string_view data, StreamEvents& out);
    void read_choices(JsonReader& reader, StreamEvents& out);
    void read_choice(JsonReader& reader, StreamEvents& out);
    void read_delta(JsonReader& reader, StreamEvents& out);
    void read_other_member(JsonReader& reader, std::string_view key, StreamEvents& out);
    void read_content(JsonReader& reader, StreamEvents& out);
    void read_content_part(JsonReader& reader, StreamEvents& out);
    void read_tool_calls(JsonReader& reader, StreamEvents& out);
    void read_tool_call(JsonReader& reader, ToolCallPiece& piece);
    void read_function(JsonReader& reader, ToolCallPiece& piece);
    void read_finish_reason(JsonReader& reader);
    bool emit_string(JsonReader& reader, StreamEvent::Type type, StreamEvents& out);
    bool is_scratch(std::string_view text) const;
    void learn_frame(std::string_view data, std::size_t events_before, const StreamEvents& out);

    /// What was met in the chunk that is being read, for `frame_`.
    struct Met {
        std::string_view text;   ///< The last one that is a part of the chunk as it is.
        std::string_view noise;  ///< The same of `obfuscation`.
        bool state = false;      ///< Something that counts each time it comes.
    };
    Met met_;
    TextFrame frame_;

    // Reused for strings with escapes, so that most tokens cost no allocation.
    std::string scratch_;
    std::string id_scratch_;
    std::string name_scratch_;
    std::string arguments_scratch_;

    std::string id_;
    std::string model_;
    std::string finish_reason_;
    Usage usage_;
    ToolCallPieces calls_;
    StreamExtras extras_;
    bool refused_ = false;
};

DecodeStatus ChatStreamDecoder::feed(const SseEvent& event, StreamEvents& out) {
    if (event.event.empty()) {
        if (const auto text = frame_.text_in(event.data)) {
            out.emplace_back(StreamEvent::Type::text, std::string(*text));
            return DecodeStatus::ok;
        }
    }
    const std::string_view data = trimmed(event.data);
    if (data == "[DONE]") {
        return DecodeStatus::done;
    }
    if (event.event == "error") {
        throw_reported(parse_error_body(data));
    }
    // The protocol names no events; a name says that this is some gateway's own.
    const bool named = !event.event.empty() && event.event != "message";
    if (data.empty() || (named && data.front() != '{')) {
        return DecodeStatus::unknown;
    }
    return read_answer(openai_chat_words, "an event of the stream", [&] {
        return read_chunk(data, out) ? DecodeStatus::ok : DecodeStatus::unknown;
    });
}

/// Whether anything in it was known.
bool ChatStreamDecoder::read_chunk(std::string_view data, StreamEvents& out) {
    bool known = false;
    const std::size_t events_before = out.size();
    met_ = Met();
    JsonReader reader(data);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "choices") {
            known = true;
            read_choices(reader, out);
        } else if (key == "usage") {
            known = true;
            if (reader.peek() == JsonKind::object) {
                met_.state = true;
                usage_ = read_openai_usage(reader);
            } else {
                reader.skip();
            }
        } else if (key == "id" && id_.empty()) {
            id_ = read_string_or_empty(reader);
        } else if (key == "model" && model_.empty()) {
            model_ = read_string_or_empty(reader);
        } else if (key == "error") {
            throw_if_reported(reader);
        } else if (key == "obfuscation" && reader.peek() == JsonKind::string) {
            met_.noise = reader.string_view_or_buffer(scratch_);
            met_.state = met_.state || is_scratch(met_.noise);
        } else {
            reader.skip();
        }
    }
    reader.finish();
    learn_frame(data, events_before, out);
    return known;
}

bool ChatStreamDecoder::is_scratch(std::string_view text) const {
    return text.data() == scratch_.data();
}

/// A chunk that said one piece of text and nothing else says the next one in the same words.
void ChatStreamDecoder::learn_frame(
    std::string_view data,
    std::size_t events_before,
    const StreamEvents& out
) {
    const bool one_text = out.size() == events_before + 1 &&
                          out.back().type == StreamEvent::Type::text;
    if (one_text && !met_.state && !met_.text.empty()) {
        frame_.learn(data, met_.text, met_.noise);
    }
}

void ChatStreamDecoder::read_choices(JsonReader& reader, StreamEvents& out) {
    if (reader.consume_null()) {
        return;
    }
    reader.begin_array();
    while (reader.next_element()) {
        read_choice(reader, out);
    }
}

std::int64_t read_choice_index(JsonReader& reader) {
    if (reader.consume_null()) {
        return 0;
    }
    const std::int64_t index = reader.integer();
    if (index < 0 || index > 127) {
        throw malformed("an event of the stream", "a choice has an index beyond 0 to 127");
    }
    return index;
}

void ChatStreamDecoder::read_choice(JsonReader& reader, StreamEvents& out) {
    std::optional<std::int64_t> index;
    // Usually `index` comes first; else the members wait until it is known whose they are.
    std::optional<JsonReader> delta;
    std::optional<JsonReader> finish_reason;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "index") {
            index = read_choice_index(reader);
        } else if (key == "delta" && index == 0) {
            read_delta(reader, out);
        } else if (key == "finish_reason" && index == 0) {
            read_finish_reason(reader);
        } else if (key == "error") {
            throw_if_reported(reader);
        } else {
            if (key == "delta") {
                delta = reader;
            } else if (key == "finish_reason") {
                finish_reason = reader;
            }
            reader.skip();
        }
    }
    if (index.value_or(0) != 0) {
        return;  // the reply is the first choice; this library never asks for more
    }
    if (delta) {
        read_delta(*delta, out);
    }
    if (finish_reason) {
        read_finish_reason(*finish_reason);
    }
}

void ChatStreamDecoder::read_finish_reason(JsonReader& reader) {
    if (reader.peek() != JsonKind::string) {
        reader.skip();
        return;
    }
    met_.state = true;
    const std::string_view reason = reader.string_view_or_buffer(scratch_);
    if (reason == "error") {
        ProviderError error;
        error.message = "the stream ended with finish_reason error";
        throw_reported(std::move(error));
    }
    if (!reason.empty()) {
        finish_reason_ = reason;
    }
}

/// Emits a non-empty string; anything else says nothing. Whether it was a string with text.
bool ChatStreamDecoder::emit_string(JsonReader& reader, StreamEvent::Type type, StreamEvents& out) {
    if (reader.consume_null()) {
        return false;
    }
    const std::string_view text = reader.string_view_or_buffer(scratch_);
    if (text.empty()) {
        return false;
    }
    met_.text = is_scratch(text) ? std::string_view() : text;
    out.emplace_back(type, std::string(text));
    return true;
}

void ChatStreamDecoder::read_delta(JsonReader& reader, StreamEvents& out) {
    if (reader.consume_null()) {
        return;
    }
    bool reasoned = false;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "content") {
            read_content(reader, out);
        } else if (key == "refusal") {
            refused_ = emit_string(reader, StreamEvent::Type::refusal, out) || refused_;
        } else if (key == "tool_calls") {
            read_tool_calls(reader, out);
        } else if (key == "reasoning" || key == "reasoning_content") {
            // Some servers send the same piece under both names.
            if (reasoned || reader.peek() != JsonKind::string) {
                reader.skip();
            } else {
                reasoned = emit_string(reader, StreamEvent::Type::thinking, out);
            }
        } else {
            read_other_member(reader, key, out);
        }
    }
}

void ChatStreamDecoder::read_other_member(
    JsonReader& reader,
    std::string_view key,
    StreamEvents& out
) {
    if (key == "function_call" && reader.peek() == JsonKind::object) {
        met_.state = true;
        ToolCallPiece piece;
        piece.index = 0;  // the legacy form has one call
        read_function(reader, piece);
        calls_.add(piece, out);
    } else if (extras_.read(reader, key, out)) {
        met_.state = true;
    } else {
        reader.skip();
    }
}

/// Text, or a list of parts as Mistral's reasoning models send it.
void ChatStreamDecoder::read_content(JsonReader& reader, StreamEvents& out) {
    if (reader.peek() != JsonKind::array) {
        emit_string(reader, StreamEvent::Type::text, out);
        return;
    }
    reader.begin_array();
    while (reader.next_element()) {
        if (reader.peek() == JsonKind::object) {
            read_content_part(reader, out);
        } else {
            reader.skip();
        }
    }
}

void ChatStreamDecoder::read_content_part(JsonReader& reader, StreamEvents& out) {
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "text") {
            emit_string(reader, StreamEvent::Type::text, out);
        } else if (key == "thinking" && reader.peek() == JsonKind::array) {
            const std::size_t first = out.size();
            read_content(reader, out);
            for (std::size_t i = first; i < out.size(); ++i) {
                out[i].type = StreamEvent::Type::thinking;
            }
        } else if (key == "thinking" && reader.peek() == JsonKind::string) {
            emit_string(reader, StreamEvent::Type::thinking, out);
        } else {
            reader.skip();
        }
    }
}

void ChatStreamDecoder::read_tool_calls(JsonReader& reader, StreamEvents& out) {
    if (reader.consume_null()) {
        return;
    }
    met_.state = true;
    reader.begin_array();
    while (reader.next_element()) {
        ToolCallPiece piece;
        read_tool_call(reader, piece);
        calls_.add(piece, out);
    }
}

void ChatStreamDecoder::read_tool_call(JsonReader& reader, ToolCallPiece& piece) {
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "index" && reader.peek() == JsonKind::number) {
            piece.index = reader.integer();
        } else if (key == "id" && reader.peek() == JsonKind::string) {
            piece.id = reader.string_view_or_buffer(id_scratch_);
        } else if ((key == "function" || key == "custom") && reader.peek() == JsonKind::object) {
            piece.custom = key == "custom";
            read_function(reader, piece);
        } else {
            reader.skip();
        }
    }
}

void ChatStreamDecoder::read_function(JsonReader& reader, ToolCallPiece& piece) {
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "name" && reader.peek() == JsonKind::string) {
            piece.name = reader.string_view_or_buffer(name_scratch_);
        } else if (key != "arguments" && key != "input") {
            reader.skip();
        } else if (reader.peek() == JsonKind::string) {
            piece.arguments = reader.string_view_or_buffer(arguments_scratch_);
        } else if (!reader.consume_null()) {
            piece.arguments = reader.raw();  // an object instead of text: kept as written
        }
    }
}

void ChatStreamDecoder::finish(StreamEvents& out) {
    if (finish_reason_.empty()) {
        throw LLMError(
            Errc::truncated_stream,
            "the stream ended without a finish_reason, so the reply is incomplete; try again"
        );
    }
    calls_.finish();
    if (usage_.reported) {
        out.push_back(StreamEvent::token_usage(usage_));
    }
    const StopReason reason = openai_stop_reason(finish_reason_, !calls_.empty(), refused_);
    out.push_back(StreamEvent::stopped(reason, finish_reason_));
}

void ChatStreamDecoder::complete(ChatReply& reply) const {
    reply.id = id_;
    reply.model = model_;
    extras_.complete(reply);
    for (const std::string& id : calls_.custom_ids()) {
        reply.message.add(marked_as_custom(id));
    }
}

}  // namespace

std::unique_ptr<StreamDecoder> make_chat_stream_decoder() {
    return std::make_unique<ChatStreamDecoder>();
}

}  // namespace llmproc::providers
