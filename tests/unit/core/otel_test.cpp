#include <llmproc/otel.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <variant>

namespace llmproc {
namespace {

/// "key=value ..." in order.
std::string text_of(const CallEvent& event) {
    std::string text;
    for (const OtelAttribute& attribute : otel_attributes(event)) {
        text += text.empty() ? "" : " ";
        text.append(attribute.key).append("=");
        if (const auto* words = std::get_if<std::string_view>(&attribute.value)) {
            text += *words;
        } else if (const auto* number = std::get_if<std::int64_t>(&attribute.value)) {
            text += std::to_string(*number);
        } else if (const auto* seconds = std::get_if<double>(&attribute.value)) {
            text += std::to_string(*seconds);
        } else {
            text += std::get<bool>(attribute.value) ? "true" : "false";
        }
    }
    return text;
}

CallEvent event_of(CallStep step) {
    CallEvent event;
    event.step = step;
    return event;
}

TEST(OtelTest, AnEmptyEventSaysNothing) {
    EXPECT_EQ(text_of(event_of(CallStep::done)), "");
    EXPECT_EQ(text_of(event_of(CallStep::reuse)), "");
}

TEST(OtelTest, AWholeCallHasTheAttributesOfAGenAiSpan) {
    Usage usage;
    usage.input_tokens = 12;
    usage.output_tokens = 0;
    usage.cached_input_tokens = 8;
    usage.cache_write_tokens = 2;
    usage.reasoning_tokens = 3;
    usage.reported = true;
    CallEvent event = event_of(CallStep::done);
    event.call = 7;
    event.attempt = 3;
    event.operation = "chat";
    event.provider = "mistral";
    event.model = "large";
    event.server_address = "api.mistral.ai";
    event.server_port = 443;
    event.streaming = true;
    event.status = 200;
    event.request_id = "req-1";
    event.usage = &usage;
    EXPECT_EQ(
        text_of(event),
        "gen_ai.operation.name=chat gen_ai.provider.name=mistral_ai gen_ai.request.model=large "
        "gen_ai.request.stream=true server.address=api.mistral.ai server.port=443 llmproc.call=7 "
        "http.request.resend_count=2 http.response.status_code=200 llmproc.request_id=req-1 "
        "gen_ai.usage.input_tokens=12 gen_ai.usage.output_tokens=0 "
        "gen_ai.usage.cache_read.input_tokens=8 gen_ai.usage.cache_creation.input_tokens=2 "
        "gen_ai.usage.reasoning.output_tokens=3"
    );
    EXPECT_EQ(otel_span_name(event), "chat large");
}

TEST(OtelTest, UsageThatNobodyReportedIsNotZeroTokens) {
    const Usage nothing;
    CallEvent event = event_of(CallStep::done);
    event.usage = &nothing;
    EXPECT_EQ(text_of(event), "");
}

TEST(OtelTest, AFirstAttemptIsNoResending) {
    CallEvent event = event_of(CallStep::reuse);
    event.attempt = 1;
    EXPECT_EQ(text_of(event), "");
    event.attempt = 2;
    EXPECT_EQ(text_of(event), "http.request.resend_count=1");
}

TEST(OtelTest, EveryStepHasItsOwnAttributes) {
    CallEvent wait = event_of(CallStep::wait);
    wait.stage = Stage::pool;
    EXPECT_EQ(text_of(wait), "llmproc.stage=pool");

    CallEvent dns = event_of(CallStep::dns);
    dns.cached = true;
    EXPECT_EQ(text_of(dns), "llmproc.dns.cached=true");

    CallEvent connect = event_of(CallStep::connect);
    connect.peer_address = "::1";
    EXPECT_EQ(text_of(connect), "network.peer.address=::1 network.transport=tcp");

    CallEvent tls = event_of(CallStep::tls);
    tls.tls_version = "TLSv1.3";
    tls.resumed = true;
    EXPECT_EQ(
        text_of(tls),
        "tls.established=true tls.protocol.name=tls tls.protocol.version=1.3 tls.resumed=true"
    );

    CallEvent request = event_of(CallStep::request);
    request.bytes = 512;
    EXPECT_EQ(text_of(request), "http.request.size=512 llmproc.request.replaced=false");

    CallEvent first_byte = event_of(CallStep::first_byte);
    first_byte.status = 429;
    EXPECT_EQ(text_of(first_byte), "http.response.status_code=429");

    CallEvent retry = event_of(CallStep::retry);
    retry.error = Errc::overloaded;
    retry.status = 503;
    retry.delay = std::chrono::milliseconds(1500);
    EXPECT_EQ(
        text_of(retry),
        "error.type=overloaded http.response.status_code=503 llmproc.retry.delay=1.500000"
    );
}

TEST(OtelTest, AFailureHasAnErrorType) {
    CallEvent tls = event_of(CallStep::tls);
    tls.error = Errc::certificate_host;
    tls.stage = Stage::handshake;
    EXPECT_EQ(
        text_of(tls),
        "llmproc.stage=handshake error.type=certificate_host tls.established=false"
    );
    CallEvent dns = event_of(CallStep::dns);
    dns.error = Errc::timeout;
    EXPECT_EQ(text_of(dns), "error.type=timeout");
}

TEST(OtelTest, NoKeyComesTwice) {
    Usage usage;
    usage.reported = true;
    for (int step = 0; step <= static_cast<int>(CallStep::done); ++step) {
        CallEvent event = event_of(static_cast<CallStep>(step));
        event.call = 1;
        event.attempt = 2;
        event.stage = Stage::body;
        event.error = Errc::timeout;
        event.operation = event.provider = event.model = event.server_address = "x";
        event.tls_version = event.peer_address = event.request_id = "x";
        event.server_port = 1;
        event.status = 1;
        event.usage = &usage;
        std::set<std::string_view> keys;
        for (const OtelAttribute& attribute : otel_attributes(event)) {
            EXPECT_TRUE(keys.insert(attribute.key).second) << attribute.key;
        }
    }
}

TEST(OtelTest, ProvidersHaveTheirWellKnownNames) {
    EXPECT_EQ(otel_provider_name("mistral"), "mistral_ai");
    EXPECT_EQ(otel_provider_name("xai"), "x_ai");
    EXPECT_EQ(otel_provider_name("openai_chat"), "openai");
    EXPECT_EQ(otel_provider_name("azure_openai_responses"), "azure.ai.openai");
    EXPECT_EQ(otel_provider_name("gemini_vertex"), "gcp.vertex_ai");
    for (const char* const same :
         {"openai", "deepseek", "groq", "openai_compatible", "ollama", ""}) {
        EXPECT_EQ(otel_provider_name(same), same);
    }
}

TEST(OtelTest, EveryStepHasANameAndEveryMeasuredOneAMetric) {
    for (int number = 0; number <= static_cast<int>(CallStep::done); ++number) {
        const auto step = static_cast<CallStep>(number);
        EXPECT_EQ(otel_event_name(step), "llmproc." + std::string(to_string(step)));
        const bool instant = step == CallStep::reuse || step == CallStep::retry;
        EXPECT_EQ(otel_metric_name(step).empty(), instant) << to_string(step);
    }
    EXPECT_EQ(otel_metric_name(CallStep::done), "gen_ai.client.operation.duration");
    EXPECT_EQ(otel_metric_name(CallStep::dns), "dns.lookup.duration");
}

TEST(OtelTest, EveryCodeHasAnErrorType) {
    std::set<std::string_view> names;
    for (int code = 1; code <= static_cast<int>(Errc::internal); ++code) {
        const std::string_view name = otel_error_type(static_cast<Errc>(code));
        EXPECT_NE(name, "_OTHER");
        EXPECT_TRUE(names.insert(name).second) << name;
    }
    EXPECT_EQ(otel_error_type(static_cast<Errc>(0)), "_OTHER");
    EXPECT_EQ(otel_error_type(static_cast<Errc>(static_cast<int>(Errc::internal) + 1)), "_OTHER");
}

TEST(OtelTest, ASpanNameNeedsNoModel) {
    CallEvent event;
    EXPECT_EQ(otel_span_name(event), "");
    event.operation = "count_tokens";
    EXPECT_EQ(otel_span_name(event), "count_tokens");
}

}  // namespace
}  // namespace llmproc
