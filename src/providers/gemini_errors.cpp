#include "core/json_reader.hpp"
#include "providers/gemini.hpp"
#include "providers/openai_errors.hpp"
#include "providers/openai_fields.hpp"
#include "wire/http_time.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

/// What google.rpc details say (AIP-193).
struct Details {
    std::string reason;       ///< Of ErrorInfo, e.g. API_KEY_INVALID.
    std::string retry_delay;  ///< Of RetryInfo, e.g. "3.5s".
};

void read_detail(JsonReader& reader, Details& details) {
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "reason") {
            details.reason = read_string_or_empty(reader);
        } else if (key == "retryDelay") {
            details.retry_delay = read_string_or_empty(reader);
        } else {
            reader.skip();
        }
    }
}

void read_details(JsonReader& reader, Details& details) {
    reader.begin_array();
    while (reader.next_element()) {
        if (reader.peek() == JsonKind::object) {
            read_detail(reader, details);
        } else {
            reader.skip();
        }
    }
}

/// Looks for `details` in `error`, which may stand in a list.
void find_details(JsonReader& reader, Details& details) {
    if (reader.peek() == JsonKind::array) {
        reader.begin_array();
        while (reader.next_element()) {
            find_details(reader, details);
        }
        return;
    }
    if (reader.peek() != JsonKind::object) {
        reader.skip();
        return;
    }
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "error") {
            find_details(reader, details);
        } else if (key == "details" && reader.peek() == JsonKind::array) {
            read_details(reader, details);
        } else {
            reader.skip();
        }
    }
}

Details details_of(std::string_view body) {
    Details details;
    try {
        JsonReader reader(body);
        find_details(reader, details);
    } catch (const LLMError&) {
        // No JSON, or cut off: what was found until there still holds.
    }
    return details;
}

}  // namespace

LLMError make_gemini_error(
    std::optional<int> status,
    std::string_view body,
    const Headers& headers,
    std::string request_id
) {
    const Details details = details_of(body);
    ProviderError error = parse_error_body(body);
    if (details.reason == "API_KEY_INVALID") {
        error.code = details.reason;  // says more than the 400 that it comes with
    }
    if (!request_id.empty()) {
        error.request_id = std::move(request_id);
    }
    LLMError made = make_provider_error(status, std::move(error), headers);
    const auto delay = wire::parse_go_duration(details.retry_delay);
    if (!delay || made.diagnostics().retry_after) {
        return made;
    }
    Diagnostics diagnostics = made.diagnostics();
    diagnostics.retry_after = std::chrono::ceil<std::chrono::milliseconds>(*delay);
    return {made.errc(), made.message(), std::move(diagnostics)};
}

LLMError gemini_malformed(std::string_view what, std::string_view detail) {
    return malformed_answer(gemini_words, what, detail);
}

}  // namespace llmproc::providers
