#include "providers/gemini_answer.hpp"

#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "providers/gemini.hpp"
#include "providers/openai_errors.hpp"
#include "providers/openai_fields.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <utility>

namespace llmproc::providers {

namespace {

constexpr std::string_view answer_name = "the answer";
constexpr std::string_view unspecified = "FINISH_REASON_UNSPECIFIED";
constexpr std::string_view no_block = "BLOCK_REASON_UNSPECIFIED";

/// A count; the API may send 64-bit ones as text.
std::int64_t read_tokens(JsonReader& reader) {
    if (reader.peek() != JsonKind::string) {
        return read_count(reader);
    }
    const std::string text = reader.string();
    constexpr std::size_t most_digits = 14;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc() && end == text.data() + text.size();
    return whole && value > 0 && text.size() <= most_digits ? value : 0;
}

/// Thoughts are counted beside the candidates, and what tools put into the prompt beside that.
Usage read_usage(JsonReader& reader) {
    Usage usage;
    usage.reported = true;
    std::int64_t prompt = 0;
    std::int64_t tool_prompt = 0;
    std::int64_t candidates = 0;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "promptTokenCount") {
            prompt = read_tokens(reader);
        } else if (key == "toolUsePromptTokenCount") {
            tool_prompt = read_tokens(reader);
        } else if (key == "candidatesTokenCount") {
            candidates = read_tokens(reader);
        } else if (key == "thoughtsTokenCount") {
            usage.reasoning_tokens = read_tokens(reader);
        } else if (key == "cachedContentTokenCount") {
            usage.cached_input_tokens = read_tokens(reader);
        } else if (key == "totalTokenCount") {
            usage.total_tokens = read_tokens(reader);
        } else {
            reader.skip();
        }
    }
    usage.input_tokens = prompt + tool_prompt;
    usage.output_tokens = candidates + usage.reasoning_tokens;
    if (usage.total_tokens == 0) {
        usage.total_tokens = usage.input_tokens + usage.output_tokens;
    }
    return usage;
}

StopReason meaning_of(std::string_view reason, bool has_calls) {
    constexpr std::array<std::string_view, 9> policy{
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION"};
    if (reason == "STOP") {
        return has_calls ? StopReason::tool_use : StopReason::end_turn;
    }
    if (reason == "MAX_TOKENS") {
        return StopReason::max_tokens;
    }
    const bool filtered = std::find(policy.begin(), policy.end(), reason) != policy.end();
    return filtered ? StopReason::content_filter : StopReason::unknown;
}

std::int64_t read_index(JsonReader& reader) {
    if (reader.consume_null()) {
        return 0;
    }
    const std::int64_t index = reader.integer();
    if (index < 0 || index > 127) {
        throw gemini_malformed(answer_name, "a candidate has an index beyond 0 to 127");
    }
    return index;
}

void write_if(JsonWriter& json, std::string_view name, std::string_view raw) {
    if (!raw.empty()) {
        json.key(name);
        json.raw(raw);
    }
}

}  // namespace

struct GeminiAnswer::Candidate {
    std::optional<JsonReader> content;
    std::string finish_reason;
    std::string_view finish_message;
    std::string_view safety_ratings;
    std::string_view citations;
    std::string_view grounding;
    std::string_view url_context;
    std::string_view continuation_token;
    std::int64_t index = 0;

    void read(JsonReader& reader) {
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key == "content") {
                content = reader;
                reader.skip();
            } else if (key == "index") {
                index = read_index(reader);
            } else if (key == "finishReason") {
                finish_reason = read_string_or_empty(reader);
            } else {
                std::string_view* const kept = place_of(key);
                const std::string_view raw = reader.raw();
                if (kept != nullptr && raw != "null") {
                    *kept = raw;
                }
            }
        }
    }

private:
    std::string_view* place_of(std::string_view key) {
        if (key == "finishMessage") {
            return &finish_message;
        }
        if (key == "safetyRatings") {
            return &safety_ratings;
        }
        if (key == "citationMetadata") {
            return &citations;
        }
        if (key == "groundingMetadata") {
            return &grounding;
        }
        if (key == "urlContextMetadata") {
            return &url_context;
        }
        return key == "continuationToken" ? &continuation_token : nullptr;
    }
};

bool GeminiAnswer::read(std::string_view object, StreamEvents& out) {
    bool known = false;
    JsonReader reader(object);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        known = known || key == "candidates" || key == "promptFeedback" || key == "usageMetadata";
        if (key == "candidates") {
            read_candidates(reader, out);
        } else if (key == "promptFeedback") {
            read_feedback(reader);
        } else if (key == "usageMetadata" && reader.peek() == JsonKind::object) {
            usage_ = read_usage(reader);  // a running total: the last one is the whole
        } else if (key == "modelVersion" && model_.empty()) {
            model_ = read_string_or_empty(reader);
        } else if (key == "responseId" && id_.empty()) {
            id_ = read_string_or_empty(reader);
        } else if (key == "error") {
            if (read_provider_error(reader)) {
                throw make_gemini_error(std::nullopt, object, Headers(), std::string());
            }
        } else {
            reader.skip();
        }
    }
    reader.finish();
    return known;
}

void GeminiAnswer::read_candidates(JsonReader& reader, StreamEvents& out) {
    if (reader.consume_null()) {
        return;
    }
    reader.begin_array();
    while (reader.next_element()) {
        read_candidate(reader, out);
    }
}

/// `index` comes behind the content, so the content is passed over first.
void GeminiAnswer::read_candidate(JsonReader& reader, StreamEvents& out) {
    Candidate candidate;
    candidate.read(reader);
    if (candidate.index != 0) {
        return;  // the reply is the first candidate; this library never asks for more
    }
    has_candidate_ = true;
    if (candidate.content) {
        read_content(*candidate.content, out);
    }
    keep(candidate, out);
}

void GeminiAnswer::read_content(JsonReader& reader, StreamEvents& out) {
    if (reader.consume_null()) {
        return;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key != "parts" || reader.peek() == JsonKind::null) {
            reader.skip();
            continue;
        }
        reader.begin_array();
        while (reader.next_element()) {
            parts_.read(reader, out);
        }
    }
}

void GeminiAnswer::keep(const Candidate& candidate, StreamEvents& out) {
    if (!candidate.finish_reason.empty() && candidate.finish_reason != unspecified) {
        finish_reason_ = candidate.finish_reason;
    }
    const auto keep_last = [](std::string& kept, std::string_view raw) {
        if (!raw.empty()) {
            kept = raw;
        }
    };
    keep_last(finish_message_, candidate.finish_message);
    keep_last(safety_ratings_, candidate.safety_ratings);
    keep_last(grounding_, candidate.grounding);
    keep_last(url_context_, candidate.url_context);
    if (!candidate.citations.empty()) {
        keep_citations(candidate.citations);
    }
    if (to_be_continued() && !candidate.continuation_token.empty()) {
        std::string raw = R"({"continuationToken":)";
        raw.append(candidate.continuation_token).append("}");
        out.emplace_back(StreamEvent::Type::other, std::move(raw));
    }
}

/// Each chunk brings the sources that are new.
void GeminiAnswer::keep_citations(std::string_view metadata) {
    JsonReader reader(metadata);
    if (reader.peek() != JsonKind::object) {
        return;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if ((key != "citationSources" && key != "citations") || reader.peek() != JsonKind::array) {
            reader.skip();
            continue;
        }
        citation_list_name_ = key;
        reader.begin_array();
        while (reader.next_element()) {
            citation_list_ += citation_list_.empty() ? "" : ",";
            citation_list_ += reader.raw();
        }
    }
}

void GeminiAnswer::read_feedback(JsonReader& reader) {
    if (reader.peek() != JsonKind::object) {
        reader.skip();
        return;
    }
    JsonReader start = reader;
    prompt_feedback_ = start.raw();
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "blockReason") {
            std::string reason = read_string_or_empty(reader);
            block_reason_ = reason == no_block ? std::string() : std::move(reason);
        } else {
            reader.skip();
        }
    }
}

StopReason GeminiAnswer::stop_reason() const {
    if (finish_reason_.empty() && !block_reason_.empty()) {
        return StopReason::content_filter;
    }
    return meaning_of(finish_reason_, parts_.has_calls());
}

std::string GeminiAnswer::citations() const {
    if (citation_list_.empty() && grounding_.empty() && url_context_.empty()) {
        return {};
    }
    std::string text;
    JsonWriter json(text);
    json.begin_object();
    if (!citation_list_.empty()) {
        json.key("citationMetadata");
        json.begin_object();
        json.key(citation_list_name_);
        json.raw("[" + citation_list_ + "]");
        json.end_object();
    }
    write_if(json, "groundingMetadata", grounding_);
    write_if(json, "urlContextMetadata", url_context_);
    json.end_object();
    return text;
}

/// What a blocked answer says about itself.
std::string GeminiAnswer::notes() const {
    if (stop_reason() != StopReason::content_filter && finish_message_.empty()) {
        return {};
    }
    std::string text;
    JsonWriter json(text);
    json.begin_object();
    write_if(json, "promptFeedback", prompt_feedback_);
    write_if(json, "finishMessage", finish_message_);
    write_if(json, "safetyRatings", safety_ratings_);
    json.end_object();
    return text == "{}" ? std::string() : text;
}

void GeminiAnswer::complete(ChatReply& reply) const {
    reply.id = id_;
    reply.model = model_;
    reply.message = Message(Role::assistant, parts_.blocks());
    auto& blocks = reply.message.content();
    const auto add_kept = [&blocks](const std::string& object) {
        std::string raw = "{";
        append_json_string(raw, of_candidate);
        raw.append(":").append(object).append("}");
        blocks.emplace_back(UnknownBlock(std::string(gemini_name), RawJson::trusted(std::move(raw)))
        );
    };
    if (std::string sources = citations(); !sources.empty()) {
        const auto last = std::find_if(blocks.rbegin(), blocks.rend(), [](const auto& block) {
            return std::holds_alternative<TextBlock>(block);
        });
        if (last != blocks.rend()) {
            std::get<TextBlock>(*last).citations = RawJson::trusted(std::move(sources));
        } else {
            add_kept(sources);
        }
    }
    if (const std::string kept = notes(); !kept.empty()) {
        add_kept(kept);
    }
}

}  // namespace llmproc::providers
