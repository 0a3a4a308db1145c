#include "providers/openai_fields.hpp"

#include "core/json_token.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <random>

namespace llmproc::providers {

namespace {

/// Reads the member `name` of an object of counts.
void read_details(
    JsonReader& reader,
    std::string_view first_name,
    std::int64_t& first,
    std::string_view second_name,
    std::int64_t& second
) {
    if (reader.peek() != JsonKind::object) {
        reader.skip();
        return;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == first_name) {
            first = read_count(reader);
        } else if (key == second_name) {
            second = read_count(reader);
        } else {
            reader.skip();
        }
    }
}

}  // namespace

std::int64_t read_count(JsonReader& reader) {
    constexpr std::int64_t most = std::int64_t{1} << 48;  // sums of counts cannot overflow
    if (reader.peek() != JsonKind::number) {
        reader.skip();
        return 0;
    }
    const std::string_view text = reader.raw();
    if (text.front() == '-') {
        return 0;
    }
    const char* const last = text.data() + text.size();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), last, value);
    if (error == std::errc() && end == last) {
        return std::min(value, most);
    }
    const double number = to_double(text);  // 1e3, or beyond 64 bits
    if (number >= static_cast<double>(most)) {
        return most;
    }
    return number == std::trunc(number) ? static_cast<std::int64_t>(number) : 0;
}

Usage read_openai_usage(JsonReader& reader) {
    Usage usage;
    usage.reported = true;
    std::int64_t unused = 0;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "prompt_tokens" || key == "input_tokens") {
            usage.input_tokens = read_count(reader);
        } else if (key == "completion_tokens" || key == "output_tokens") {
            usage.output_tokens = read_count(reader);
        } else if (key == "total_tokens") {
            usage.total_tokens = read_count(reader);
        } else if (key == "prompt_cache_hit_tokens") {  // DeepSeek's place for cached tokens
            usage.cached_input_tokens = read_count(reader);
        } else if (key == "prompt_tokens_details" || key == "input_tokens_details") {
            read_details(
                reader,
                "cached_tokens",
                usage.cached_input_tokens,
                "cache_write_tokens",
                usage.cache_write_tokens
            );
        } else if (key == "completion_tokens_details" || key == "output_tokens_details") {
            read_details(reader, "reasoning_tokens", usage.reasoning_tokens, "", unused);
        } else {
            reader.skip();
        }
    }
    const std::int64_t sum = usage.input_tokens + usage.output_tokens;
    if (usage.total_tokens == 0) {
        usage.total_tokens = sum;
    } else if (usage.reasoning_tokens > 0 && usage.total_tokens == sum + usage.reasoning_tokens) {
        // Some servers (xAI) count reasoning beside the completion; here it is part of the output.
        usage.output_tokens += usage.reasoning_tokens;
    }
    return usage;
}

StopReason openai_stop_reason(std::string_view reason, bool has_tool_calls, bool has_refusal) {
    if (reason == "length" || reason == "max_tokens" || reason == "model_length") {
        return StopReason::max_tokens;
    }
    if (reason == "content_filter") {
        return StopReason::content_filter;
    }
    if (has_tool_calls) {
        return StopReason::tool_use;
    }
    if (has_refusal) {
        return StopReason::refusal;
    }
    if (reason == "stop_sequence") {
        return StopReason::stop_sequence;
    }
    // Without a call there is nothing to wait for, whatever the server says.
    const bool ended = reason == "stop" || reason == "eos" || reason == "eos_token" ||
                       reason == "end_turn" || reason == "tool_calls" || reason == "function_call";
    return ended ? StopReason::end_turn : StopReason::unknown;
}

std::string make_tool_call_id() {
    constexpr std::string_view letters =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::random_device source;
    std::uniform_int_distribution<std::size_t> pick(0, letters.size() - 1);
    std::string id = "call_";
    for (int i = 0; i < 24; ++i) {
        id.push_back(letters[pick(source)]);
    }
    return id;
}

std::string read_string_or_empty(JsonReader& reader) {
    if (reader.peek() == JsonKind::string) {
        return reader.string();
    }
    reader.skip();
    return {};
}

std::string string_member(std::string_view object, std::string_view name) {
    JsonReader reader(object);
    if (reader.peek() != JsonKind::object) {
        return {};
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == name) {
            return read_string_or_empty(reader);
        }
        reader.skip();
    }
    return {};
}

std::string read_arguments(JsonReader& reader) {
    switch (reader.peek()) {
        case JsonKind::string: return reader.string();
        case JsonKind::null: reader.null(); return {};
        default: return std::string(reader.raw());
    }
}

std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view blanks = " \t\r\n";
    const auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

}  // namespace llmproc::providers
