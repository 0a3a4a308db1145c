// Pieces of streams read by nlohmann's documents: slow, plain, and written without the decoders.
#pragma once

#include <llmproc/json.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace llmproc::testing_cassettes {

/// The words of one event, by kind.
struct Words {
    std::string text;
    std::string refusal;
    std::string thinking;
    friend bool operator==(const Words&, const Words&) = default;
};

using Document = nlohmann::ordered_json;

inline const Document& at_or_null(const Document& value, const char* key) {
    static const Document none;
    if (!value.is_object() || !value.contains(key)) {
        return none;
    }
    return value.at(key);
}

inline std::string words_at(const Document& value, const char* key) {
    const Document& found = at_or_null(value, key);
    return found.is_string() ? found.get<std::string>() : std::string();
}

/// Reads the words of the deltas of a stream, event by event.
class PlainReading {
public:
    explicit PlainReading(std::string_view codec) : codec_(codec) {}

    Words read(std::string_view name, const Document& data) {
        Words words;
        if (codec_ == "openai_chat") {
            read_chat(data, words);
        } else if (codec_ == "openai_responses") {
            read_responses(name, data, words);
        } else if (codec_ == "anthropic") {
            read_anthropic(data, words);
        } else {
            read_gemini(data, words);
        }
        return words;
    }

private:
    static bool is_first(const Document& choice) {
        const Document& index = at_or_null(choice, "index");
        return index.is_null() || index == 0;
    }

    static void read_parts(const Document& parts, Words& words) {
        for (const Document& part : parts) {
            words.text += words_at(part, "text");
            const Document& thinking = at_or_null(part, "thinking");
            if (thinking.is_array()) {
                Words inner;
                read_parts(thinking, inner);
                words.thinking += inner.text + inner.thinking;
            } else {
                words.thinking += words_at(part, "thinking");
            }
        }
    }

    static void read_chat(const Document& data, Words& words) {
        for (const Document& choice : at_or_null(data, "choices")) {
            if (!is_first(choice)) {
                continue;
            }
            const Document& delta = at_or_null(choice, "delta");
            const Document& content = at_or_null(delta, "content");
            if (content.is_array()) {
                read_parts(content, words);
            }
            words.text += words_at(delta, "content");
            words.refusal += words_at(delta, "refusal");
            read_reasoning(delta, words);
        }
    }

    /// Some servers send a piece under two names, and some in details.
    static void read_reasoning(const Document& delta, Words& words) {
        const std::string one = words_at(delta, "reasoning");
        const std::string other = words_at(delta, "reasoning_content");
        if (one.empty() || other.empty()) {
            words.thinking += one + other;
            return;
        }
        for (const auto& [key, value] : delta.items()) {
            if (key == "reasoning" || key == "reasoning_content") {
                words.thinking += value.get<std::string>();
                return;
            }
        }
    }

    static void read_responses(std::string_view name, const Document& data, Words& words) {
        const std::string inside = words_at(data, "type");
        const std::string_view type = inside.empty() ? name : std::string_view(inside);
        if (type == "response.output_text.delta") {
            words.text = words_at(data, "delta");
        } else if (type == "response.refusal.delta") {
            words.refusal = words_at(data, "delta");
        } else if (type == "response.reasoning_summary_text.delta" || type == "response.reasoning_text.delta") {
            words.thinking = words_at(data, "delta");
        }
    }

    void read_anthropic(const Document& data, Words& words) {
        const Document& index = at_or_null(data, "index");
        const std::int64_t number = index.is_number() ? index.get<std::int64_t>() : -1;
        const Document& block = at_or_null(data, "content_block");
        if (block.is_object()) {
            types_[number] = words_at(block, "type");
            words.text = types_[number] == "text" ? words_at(block, "text") : "";
            words.thinking = types_[number] == "thinking" ? words_at(block, "thinking") : "";
            return;
        }
        const Document& delta = at_or_null(data, "delta");
        const std::string type = words_at(delta, "type");
        if (type == "text_delta" && types_[number] == "text") {
            words.text = words_at(delta, "text");
        } else if (type == "thinking_delta" && types_[number] == "thinking") {
            words.thinking = words_at(delta, "thinking");
        }
    }

    static void read_gemini(const Document& data, Words& words) {
        for (const Document& candidate : at_or_null(data, "candidates")) {
            if (!is_first(candidate)) {
                continue;
            }
            for (const Document& part : at_or_null(at_or_null(candidate, "content"), "parts")) {
                const bool call = at_or_null(part, "functionCall").is_object();
                std::string& sink = at_or_null(part, "thought") == true ? words.thinking
                                                                        : words.text;
                sink += call ? std::string() : words_at(part, "text");
            }
        }
    }

    std::string codec_;
    std::map<std::int64_t, std::string> types_;  ///< Of Anthropic's blocks.
};

}  // namespace llmproc::testing_cassettes
