// Values of HTTP headers and of the variables about proxies, whatever the bytes: each line of the
// input is tried as each of them. A value, nothing or a refusal; waits stay within their limits.
#include <llmproc/http_message.hpp>
#include "providers/stream_driver.hpp"
#include "wire/http_time.hpp"
#include "wire/keep_alive.hpp"
#include "wire/proxy_rules.hpp"
#include "wire/rate_limit_headers.hpp"
#include "wire/redirect.hpp"
#include "wire/retry_policy.hpp"
#include "wire/url.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

using llmproc::Headers;
namespace wire = llmproc::wire;

constexpr std::chrono::system_clock::time_point now{std::chrono::seconds(1'800'000'000)};

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void try_read(const std::function<void()>& read) {
    try {
        read();
    } catch (const std::invalid_argument&) {
        return;  // how a bad URL is refused
    }
}

void check_url(std::string_view text) {
    const wire::Url url = wire::Url::parse(text);
    require(wire::Url::parse(url.origin()).origin() == url.origin());
    require(!url.host().empty() && url.port() != 0);
    static_cast<void>(url.is_loopback());
    static_cast<void>(url.join("/chat/completions", "a=b"));
}

void check_redirect(std::string_view location) {
    const wire::Url base = wire::Url::parse("https://api.example.com:8443/v1");
    const wire::RedirectDecision decision =
        wire::decide_redirect(base, "/v1/chat?key=secret", 307, location);
    require(decision.follow == decision.problem.empty());
    if (decision.follow) {
        require(!decision.target.empty() && decision.target.front() == '/');
        require(decision.target.find_first_of(" \r\n") == std::string::npos);
    } else {
        require(decision.problem.find("key=secret") == std::string::npos);
        require(decision.problem.find('\n') == std::string::npos);
    }
}

void check_proxy(std::string_view text) {
    try_read([text] { static_cast<void>(wire::ProxyUrl::parse(text)); });
    const wire::Url target = wire::Url::parse("https://10.1.2.3/v1");
    static_cast<void>(wire::NoProxyList::parse(text).matches(target));
    const std::string value(text);
    const auto environment = [&value](const std::string&) -> std::optional<std::string> {
        return value;
    };
    static_cast<void>(wire::proxy_variable(target, environment));
    static_cast<void>(wire::no_proxy_variable(environment).matches(target));
}

/// The line as the value of every header that is understood, alone and all at once.
void check_headers(std::string_view value) {
    Headers all;
    for (const char* name :
         {"retry-after",
          "retry-after-ms",
          "x-should-retry",
          "x-ratelimit-limit-requests",
          "x-ratelimit-remaining-requests",
          "x-ratelimit-reset-requests",
          "x-ratelimit-limit-tokens",
          "x-ratelimit-remaining-tokens",
          "x-ratelimit-reset-tokens",
          "anthropic-ratelimit-requests-limit",
          "anthropic-ratelimit-requests-remaining",
          "anthropic-ratelimit-requests-reset",
          "ratelimit",
          "ratelimit-policy",
          "content-type"}) {
        Headers one;
        one.add(name, std::string(value));
        all.add(name, std::string(value));
        static_cast<void>(wire::parse_rate_limits(one, now));
    }
    static_cast<void>(wire::parse_rate_limits(all, now));
    static_cast<void>(llmproc::providers::is_event_stream(all));
    if (const auto hint = wire::retry_after_hint(all, now)) {
        require(hint->count() >= 0);
    }
    const wire::RetryPolicy policy;
    wire::Failure failure;
    failure.status = 429;
    failure.headers = &all;
    const wire::RetryDecision decision = wire::decide(policy, failure, 0.5, now);
    require(decision.delay.count() >= 0 && decision.delay <= policy.max_retry_after);
}

/// Whether a header may have that value at all.
bool is_field(std::string_view value) {
    try {
        Headers().add("x", std::string(value));
        return true;
    } catch (const std::invalid_argument&) {
        return false;
    }
}

void check_line(std::string_view line) {
    if (is_field(line)) {
        check_headers(line);
    }
    try_read([line] { check_url(line); });
    check_redirect(line);
    check_proxy(line);
    static_cast<void>(wire::parse_http_date(line, now));
    static_cast<void>(wire::parse_rfc3339(line));
    static_cast<void>(wire::parse_go_duration(line));
    static_cast<void>(wire::parse_keep_alive(line));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    std::string_view rest = text;
    // More lines only cost time.
    for (int line_count = 0; line_count < 16 && !rest.empty(); ++line_count) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        check_line(line);
        rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    }
    return 0;
}
