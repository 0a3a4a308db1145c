#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "providers/openai_fields.hpp"
#include "providers/openai_responses.hpp"
#include "providers/openai_responses_events.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

namespace {

constexpr std::int64_t max_output_index = 9'999;
constexpr std::size_t max_calls = 1'024;

/// Which kinds of events have been given out; what is still missing comes from the final items.
struct Said {
    bool text = false;
    bool refusal = false;
    bool thinking = false;
    bool call = false;
};

/// An item of the output while it is being sent.
struct OutputItem {
    Said said;
    std::optional<std::int64_t> paragraph;  ///< The reasoning part of the last piece.
    std::optional<std::uint32_t> call;      ///< Its number among the calls given out.
    bool done = false;
    std::vector<ContentBlock> blocks;  ///< Once it is done.
};

struct GivenCall {
    std::string id;
    bool arguments = false;  ///< Any of them were given out.
};

class ResponsesStreamDecoder final : public StreamDecoder {
public:
    DecodeStatus feed(const SseEvent& event, StreamEvents& out) override;
    void finish(StreamEvents& out) override;
    bool flush_pending_event() const override { return true; }
    void complete(ChatReply& reply) const override;
    Usage usage() const override { return response_.usage; }

private:
    DecodeStatus handle(const ResponsesEvent& event, std::string_view data, StreamEvents& out);
    OutputItem& item_at(const ResponsesEvent& event);
    void add_piece(
        const ResponsesEvent& event,
        StreamEvent::Type type,
        bool Said::*kind,
        StreamEvents& out
    );
    void add_thinking(const ResponsesEvent& event, StreamEvents& out);
    void add_item(const ResponsesEvent& event, StreamEvents& out);
    void add_arguments(const ResponsesEvent& event, StreamEvents& out);
    void end_item(const ResponsesEvent& event, StreamEvents& out);
    void end_response(const ResponsesEvent& event, StreamEvents& out);
    void start_response(const ResponsesEvent& event);
    void begin_call(OutputItem* item, std::string id, std::string name, StreamEvents& out);
    void give_missing(
        const std::vector<ContentBlock>& blocks,
        Said before,
        OutputItem* item,
        StreamEvents& out
    );
    void give_call(const ToolCallBlock& call, Said before, OutputItem* item, StreamEvents& out);
    std::optional<std::vector<ContentBlock>> items_in_order() const;

    ResponsesEventReader reader_;
    std::map<std::int64_t, OutputItem> items_;
    std::vector<GivenCall> calls_;
    Said said_;
    ResponseObject response_;  ///< From the events that carry one; the last one's wins.
    ChatReply reply_;          ///< Message and stop reason, once the response has ended.
    bool has_message_ = false;
    bool ended_ = false;
};

[[noreturn]] void throw_error_event(std::string_view data) {
    ProviderError error = parse_error_body(data);
    if (error.type == "error") {  // the event's type, not the error's
        error.type.clear();
    }
    throw_reported(std::move(error));
}

DecodeStatus ResponsesStreamDecoder::feed(const SseEvent& event, StreamEvents& out) {
    const std::string_view data = trimmed(event.data);
    if (data == "[DONE]") {
        return DecodeStatus::done;
    }
    const bool named = !event.event.empty() && event.event != "message";
    const bool ours = !named || event.event == "error" || event.event.starts_with("response.");
    if (data.empty() || (!ours && data.front() != '{')) {
        return DecodeStatus::unknown;
    }
    if (event.event == "error" && data.front() != '{') {
        throw_error_event(data);
    }
    return read_answer(openai_responses_api, "an event of the stream", [&] {
        const ResponsesEvent& fields = reader_.read(data, named ? event.event : "");
        return handle(fields, data, out);
    });
}

DecodeStatus ResponsesStreamDecoder::handle(
    const ResponsesEvent& event,
    std::string_view data,
    StreamEvents& out
) {
    using Event = ResponsesEvent::Kind;
    switch (event.kind) {
        case Event::text: add_piece(event, StreamEvent::Type::text, &Said::text, out); break;
        case Event::refusal:
            add_piece(event, StreamEvent::Type::refusal, &Said::refusal, out);
            break;
        case Event::summary:
        case Event::reasoning: add_thinking(event, out); break;
        case Event::arguments: add_arguments(event, out); break;
        case Event::item_added: add_item(event, out); break;
        case Event::item_done: end_item(event, out); break;
        case Event::started: start_response(event); break;
        case Event::ended: end_response(event, out); return DecodeStatus::done;
        case Event::error: throw_error_event(data);
        case Event::extra: out.emplace_back(StreamEvent::Type::other, std::string(data)); break;
        case Event::nothing: break;
        case Event::unknown: return DecodeStatus::unknown;
    }
    return DecodeStatus::ok;
}

OutputItem& ResponsesStreamDecoder::item_at(const ResponsesEvent& event) {
    if (!event.output_index || *event.output_index < 0 || *event.output_index > max_output_index) {
        throw malformed_response(
            "an event of the stream",
            "its output_index is not one of 0 to 9999"
        );
    }
    return items_[*event.output_index];
}

void ResponsesStreamDecoder::add_piece(
    const ResponsesEvent& event,
    StreamEvent::Type type,
    bool Said::*kind,
    StreamEvents& out
) {
    OutputItem& item = item_at(event);
    if (event.delta.empty()) {
        return;
    }
    item.said.*kind = true;
    said_.*kind = true;
    out.emplace_back(type, std::string(event.delta));
}

/// Parts of reasoning are paragraphs, here as in the final block.
void ResponsesStreamDecoder::add_thinking(const ResponsesEvent& event, StreamEvents& out) {
    OutputItem& item = item_at(event);
    const bool content = event.kind == ResponsesEvent::Kind::reasoning;
    const std::int64_t part = content ? -1 - event.part_index : event.part_index;
    if (!event.delta.empty() && item.paragraph && *item.paragraph != part) {
        out.emplace_back(StreamEvent::Type::thinking, "\n\n");
    }
    if (!event.delta.empty()) {
        item.paragraph = part;
    }
    add_piece(event, StreamEvent::Type::thinking, &Said::thinking, out);
}

void ResponsesStreamDecoder::begin_call(
    OutputItem* item,
    std::string id,
    std::string name,
    StreamEvents& out
) {
    if (calls_.size() >= max_calls) {
        throw malformed_response("the stream", "it has more than 1024 tool calls");
    }
    const auto number = static_cast<std::uint32_t>(calls_.size());
    calls_.push_back(GivenCall{id, false});
    said_.call = true;
    if (item != nullptr) {
        item->call = number;
    }
    out.push_back(StreamEvent::tool_call(number, std::move(id), std::move(name)));
}

void ResponsesStreamDecoder::add_item(const ResponsesEvent& event, StreamEvents& out) {
    OutputItem& item = item_at(event);
    if (item.done) {
        item = OutputItem();
    }
    if (string_member(event.item, "type") != "function_call") {
        return;
    }
    CallHead head = read_call_head(event.item);
    // Without a name it begins once the item is done.
    if (!item.call && !head.name.empty() && !head.id.empty()) {
        begin_call(&item, std::move(head.id), std::move(head.name), out);
    }
}

void ResponsesStreamDecoder::add_arguments(const ResponsesEvent& event, StreamEvents& out) {
    OutputItem& item = item_at(event);
    if (item.done) {
        throw malformed_response("the stream", "arguments came after their function_call was done");
    }
    if (item.call && !event.delta.empty()) {  // else the finished item has them
        calls_[*item.call].arguments = true;
        out.push_back(StreamEvent::tool_arguments(*item.call, std::string(event.delta)));
    }
}

void ResponsesStreamDecoder::end_item(const ResponsesEvent& event, StreamEvents& out) {
    OutputItem& item = item_at(event);
    std::vector<ContentBlock> blocks;
    read_output_item(event.item, blocks);
    if (!std::exchange(item.done, true)) {
        give_missing(blocks, item.said, &item, out);
    }
    item.blocks = std::move(blocks);
}

void ResponsesStreamDecoder::give_call(
    const ToolCallBlock& call,
    Said before,
    OutputItem* item,
    StreamEvents& out
) {
    const auto known = std::find_if(calls_.begin(), calls_.end(), [&](const GivenCall& given) {
        return given.id == call.id;
    });
    auto number = static_cast<std::uint32_t>(known - calls_.begin());
    if (item != nullptr && item->call) {
        number = *item->call;  // some servers change the id at the end
    } else if (known == calls_.end()) {
        if (before.call) {
            return;
        }
        begin_call(item, call.id, call.name, out);
    }
    GivenCall& given = calls_[number];
    if (!given.arguments && !call.arguments.empty()) {
        given.arguments = true;
        out.push_back(StreamEvent::tool_arguments(number, call.arguments));
    }
}

/// Gives out what a server sent in whole items only.
void ResponsesStreamDecoder::give_missing(
    const std::vector<ContentBlock>& blocks,
    Said before,
    OutputItem* item,
    StreamEvents& out
) {
    const auto give = [&](StreamEvent::Type type, bool Said::*kind, const std::string& text) {
        if (before.*kind || text.empty()) {
            return;
        }
        said_.*kind = true;
        out.emplace_back(type, text);
    };
    for (const ContentBlock& block : blocks) {
        if (const auto* text = std::get_if<TextBlock>(&block)) {
            if (text->refusal) {
                give(StreamEvent::Type::refusal, &Said::refusal, text->text);
            } else {
                give(StreamEvent::Type::text, &Said::text, text->text);
            }
        } else if (const auto* thinking = std::get_if<ThinkingBlock>(&block)) {
            give(StreamEvent::Type::thinking, &Said::thinking, thinking->text);
        } else if (const auto* call = std::get_if<ToolCallBlock>(&block)) {
            give_call(*call, before, item, out);
        }
    }
}

void ResponsesStreamDecoder::start_response(const ResponsesEvent& event) {
    if (event.response.empty()) {
        return;
    }
    JsonReader reader(event.response);
    response_ = read_response_object(reader);
    response_.output.reset();
}

/// The items of `output_item.done`, if the output is made of nothing else.
std::optional<std::vector<ContentBlock>> ResponsesStreamDecoder::items_in_order() const {
    std::vector<ContentBlock> blocks;
    for (const auto& [index, item] : items_) {
        if (!item.done) {
            return std::nullopt;
        }
        blocks.insert(blocks.end(), item.blocks.begin(), item.blocks.end());
    }
    return blocks;
}

void ResponsesStreamDecoder::end_response(const ResponsesEvent& event, StreamEvents& out) {
    if (event.response.empty()) {
        throw malformed_response("the stream", "its last event has no response");
    }
    JsonReader reader(event.response);
    ResponseObject response = read_response_object(reader);
    // The kind of the event says it too; of two that differ the worse one counts.
    constexpr std::string_view prefix = "response.";
    const std::string& status = response.status;
    if (status != "failed" && status != "cancelled" && status != "incomplete") {
        response.status = event.type.substr(prefix.size());
    }
    response_ = std::move(response);
    throw_unless_ended(response_, Headers(), std::string());
    const bool whole = response_.output && !response_.output->empty();
    if (!whole) {
        response_.output = items_in_order();
    }
    ended_ = true;
    if (!response_.output) {  // the message is what the pieces make
        set_stop_reason(reply_, response_, said_.call, said_.refusal);
        return;
    }
    give_missing(*response_.output, said_, nullptr, out);
    reply_.message = Message(Role::assistant, *std::exchange(response_.output, std::nullopt));
    has_message_ = true;
    set_stop_reason(reply_, response_);
}

void ResponsesStreamDecoder::finish(StreamEvents& out) {
    if (!ended_) {
        throw LLMError(
            Errc::truncated_stream,
            "the stream ended without response.completed, so the reply is incomplete; try again"
        );
    }
    if (response_.usage.reported) {
        out.push_back(StreamEvent::token_usage(response_.usage));
    }
    out.push_back(StreamEvent::stopped(reply_.stop_reason, reply_.raw_stop_reason));
}

void ResponsesStreamDecoder::complete(ChatReply& reply) const {
    reply.id = response_.id;
    reply.model = response_.model;
    if (has_message_) {
        reply.message = reply_.message;
    }
}

}  // namespace

std::unique_ptr<StreamDecoder> make_responses_stream_decoder() {
    return std::make_unique<ResponsesStreamDecoder>();
}

}  // namespace llmproc::providers
