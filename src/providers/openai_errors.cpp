#include "providers/openai_errors.hpp"

#include "providers/error_words.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_fields.hpp"
#include "wire/retry_policy.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace llmproc::providers {

namespace {

constexpr std::size_t max_provider_message = 2000;
constexpr std::size_t max_words_in_what = 400;

/// OpenRouter and others put the status they mean into the code.
std::optional<int> status_in_code(std::string_view code) {
    int value = 0;
    const auto [end, error] = std::from_chars(code.data(), code.data() + code.size(), value);
    const bool whole = error == std::errc() && end == code.data() + code.size();
    return whole && value >= 400 && value < 600 ? std::optional<int>(value) : std::nullopt;
}

std::string_view remedy_of(Errc code) {
    switch (code) {
        case Errc::invalid_request: return "change the request as the provider says";
        case Errc::authentication_failed:
            return "check the key in the variable named by model.api_key_env, or what the token "
                   "provider returns";
        case Errc::permission_denied: return "the key may not do this; check its rights";
        case Errc::insufficient_quota: return "waiting does not help; check plan and billing";
        case Errc::not_found: return "check model.name and model.base_url";
        case Errc::request_too_large:
        case Errc::context_length: return "shorten the conversation";
        case Errc::content_filtered: return "the content policy refused the prompt; reword it";
        case Errc::rate_limited: return "slow down and try again";
        case Errc::server_error:
        case Errc::overloaded:
        case Errc::conflict: return "try again later";
        default: return "check model.base_url";
    }
}

/// FastAPI's `loc`, e.g. "body.messages".
std::string read_place(JsonReader& reader) {
    std::string place;
    reader.begin_array();
    while (reader.next_element()) {
        const bool name = reader.peek() == JsonKind::string;
        place += place.empty() ? "" : ".";
        place += name ? reader.string() : std::string(reader.raw());
    }
    return place;
}

/// One {loc, msg, type} in words.
std::string read_detail(JsonReader& reader) {
    std::string place;
    std::string problem;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "msg") {
            problem = read_string_or_empty(reader);
        } else if (key == "loc" && reader.peek() == JsonKind::array) {
            place = read_place(reader);
        } else {
            reader.skip();
        }
    }
    place += place.empty() ? "" : ": ";
    place += problem;
    return place;
}

/// FastAPI's list of problems in one line.
std::string read_detail_list(JsonReader& reader) {
    std::string text;
    reader.begin_array();
    while (reader.next_element()) {
        if (reader.peek() == JsonKind::object) {
            text += text.empty() ? "" : "; ";
            text += read_detail(reader);
        } else {
            reader.skip();
        }
    }
    return text;
}

/// A message that should be text: text, a list of problems, or whatever else as it is.
std::string read_message(JsonReader& reader) {
    switch (reader.peek()) {
        case JsonKind::string: return reader.string();
        case JsonKind::null: reader.null(); return {};
        case JsonKind::array: {
            const JsonReader start = reader;
            std::string text = read_detail_list(reader);
            if (text.empty()) {
                reader = start;
                text = std::string(reader.raw());
            }
            return text;
        }
        default: return std::string(reader.raw());
    }
}

std::string read_scalar(JsonReader& reader) {
    switch (reader.peek()) {
        case JsonKind::string: return reader.string();
        case JsonKind::number: return std::string(reader.raw());
        default: reader.skip(); return {};
    }
}

/// Anthropic's details; other vendors have a list there.
std::string read_error_code(JsonReader& reader) {
    std::string code;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "error_code") {
            code = read_scalar(reader);
        } else {
            reader.skip();
        }
    }
    return code;
}

bool read_error_member(JsonReader& reader, std::string_view key, ProviderError& error) {
    if (key == "message") {
        error.message = read_message(reader);
    } else if (key == "type") {
        error.type = read_scalar(reader);
    } else if (key == "code") {
        error.code = read_scalar(reader);
    } else if (key == "status") {  // Google's word where others have a type
        std::string word = read_string_or_empty(reader);
        error.type = error.type.empty() ? std::move(word) : error.type;
    } else if (key == "details" && reader.peek() == JsonKind::object) {
        std::string word = read_error_code(reader);
        error.code = error.code.empty() ? std::move(word) : error.code;
    } else {
        return false;
    }
    return true;
}

ProviderError read_error_object(JsonReader& reader) {
    ProviderError error;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (!read_error_member(reader, key, error)) {
            reader.skip();
        }
    }
    return error;
}

/// The body as an object: `error` wins over `detail`, that over members at the top.
std::optional<ProviderError> read_body_object(JsonReader& reader) {
    std::optional<ProviderError> inner;
    ProviderError outer;
    std::string detail;
    std::string request_id;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "error") {
            inner = read_provider_error(reader);
        } else if (key == "detail") {
            detail = read_message(reader);
        } else if (key == "request_id") {
            request_id = read_string_or_empty(reader);
        } else if (!read_error_member(reader, key, outer)) {
            reader.skip();
        }
    }
    ProviderError error = inner ? std::move(*inner) : std::move(outer);
    if (!inner && !detail.empty()) {
        error.message = std::move(detail);
    }
    error.request_id = std::move(request_id);
    if (!inner && error.message.empty() && error.code.empty()) {
        return std::nullopt;
    }
    return error;
}

std::optional<ProviderError> read_error_body(std::string_view body) {
    JsonReader reader(body);
    if (reader.peek() == JsonKind::array) {  // Gemini without alt=sse
        reader.begin_array();
        if (!reader.next_element()) {
            return std::nullopt;
        }
    }
    switch (reader.peek()) {
        case JsonKind::object: return read_body_object(reader);
        case JsonKind::string: {
            ProviderError error;
            error.message = reader.string();
            return error;
        }
        default: return std::nullopt;
    }
}

bool continues_character(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U;
}

/// What keys and tokens may consist of: all that is visible, but for what text puts around them.
bool in_word(char c) {
    constexpr std::string_view around = "\"'<>(){}[],;";
    return c > ' ' && c < 0x7f && around.find(c) == std::string_view::npos;
}

bool divides_word(std::string_view text, std::size_t at) {
    return in_word(text[at]) && in_word(text[at - 1]);
}

std::string one_line(std::string_view text, std::size_t limit) {
    std::string line = cut_text(trimmed(text), limit);
    std::replace_if(
        line.begin(),
        line.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20; },
        ' '
    );
    return line;
}

/// The code says more than the type.
std::optional<Errc> by_word(
    std::optional<Errc> (&meaning)(std::string_view),
    const ProviderError& error
) {
    const std::optional<Errc> by_code = meaning(error.code);
    return by_code ? by_code : meaning(error.type);
}

}  // namespace

std::string cut_text(std::string_view text, std::size_t limit) {
    if (text.size() <= limit) {
        return std::string(text);
    }
    std::size_t end = limit;
    while (end > 0 && (continues_character(text[end]) || divides_word(text, end))) {
        --end;
    }
    return std::string(text.substr(0, end));
}

std::optional<ProviderError> read_provider_error(JsonReader& reader) {
    ProviderError error;
    switch (reader.peek()) {
        case JsonKind::object: return read_error_object(reader);
        case JsonKind::string: {
            error.message = reader.string();
            return error.message.empty() ? std::nullopt : std::optional(std::move(error));
        }
        case JsonKind::boolean:
            return reader.boolean() ? std::optional(std::move(error)) : std::nullopt;
        case JsonKind::null: reader.null(); return std::nullopt;
        default: {
            error.message = reader.raw();
            return error.message == "0" ? std::nullopt : std::optional(std::move(error));
        }
    }
}

ProviderError parse_error_body(std::string_view body) {
    const std::string_view text = trimmed(body);
    if (!text.empty()) {
        try {
            if (auto error = read_error_body(text)) {
                return std::move(*error);
            }
        } catch (const LLMError&) {
            // No JSON, or cut off: the text itself is what the server said.
        }
    }
    ProviderError error;
    error.message = cut_text(text, max_provider_message);
    return error;
}

Errc error_code_of(std::optional<int> status, const ProviderError& error) {
    if (const auto code = by_word(decisive_code, error)) {
        return *code;
    }
    if (!status) {
        status = status_in_code(error.code);
    }
    const Errc code = status ? code_of_status(*status)
                             : by_word(code_without_status, error).value_or(Errc::server_error);
    return code == Errc::invalid_request && names_context_length(error.message)
               ? Errc::context_length
               : code;
}

LLMError make_provider_error(
    std::optional<int> status,
    ProviderError error,
    const Headers& headers
) {
    const Errc code = error_code_of(status, error);
    std::string text = status ? "the provider answered HTTP " + std::to_string(*status)
                              : std::string("the provider reported an error after HTTP 200");
    const std::string words = one_line(error.message, max_words_in_what);
    if (!words.empty()) {
        text += ": " + words;
    }
    if (!error.code.empty() || !error.type.empty()) {
        text += " (" + cut_text(error.code.empty() ? error.type : error.code, 100) + ")";
    }
    text.append("; ").append(remedy_of(code));

    Diagnostics diagnostics;
    diagnostics.status = status;
    diagnostics.request_id = std::move(error.request_id);
    diagnostics.provider_type = cut_text(error.type, 200);
    diagnostics.provider_code = cut_text(error.code, 200);
    diagnostics.provider_message = cut_text(error.message, max_provider_message);
    if (const auto hint = wire::retry_after_hint(headers, std::chrono::system_clock::now())) {
        diagnostics.retry_after = std::chrono::ceil<std::chrono::milliseconds>(*hint);
    }
    return {code, text, std::move(diagnostics)};
}

void throw_reported(ProviderError error) {
    throw make_provider_error(std::nullopt, std::move(error), Headers());
}

void throw_if_reported(JsonReader& reader) {
    if (auto error = read_provider_error(reader)) {
        throw_reported(std::move(*error));
    }
}

LLMError decode_openai_error(const HttpResponse& response, std::string request_id) {
    ProviderError error = parse_error_body(response.body);
    if (!request_id.empty()) {
        error.request_id = std::move(request_id);
    }
    return make_provider_error(response.status, std::move(error), response.headers);
}

LLMError malformed_answer(
    std::string_view protocol,
    std::string_view what,
    std::string_view detail
) {
    std::string text(what);
    text.append(" is not what ").append(protocol).append(" promises: ").append(detail);
    text += "; check that model.base_url is the address of its API";
    return {Errc::malformed_response, text};
}

LLMError malformed(std::string_view what, std::string_view detail) {
    return malformed_answer(openai_chat_words, what, detail);
}

}  // namespace llmproc::providers
