/// @file
/// Error bodies of the OpenAI family and of the servers that imitate it.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/http_message.hpp>
#include "core/json_reader.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace llmproc::providers {

/// What a server said about its error; empty fields were absent.
struct ProviderError {
    std::string type;
    std::string code;
    std::string message;
    std::string request_id;
};

/// Reads the value of an `error` member: an object, or the bare text.
/// Nothing where it is null, false, 0 or "": some servers send an empty member beside a success.
std::optional<ProviderError> read_provider_error(JsonReader& reader);

/// Reads a whole error body; a body that is no known shape becomes the message as it is.
ProviderError parse_error_body(std::string_view body);

/// The code for what happened. `status` is none for an error after HTTP 200.
Errc error_code_of(std::optional<int> status, const ProviderError& error);

/// The error to throw: message with remedy, diagnostics filled from body and headers.
LLMError make_provider_error(
    std::optional<int> status,
    ProviderError error,
    const Headers& headers
);

/// Throws the error that an answer of status 200 reports.
[[noreturn]] void throw_reported(ProviderError error);
/// The same for the value of an `error` member; returns where it is empty.
void throw_if_reported(JsonReader& reader);

/// The error of an answer that is not 2xx.
LLMError decode_openai_error(const HttpResponse& response, std::string request_id);

/// `text` cut to at most `limit` bytes, never inside a word or a UTF-8 sequence: the part of a key that
/// a cut leaves would not be found by who looks for keys. A word longer than that is left out.
std::string cut_text(std::string_view text, std::size_t limit);

/// The error for an answer that is not what `protocol` promises.
LLMError malformed_answer(
    std::string_view protocol,
    std::string_view what,
    std::string_view detail
);
/// What `read` gives; bad JSON in it makes the answer such an error.
template <class Read>
auto read_answer(std::string_view protocol, std::string_view what, Read read) {
    try {
        return read();
    } catch (const LLMError& error) {
        if (error.errc() == Errc::invalid_json) {
            throw malformed_answer(protocol, what, error.message());
        }
        throw;
    }
}
/// The same for Chat Completions.
LLMError malformed(std::string_view what, std::string_view detail);

}  // namespace llmproc::providers
