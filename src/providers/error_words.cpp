#include "providers/error_words.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace llmproc::providers {

namespace {

struct KnownWord {
    std::string_view word;
    Errc code;
};

// Codes and types that say more than the status, or stand alone in an error after HTTP 200.
constexpr std::array<KnownWord, 11> decisive_words{{
    {"context_length_exceeded", Errc::context_length},
    {"exceed_context_size_error", Errc::context_length},  // llama.cpp
    {"content_filter", Errc::content_filtered},
    {"content_policy_violation", Errc::content_filtered},
    {"insufficient_quota", Errc::insufficient_quota},
    {"credit_balance_exhausted", Errc::insufficient_quota},
    {"billing_hard_limit_reached", Errc::insufficient_quota},
    {"enforced_spend_limit_reached", Errc::insufficient_quota},  // Anthropic
    {"invalid_api_key", Errc::authentication_failed},
    {"API_KEY_INVALID", Errc::authentication_failed},  // Google, with status 400
    {"model_not_found", Errc::not_found},
}};

constexpr std::array<KnownWord, 45> words_without_status{{
    {"rate_limit_exceeded", Errc::rate_limited},
    {"rate_limit_error", Errc::rate_limited},
    {"requests", Errc::rate_limited},
    {"tokens", Errc::rate_limited},
    {"RESOURCE_EXHAUSTED", Errc::rate_limited},
    {"server_is_overloaded", Errc::overloaded},
    {"slow_down", Errc::overloaded},
    {"overloaded_error", Errc::overloaded},
    {"service_unavailable_error", Errc::overloaded},
    {"unavailable_error", Errc::overloaded},
    {"UNAVAILABLE", Errc::overloaded},
    {"server_error", Errc::server_error},
    {"api_error", Errc::server_error},
    {"internal_server_error", Errc::server_error},
    {"timeout_error", Errc::server_error},
    {"INTERNAL", Errc::server_error},
    {"invalid_request_error", Errc::invalid_request},
    {"BadRequestError", Errc::invalid_request},  // vLLM
    {"invalid_prompt", Errc::invalid_request},
    {"INVALID_ARGUMENT", Errc::invalid_request},
    {"data_residency_mismatch", Errc::invalid_request},
    {"bio_policy", Errc::content_filtered},
    {"misalignment_policy_violation", Errc::content_filtered},
    {"image_content_policy_violation", Errc::content_filtered},
    {"invalid_image", Errc::invalid_request},
    {"invalid_image_format", Errc::invalid_request},
    {"invalid_image_mode", Errc::invalid_request},
    {"invalid_image_url", Errc::invalid_request},
    {"invalid_base64_image", Errc::invalid_request},
    {"unsupported_image_media_type", Errc::invalid_request},
    {"empty_image_file", Errc::invalid_request},
    {"image_file_not_found", Errc::invalid_request},
    {"image_file_too_large", Errc::invalid_request},
    {"image_too_large", Errc::invalid_request},
    {"image_too_small", Errc::invalid_request},
    {"image_parse_error", Errc::invalid_request},
    {"failed_to_download_image", Errc::invalid_request},
    {"authentication_error", Errc::authentication_failed},
    {"UNAUTHENTICATED", Errc::authentication_failed},
    {"permission_error", Errc::permission_denied},
    {"PERMISSION_DENIED", Errc::permission_denied},
    {"conflict_error", Errc::conflict},
    {"billing_error", Errc::insufficient_quota},
    {"not_found_error", Errc::not_found},
    {"request_too_large", Errc::request_too_large},
}};

template <std::size_t Size>
std::optional<Errc> look_up(const std::array<KnownWord, Size>& words, std::string_view word) {
    const auto* const found = std::find_if(words.begin(), words.end(), [word](const auto& known) {
        return known.word == word;
    });
    return found == words.end() ? std::nullopt : std::optional(found->code);
}

constexpr std::array<std::string_view, 5> context_phrases{
    "maximum context length",
    "context_length_exceeded",
    "prompt is too long",                             // Anthropic
    "exceed context limit",                           // Anthropic, with max_tokens counted in
    "exceeds the maximum number of tokens allowed"};  // Gemini

}  // namespace

std::optional<Errc> decisive_code(std::string_view word) {
    return look_up(decisive_words, word);
}

std::optional<Errc> code_without_status(std::string_view word) {
    return look_up(words_without_status, word);
}

Errc code_of_status(int status) {
    switch (status) {
        case 400:
        case 422: return Errc::invalid_request;
        case 401: return Errc::authentication_failed;
        case 402: return Errc::insufficient_quota;
        case 403: return Errc::permission_denied;
        case 404: return Errc::not_found;
        // The server gave up waiting for the request: its failure, and repeatable.
        case 408: return Errc::server_error;
        case 409: return Errc::conflict;
        case 413: return Errc::request_too_large;
        case 429: return Errc::rate_limited;
        case 503:
        case 529: return Errc::overloaded;
        default: return status >= 500 && status < 600 ? Errc::server_error : Errc::http_status;
    }
}

bool names_context_length(std::string_view message) {
    return std::any_of(
        context_phrases.begin(),
        context_phrases.end(),
        [message](std::string_view phrase) { return message.find(phrase) != message.npos; }
    );
}

}  // namespace llmproc::providers
