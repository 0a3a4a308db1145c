#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "providers/anthropic.hpp"
#include "providers/anthropic_blocks.hpp"
#include "providers/openai_fields.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

enum class Kind {
    unknown,
    message_start,
    block_start,
    block_delta,
    block_stop,
    message_delta,
    message_stop,
    ping,
    error,
};

Kind kind_of(std::string_view name) {
    constexpr std::array<std::pair<std::string_view, Kind>, 8> kinds{{
        {"content_block_delta", Kind::block_delta},
        {"content_block_start", Kind::block_start},
        {"content_block_stop", Kind::block_stop},
        {"message_start", Kind::message_start},
        {"message_delta", Kind::message_delta},
        {"message_stop", Kind::message_stop},
        {"ping", Kind::ping},
        {"error", Kind::error},
    }};
    const auto* const found = std::find_if(kinds.begin(), kinds.end(), [name](const auto& known) {
        return known.first == name;
    });
    return found == kinds.end() ? Kind::unknown : found->second;
}

LLMError broken(std::string_view detail) {
    return malformed_anthropic("the stream", detail);
}

class AnthropicStreamDecoder final : public StreamDecoder {
public:
    DecodeStatus feed(const SseEvent& event, StreamEvents& out) override;
    void finish(StreamEvents& out) override;
    void complete(ChatReply& reply) const override;
    Usage usage() const override { return counts_.usage(); }

private:
    /// The members of one event.
    struct Members {
        std::optional<std::int64_t> index;
        std::string_view message;
        std::string_view block;
        AnthropicDelta delta;
        bool has_delta = false;
        bool corrupt_delta = false;  ///< A member that is to be a string is none.
    };

    DecodeStatus decode(Kind kind, std::string_view data, StreamEvents& out);
    Members read_members(std::string_view data);
    void read_delta(JsonReader& reader, Members& members);
    void start_message(std::string_view raw);
    void end_message() const;

    // Reused for strings with escapes, so that most tokens cost no allocation.
    std::array<std::string, 5> scratch_;

    std::string id_;
    std::string model_;
    AnthropicBlocks blocks_;
    AnthropicCounts counts_;
    AnthropicStop stop_;
    bool started_ = false;
    bool stopped_ = false;
};

DecodeStatus AnthropicStreamDecoder::feed(const SseEvent& event, StreamEvents& out) {
    const std::string_view data = trimmed(event.data);
    return read_anthropic("an event of the stream", [&] {
        // Some gateways drop the names; the data repeats them.
        const bool named = !event.event.empty() && event.event != "message";
        if (!named && !data.starts_with('{')) {
            return DecodeStatus::unknown;
        }
        const Kind kind = named ? kind_of(event.event) : kind_of(string_member(data, "type"));
        switch (kind) {
            case Kind::unknown: return DecodeStatus::unknown;
            case Kind::ping: return DecodeStatus::ok;
            case Kind::error: throw_anthropic_error(data);
            default: return decode(kind, data, out);
        }
    });
}

DecodeStatus AnthropicStreamDecoder::decode(Kind kind, std::string_view data, StreamEvents& out) {
    const Members members = read_members(data);
    if (started_ == (kind == Kind::message_start)) {
        throw broken(
            started_ ? "it has a second message_start" : "it begins without message_start"
        );
    }
    if (kind == Kind::message_start) {
        start_message(members.message);
        return DecodeStatus::ok;
    }
    if (kind == Kind::message_delta) {
        return DecodeStatus::ok;  // read_members has taken it
    }
    if (kind == Kind::message_stop) {
        end_message();
        stopped_ = true;
        return DecodeStatus::done;
    }
    if (!members.index) {
        throw broken("an event of a content block has no index");
    }
    if (kind == Kind::block_stop) {
        blocks_.stop(*members.index, out);
    } else if (kind == Kind::block_start) {
        if (members.block.empty()) {
            throw broken("a content_block_start has no block");
        }
        blocks_.start(*members.index, members.block, out);
    } else if (!members.has_delta) {
        throw broken("a content_block_delta has no delta");
    } else if (!blocks_.add(*members.index, members.delta, out)) {
        return DecodeStatus::unknown;
    } else if (members.corrupt_delta) {
        throw broken("a piece of a content block is no text");
    }
    return DecodeStatus::ok;
}

AnthropicStreamDecoder::Members AnthropicStreamDecoder::read_members(std::string_view data) {
    Members members;
    JsonReader reader(data);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "index" && reader.peek() == JsonKind::number) {
            members.index = reader.integer();
        } else if (key == "delta") {
            read_delta(reader, members);
        } else if (key == "message" && reader.peek() == JsonKind::object) {
            members.message = reader.raw();
        } else if (key == "content_block" && reader.peek() == JsonKind::object) {
            members.block = reader.raw();
        } else if (key == "usage" && reader.peek() == JsonKind::object) {
            counts_.read(reader);
        } else if (key == "error" && reader.peek() != JsonKind::null) {
            throw_anthropic_error(data);
        } else {
            reader.skip();
        }
    }
    reader.finish();
    return members;
}

/// Of a block or of the message: their members have different names.
void AnthropicStreamDecoder::read_delta(JsonReader& reader, Members& members) {
    AnthropicDelta& delta = members.delta;
    const std::array<std::pair<std::string_view, std::string_view*>, 5> texts{{
        {"type", &delta.type},
        {"text", &delta.text},
        {"partial_json", &delta.partial_json},
        {"thinking", &delta.thinking},
        {"signature", &delta.signature},
    }};
    members.has_delta = true;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        const auto* const text = std::find_if(texts.begin(), texts.end(), [key](const auto& known) {
            return known.first == key;
        });
        if (text != texts.end()) {
            if (reader.peek() == JsonKind::string) {
                auto& scratch = scratch_[static_cast<std::size_t>(text - texts.begin())];
                *text->second = reader.string_view_or_buffer(scratch);
            } else if (!reader.consume_null()) {
                members.corrupt_delta = true;
                reader.skip();
            }
        } else if (key == "citation" && reader.peek() == JsonKind::object) {
            delta.citation = reader.raw();
        } else if (!stop_.read(reader, key)) {
            reader.skip();
        }
    }
}

void AnthropicStreamDecoder::start_message(std::string_view raw) {
    if (raw.empty()) {
        throw broken("its message_start has no message");
    }
    started_ = true;
    JsonReader reader(raw);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "id") {
            id_ = read_string_or_empty(reader);
        } else if (key == "model") {
            model_ = read_string_or_empty(reader);
        } else if (key == "usage" && reader.peek() == JsonKind::object) {
            counts_.read(reader);
        } else {
            reader.skip();
        }
    }
}

void AnthropicStreamDecoder::end_message() const {
    blocks_.finish();
    if (stop_.word().empty()) {
        throw broken("it ended without a stop_reason");
    }
}

void AnthropicStreamDecoder::finish(StreamEvents& out) {
    if (!stopped_) {
        throw LLMError(
            Errc::truncated_stream,
            "the stream ended without message_stop, so the reply is incomplete; try again"
        );
    }
    if (std::string words = stop_.explanation(); !words.empty()) {
        out.emplace_back(StreamEvent::Type::refusal, std::move(words));
    }
    const Usage usage = counts_.usage();
    if (usage.reported) {
        out.push_back(StreamEvent::token_usage(usage));
    }
    out.push_back(StreamEvent::stopped(stop_.reason(blocks_.has_tool_calls()), stop_.word()));
}

/// The reply's blocks in place of those that were joined from events: their order, signatures and
/// citations count.
void AnthropicStreamDecoder::complete(ChatReply& reply) const {
    reply.id = id_;
    reply.model = model_;
    reply.message = Message(Role::assistant, blocks_.content());
    stop_.complete(reply.message);
}

}  // namespace

std::unique_ptr<StreamDecoder> make_anthropic_stream_decoder() {
    return std::make_unique<AnthropicStreamDecoder>();
}

}  // namespace llmproc::providers
