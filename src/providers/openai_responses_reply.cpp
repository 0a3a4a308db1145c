#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "providers/openai_fields.hpp"
#include "providers/openai_responses.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc::providers {

namespace {

std::vector<ContentBlock> read_output(JsonReader& reader) {
    std::vector<ContentBlock> blocks;
    reader.begin_array();
    while (reader.next_element()) {
        read_output_item(reader.raw(), blocks);
    }
    return blocks;
}

std::string text_of(const ResponseObject& response) {
    return response.output ? Message(Role::assistant, *response.output).text() : std::string();
}

bool is_refusal(const ContentBlock& block) {
    const auto* text = std::get_if<TextBlock>(&block);
    return text != nullptr && text->refusal;
}

/// Calls `read(reader)` on the whole body; bad JSON becomes malformed_response.
template <class Read>
auto read_body(std::string_view what, std::string_view body, Read read) {
    return read_answer(openai_responses_api, what, [&] {
        JsonReader reader(body);
        auto value = read(reader);
        reader.finish();
        return value;
    });
}

/// A negative count stands for none.
TokenCount read_input_tokens(JsonReader& reader) {
    TokenCount count;
    count.input_tokens = -1;
    count.exact = true;
    count.source = TokenSource::provider;
    std::optional<ProviderError> error;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "input_tokens") {
            count.input_tokens = reader.integer();
        } else if (key == "error") {
            error = read_provider_error(reader);
        } else {
            reader.skip();
        }
    }
    if (error) {
        throw make_provider_error(std::nullopt, std::move(*error), Headers());
    }
    return count;
}

StopReason stop_reason_of(const ResponseObject& response, bool has_calls, bool refused) {
    if (response.status == "incomplete") {
        if (response.incomplete_reason == "max_output_tokens") {
            return StopReason::max_tokens;
        }
        return response.incomplete_reason == "content_filter" ? StopReason::content_filter
                                                              : StopReason::unknown;
    }
    if (response.status != "completed") {
        return StopReason::unknown;
    }
    if (has_calls) {
        return StopReason::tool_use;
    }
    return refused ? StopReason::refusal : StopReason::end_turn;
}

}  // namespace

LLMError malformed_response(std::string_view what, std::string_view detail) {
    return malformed_answer(openai_responses_api, what, detail);
}

ResponseObject read_response_object(JsonReader& reader) {
    ResponseObject response;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "id") {
            response.id = read_string_or_empty(reader);
        } else if (key == "model") {
            response.model = read_string_or_empty(reader);
        } else if (key == "status") {
            response.status = read_string_or_empty(reader);
        } else if (key == "error") {
            response.error = read_provider_error(reader);
        } else if (key == "incomplete_details") {
            response.incomplete_reason = string_member(reader.raw(), "reason");
        } else if (key == "usage" && reader.peek() == JsonKind::object) {
            response.usage = read_openai_usage(reader);
        } else if (key == "output" && reader.peek() == JsonKind::array) {
            response.output = read_output(reader);
        } else {
            reader.skip();
        }
    }
    return response;
}

void throw_unless_ended(
    const ResponseObject& response,
    const Headers& headers,
    const std::string& request_id
) {
    const std::string& status = response.status;
    Diagnostics diagnostics;
    diagnostics.request_id = request_id;
    diagnostics.provider_code = status;
    diagnostics.partial_text = text_of(response);
    if (response.usage.reported) {
        diagnostics.partial_usage = response.usage;
    }
    if (response.error || status == "failed") {
        ProviderError reported = response.error.value_or(ProviderError());
        if (reported.message.empty()) {
            reported.message = "the response failed, without a reason";
        }
        reported.request_id = request_id;
        const LLMError error = make_provider_error(std::nullopt, std::move(reported), headers);
        Diagnostics all = error.diagnostics();
        all.partial_text = std::move(diagnostics.partial_text);
        all.partial_usage = diagnostics.partial_usage;
        throw LLMError(error.errc(), error.message(), std::move(all));
    }
    if (status == "cancelled") {
        throw LLMError(
            Errc::server_error,  // Errc::cancelled is for what this side ended
            "the provider cancelled the response; try again later",
            std::move(diagnostics)
        );
    }
    if (status == "queued" || status == "in_progress") {
        throw LLMError(
            Errc::not_supported,
            "the provider answered before the response has ended (" + status +
                "); background responses are not waited for: remove background from extra_body",
            std::move(diagnostics)
        );
    }
}

void set_stop_reason(
    ChatReply& reply,
    const ResponseObject& response,
    bool has_calls,
    bool refused
) {
    reply.stop_reason = stop_reason_of(response, has_calls, refused);
    const bool reason = response.status == "incomplete" && !response.incomplete_reason.empty();
    reply.raw_stop_reason = reason ? response.incomplete_reason : response.status;
}

void set_stop_reason(ChatReply& reply, const ResponseObject& response) {
    const auto& blocks = reply.message.content();
    const bool refused = std::any_of(blocks.begin(), blocks.end(), is_refusal);
    set_stop_reason(reply, response, reply.message.has_tool_calls(), refused);
}

ChatReply decode_response(const HttpResponse& http, const std::string& request_id) {
    ResponseObject response = read_body("the reply", http.body, read_response_object);
    throw_unless_ended(response, http.headers, request_id);
    if (!response.output) {
        throw malformed_response("the reply", "it has no output");
    }
    if (response.status.empty()) {
        throw malformed_response("the reply", "it has no status");
    }
    ChatReply reply;
    reply.message = Message(Role::assistant, *std::move(response.output));
    set_stop_reason(reply, response);
    reply.usage = response.usage;
    reply.id = std::move(response.id);
    reply.model = std::move(response.model);
    reply.request_id = request_id;
    return reply;
}

TokenCount decode_input_tokens(std::string_view body) {
    const TokenCount count = read_body("the token count", body, read_input_tokens);
    if (count.input_tokens < 0) {
        throw malformed_response("the token count", "it has no input_tokens");
    }
    return count;
}

}  // namespace llmproc::providers
