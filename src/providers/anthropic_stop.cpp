#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/anthropic.hpp"
#include "providers/openai_fields.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

void read_raw(JsonReader& reader, std::string& value) {
    if (!reader.consume_null()) {
        value = reader.raw();
    }
}

void write_raw(JsonWriter& json, std::string_view name, const std::string& value) {
    if (!value.empty()) {
        json.key(name);
        json.raw(value);
    }
}

/// Replaces a count unless it is null; the later of two is the total.
void read_total(JsonReader& reader, std::int64_t& value) {
    if (!reader.consume_null()) {
        value = read_count(reader);
    }
}

bool tells_refusal(const UnknownBlock& block) {
    JsonReader reader(block.raw.text());
    if (block.provider != anthropic_name || reader.peek() != JsonKind::object) {
        return false;
    }
    reader.begin_object();
    std::string_view key;
    return reader.next_key(key) && key == "stop_reason" &&
           read_string_or_empty(reader) == "refusal";
}

}  // namespace

bool AnthropicStop::read(JsonReader& reader, std::string_view key) {
    if (key == "stop_reason") {
        if (reader.peek() == JsonKind::string) {
            word_ = reader.string();
        } else {
            reader.skip();
        }
    } else if (key == "stop_sequence") {
        read_raw(reader, sequence_);
    } else if (key == "stop_details") {
        read_raw(reader, details_);
    } else if (key == "container") {
        read_raw(reader, container_);
    } else {
        return false;
    }
    return true;
}

StopReason AnthropicStop::reason(bool has_tool_calls) const {
    if (word_ == "end_turn") {
        // Some compatible servers say so beside a call.
        return has_tool_calls ? StopReason::tool_use : StopReason::end_turn;
    }
    if (word_ == "max_tokens" || word_ == "model_context_window_exceeded") {
        return StopReason::max_tokens;
    }
    if (word_ == "stop_sequence") {
        return StopReason::stop_sequence;
    }
    if (word_ == "tool_use") {
        return StopReason::tool_use;
    }
    if (word_ == "pause_turn") {
        return StopReason::pause_turn;
    }
    return word_ == "refusal" ? StopReason::refusal : StopReason::unknown;
}

std::string AnthropicStop::explanation() const {
    std::string text;
    if (word_ != "refusal" || details_.empty()) {
        return text;
    }
    JsonReader reader(details_);
    if (reader.peek() != JsonKind::object) {
        return text;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "explanation") {
            text = read_string_or_empty(reader);
        } else {
            reader.skip();
        }
    }
    return text;
}

void AnthropicStop::complete(Message& message) const {
    const bool refused = word_ == "refusal";
    if (std::string words = explanation(); !words.empty()) {
        message.add(TextBlock::refused(std::move(words)));
    }
    if (!refused && sequence_.empty() && details_.empty() && container_.empty()) {
        return;
    }
    std::string raw;
    JsonWriter json(raw);
    json.begin_object();
    json.key("stop_reason");
    json.string(word_);
    write_raw(json, "stop_sequence", sequence_);
    write_raw(json, "stop_details", details_);
    write_raw(json, "container", container_);
    json.end_object();
    message.add(UnknownBlock(std::string(anthropic_name), RawJson::trusted(std::move(raw))));
}

bool is_anthropic_refusal(const Message& message) {
    const auto& blocks = message.content();
    // With a call it has to stay, or its results would answer nothing.
    return !message.has_tool_calls() &&
           std::any_of(blocks.begin(), blocks.end(), [](const ContentBlock& block) {
               const auto* unknown = std::get_if<UnknownBlock>(&block);
               return unknown != nullptr && tells_refusal(*unknown);
           });
}

void AnthropicCounts::read(JsonReader& reader) {
    reported_ = true;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "input_tokens") {
            read_total(reader, input_);
        } else if (key == "output_tokens") {
            read_total(reader, output_);
        } else if (key == "cache_read_input_tokens") {
            read_total(reader, cache_read_);
        } else if (key == "cache_creation_input_tokens") {
            read_total(reader, cache_write_);
        } else if (key == "output_tokens_details" && reader.peek() == JsonKind::object) {
            read_details(reader);
        } else {
            reader.skip();
        }
    }
}

void AnthropicCounts::read_details(JsonReader& reader) {
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "thinking_tokens") {
            read_total(reader, thinking_);
        } else {
            reader.skip();
        }
    }
}

Usage AnthropicCounts::usage() const {
    Usage usage;
    usage.reported = reported_;
    usage.input_tokens = input_ + cache_read_ + cache_write_;
    usage.output_tokens = output_;
    usage.cached_input_tokens = cache_read_;
    usage.cache_write_tokens = cache_write_;
    usage.reasoning_tokens = thinking_;
    usage.total_tokens = usage.input_tokens + usage.output_tokens;
    return usage;
}

}  // namespace llmproc::providers
