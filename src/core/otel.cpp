#include <llmproc/otel.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <utility>

namespace llmproc {

namespace {

struct StepNames {
    CallStep step;
    std::string_view event;
    std::string_view metric;
};

/// In the order of the enumerators.
constexpr std::array step_names = {
    StepNames{CallStep::wait, "llmproc.wait", "llmproc.wait.duration"},
    StepNames{CallStep::dns, "llmproc.dns", "dns.lookup.duration"},
    StepNames{CallStep::connect, "llmproc.connect", "llmproc.connect.duration"},
    StepNames{CallStep::proxy, "llmproc.proxy", "llmproc.proxy.duration"},
    StepNames{CallStep::tls, "llmproc.tls", "llmproc.tls.duration"},
    StepNames{CallStep::reuse, "llmproc.reuse", ""},
    StepNames{CallStep::request, "llmproc.request", "llmproc.request.duration"},
    StepNames{CallStep::first_byte, "llmproc.first_byte", "llmproc.first_byte.duration"},
    StepNames{CallStep::retry, "llmproc.retry", ""},
    StepNames{CallStep::done, "llmproc.done", "gen_ai.client.operation.duration"},
};

struct CodeName {
    Errc code;
    std::string_view name;
};

/// In the order of the enumerators, from 1.
constexpr std::array code_names = {
    CodeName{Errc::invalid_config, "invalid_config"},
    CodeName{Errc::missing_api_key, "missing_api_key"},
    CodeName{Errc::resolve_failed, "resolve_failed"},
    CodeName{Errc::connect_failed, "connect_failed"},
    CodeName{Errc::proxy_refused, "proxy_refused"},
    CodeName{Errc::tls_handshake_failed, "tls_handshake_failed"},
    CodeName{Errc::certificate_invalid, "certificate_invalid"},
    CodeName{Errc::certificate_host, "certificate_host"},
    CodeName{Errc::connection_lost, "connection_lost"},
    CodeName{Errc::insecure_url, "insecure_url"},
    CodeName{Errc::malformed_http, "malformed_http"},
    CodeName{Errc::header_too_large, "header_too_large"},
    CodeName{Errc::body_too_large, "body_too_large"},
    CodeName{Errc::truncated_response, "truncated_response"},
    CodeName{Errc::truncated_stream, "truncated_stream"},
    CodeName{Errc::malformed_response, "malformed_response"},
    CodeName{Errc::invalid_answer, "invalid_answer"},
    CodeName{Errc::invalid_request, "invalid_request"},
    CodeName{Errc::authentication_failed, "authentication_failed"},
    CodeName{Errc::permission_denied, "permission_denied"},
    CodeName{Errc::insufficient_quota, "insufficient_quota"},
    CodeName{Errc::not_found, "not_found"},
    CodeName{Errc::conflict, "conflict"},
    CodeName{Errc::request_too_large, "request_too_large"},
    CodeName{Errc::context_length, "context_length"},
    CodeName{Errc::content_filtered, "content_filtered"},
    CodeName{Errc::rate_limited, "rate_limited"},
    CodeName{Errc::server_error, "server_error"},
    CodeName{Errc::overloaded, "overloaded"},
    CodeName{Errc::http_status, "http_status"},
    CodeName{Errc::timeout, "timeout"},
    CodeName{Errc::cancelled, "cancelled"},
    CodeName{Errc::process_closed, "process_closed"},
    CodeName{Errc::loop_closed, "loop_closed"},
    CodeName{Errc::loop_died, "loop_died"},
    CodeName{Errc::loop_running, "loop_running"},
    CodeName{Errc::loop_stopped, "loop_stopped"},
    CodeName{Errc::interrupted, "interrupted"},
    CodeName{Errc::forked_process, "forked_process"},
    CodeName{Errc::would_deadlock, "would_deadlock"},
    CodeName{Errc::reentrant_call, "reentrant_call"},
    CodeName{Errc::busy, "busy"},
    CodeName{Errc::invalid_handle, "invalid_handle"},
    CodeName{Errc::queue_full, "queue_full"},
    CodeName{Errc::queue_closed, "queue_closed"},
    CodeName{Errc::limit_reached, "limit_reached"},
    CodeName{Errc::budget_exhausted, "budget_exhausted"},
    CodeName{Errc::invalid_argument, "invalid_argument"},
    CodeName{Errc::invalid_json, "invalid_json"},
    CodeName{Errc::not_supported, "not_supported"},
    CodeName{Errc::tool_failed, "tool_failed"},
    CodeName{Errc::internal, "internal"},
};

constexpr bool in_order() noexcept {
    for (std::size_t i = 0; i < step_names.size(); ++i) {
        if (static_cast<std::size_t>(step_names[i].step) != i) {
            return false;
        }
    }
    for (std::size_t i = 0; i < code_names.size(); ++i) {
        if (static_cast<std::size_t>(code_names[i].code) != i + 1) {
            return false;
        }
    }
    return step_names.back().step == CallStep::done && code_names.back().code == Errc::internal;
}
static_assert(in_order());

/// The rows of the profile table that have a well-known value of another name.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> provider_names{{
    {"anthropic_vertex", "gcp.vertex_ai"},
    {"azure_openai", "azure.ai.openai"},
    {"azure_openai_responses", "azure.ai.openai"},
    {"gemini", "gcp.gemini"},
    {"gemini_vertex", "gcp.vertex_ai"},
    {"mistral", "mistral_ai"},
    {"openai_chat", "openai"},
    {"openai_responses", "openai"},
    {"xai", "x_ai"},
}};

/// Collects what is known; unknown texts and zeros are left out.
class Attributes {
public:
    Attributes() {
        constexpr std::size_t usual = 16;
        list_.reserve(usual);
    }

    void text(std::string_view key, std::string_view value) {
        if (!value.empty()) {
            list_.push_back({key, value});
        }
    }
    void number(std::string_view key, std::int64_t value) {
        if (value != 0) {
            count(key, value);
        }
    }
    void count(std::string_view key, std::int64_t value) { list_.push_back({key, value}); }
    void seconds(std::string_view key, std::chrono::duration<double> value) {
        list_.push_back({key, value.count()});
    }
    void flag(std::string_view key, bool value) { list_.push_back({key, value}); }

    std::vector<OtelAttribute> take() { return std::move(list_); }

private:
    std::vector<OtelAttribute> list_;
};

std::string_view number_of_version(std::string_view tls_version) noexcept {
    const std::size_t digit = tls_version.find_first_of("0123456789");
    return digit == std::string_view::npos ? std::string_view() : tls_version.substr(digit);
}

void add_usage(Attributes& list, const Usage& usage) {
    if (!usage.reported) {
        return;
    }
    list.count("gen_ai.usage.input_tokens", usage.input_tokens);
    list.count("gen_ai.usage.output_tokens", usage.output_tokens);
    list.number("gen_ai.usage.cache_read.input_tokens", usage.cached_input_tokens);
    list.number("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens);
    list.number("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens);
}

void add_tls(Attributes& list, const CallEvent& event) {
    list.flag("tls.established", !event.error);
    if (!event.error) {
        list.text("tls.protocol.name", "tls");
        list.text("tls.protocol.version", number_of_version(event.tls_version));
        list.flag("tls.resumed", event.resumed);
    }
}

void add_details(Attributes& list, const CallEvent& event) {
    switch (event.step) {
        case CallStep::dns:
            if (!event.error) {
                list.flag("llmproc.dns.cached", event.cached);
            }
            break;
        case CallStep::connect:
            list.text("network.peer.address", event.peer_address);
            list.text("network.transport", "tcp");
            break;
        case CallStep::tls: add_tls(list, event); break;
        case CallStep::request:
            list.number("http.request.size", static_cast<std::int64_t>(event.bytes));
            list.flag("llmproc.request.replaced", event.replaced);
            break;
        case CallStep::retry: list.seconds("llmproc.retry.delay", event.delay); break;
        case CallStep::done:
            list.text("llmproc.request_id", event.request_id);
            if (event.usage != nullptr) {
                add_usage(list, *event.usage);
            }
            break;
        default: break;
    }
}

}  // namespace

std::vector<OtelAttribute> otel_attributes(const CallEvent& event) {
    Attributes list;
    list.text("gen_ai.operation.name", event.operation);
    list.text("gen_ai.provider.name", otel_provider_name(event.provider));
    list.text("gen_ai.request.model", event.model);
    if (event.streaming) {
        list.flag("gen_ai.request.stream", true);
    }
    list.text("server.address", event.server_address);
    list.number("server.port", event.server_port);
    list.number("llmproc.call", static_cast<std::int64_t>(event.call));
    if (event.attempt > 1) {
        list.count("http.request.resend_count", event.attempt - 1);
    }
    if (event.stage != Stage::none) {
        list.text("llmproc.stage", to_string(event.stage));
    }
    if (event.error) {
        list.text("error.type", otel_error_type(*event.error));
    }
    list.number("http.response.status_code", event.status);
    add_details(list, event);
    return list.take();
}

std::string_view otel_event_name(CallStep step) noexcept {
    const auto index = static_cast<std::size_t>(step);
    return index < step_names.size() ? step_names[index].event : "llmproc.unknown";
}

std::string otel_span_name(const CallEvent& event) {
    std::string name(event.operation);
    if (!event.model.empty()) {
        name.append(name.empty() ? "" : " ").append(event.model);
    }
    return name;
}

std::string_view otel_metric_name(CallStep step) noexcept {
    const auto index = static_cast<std::size_t>(step);
    return index < step_names.size() ? step_names[index].metric : std::string_view();
}

std::string_view otel_provider_name(std::string_view provider) noexcept {
    const auto* const row = std::find_if(
        provider_names.begin(),
        provider_names.end(),
        [&](const auto& entry) { return entry.first == provider; }
    );
    return row == provider_names.end() ? provider : row->second;
}

std::string_view otel_error_type(Errc code) noexcept {
    const auto index = static_cast<std::size_t>(code) - 1;
    // "_OTHER" is the convention's word for what has no name.
    return index < code_names.size() ? code_names[index].name : "_OTHER";
}

}  // namespace llmproc
