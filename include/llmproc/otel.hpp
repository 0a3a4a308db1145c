/// @file
/// Events in the words of OpenTelemetry; needs no OpenTelemetry.
///
/// Names follow the semantic conventions for generative AI client spans and metrics, HTTP client
/// spans, and the attribute registry (server, network, http, tls, error):
/// https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/
/// https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
/// https://opentelemetry.io/docs/specs/semconv/http/http-spans/
/// https://opentelemetry.io/docs/specs/semconv/registry/attributes/
/// What they have no word for begins with "llmproc.".
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/export.hpp>
#include <llmproc/observer.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llmproc {

/// Text, number of things, seconds or flag.
using OtelValue = std::variant<std::string_view, std::int64_t, double, bool>;

/// Lifetime: `key` is for ever, text in `value` only as long as the event it was made of.
struct OtelAttribute {
    std::string_view key;
    OtelValue value;
    friend bool operator==(const OtelAttribute&, const OtelAttribute&) = default;
};

/// All that is known from an event, each key once. No content, no key, no header.
LLMPROC_API std::vector<OtelAttribute> otel_attributes(const CallEvent& event);

/// Name of a step's span or span event, "llmproc.connect"; the conventions name none. The span of
/// the whole call is `otel_span_name`.
LLMPROC_API std::string_view otel_event_name(CallStep step) noexcept;

/// Name of the call's span: "{gen_ai.operation.name} {gen_ai.request.model}".
LLMPROC_API std::string otel_span_name(const CallEvent& event);

/// The histogram of seconds that a step's duration belongs to: gen_ai.client.operation.duration
/// for `done`, dns.lookup.duration for `dns`, "llmproc.<step>.duration" for others. Empty for
/// steps that have no duration.
LLMPROC_API std::string_view otel_metric_name(CallStep step) noexcept;

/// Value of gen_ai.provider.name: a well-known one ("mistral_ai" for our "mistral") where there is
/// one, else the name itself.
LLMPROC_API std::string_view otel_provider_name(std::string_view provider) noexcept;

/// Value of error.type: the enumerator's name, "rate_limited".
LLMPROC_API std::string_view otel_error_type(Errc code) noexcept;

}  // namespace llmproc
