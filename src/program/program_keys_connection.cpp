#include "core/environment.hpp"
#include "program/program_keys.hpp"
#include "wire/proxy_rules.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

namespace llmproc {

namespace {

constexpr std::int64_t max_bytes = 1024LL * 1024 * 1024;
constexpr std::int64_t most_connections = 100'000;
constexpr double longest_delay = 3600;
constexpr double longest_hint = 86'400;

std::size_t size(const ConfigField& field, std::int64_t low, std::int64_t high) {
    return static_cast<std::size_t>(field.integer(low, high));
}

void keep_start_place(ProgramDraft& draft, const ConfigField& field) {
    draft.settings.start_places[field.key()] = field.place();
}

template <Stage Which>
void set_limit(ProgramDraft& draft, const ConfigField& field) {
    draft.settings.timeouts.set(Which, field.seconds());
}

template <std::string net::TlsSettings::*Path>
void set_tls_path(ProgramDraft& draft, const ConfigField& field) {
    draft.settings.connection.tls.*Path = field.path().string();
    keep_start_place(draft, field);
}

void set_passphrase_variable(ProgramDraft& draft, const ConfigField& field) {
    static_cast<void>(field.line());
    const std::string name = variable_name(
        field,
        "expected the name of an environment variable (letters, digits and _); the passphrase "
        "itself belongs in that variable"
    );
    draft.settings.client_key_passphrase_env = name;
    draft.settings.connection.tls.key_passphrase =
        std::make_shared<const std::function<std::string()>>([name] {
            return environment_variable(name).value_or(std::string());
        });
    keep_start_place(draft, field);
}

void set_min_tls(ProgramDraft& draft, const ConfigField& field) {
    draft.settings.connection.tls.min_version = field.one_of({"1.2", "1.3"}) == 0
                                                    ? net::TlsMinimum::v1_2
                                                    : net::TlsMinimum::v1_3;
}

void set_proxy(ProgramDraft& draft, const ConfigField& field) {
    draft.settings.connection.proxy.url = field.text();
    keep_start_place(draft, field);
}

void set_no_proxy(ProgramDraft& draft, const ConfigField& field) {
    std::vector<std::string> hosts = field.texts();
    wire::NoProxyList known;
    for (const std::string& host : hosts) {
        if (!known.add(host)) {
            field.fail(
                shown(host) +
                " is no host; write one in each string: a domain, an IP address, a range like "
                "10.0.0.0/8, or \"*\", each but the last two with :PORT if need be"
            );
        }
    }
    draft.settings.connection.proxy.no_proxy = std::move(hosts);
    keep_start_place(draft, field);
}

std::vector<KeyRow> limit_rows() {
    return {
        {"connection.timeout", {}, set_limit<Stage::total>, {}},
        {"connection.attempt_timeout",
         {},
         [](auto& d, const auto& f) { d.settings.timeouts.attempt(f.seconds()); },
         {}},
        {"connection.queue_timeout", {}, set_limit<Stage::queue>, {}},
        {"connection.token_timeout", {}, set_limit<Stage::token>, {}},
        {"connection.pool_timeout", {}, set_limit<Stage::pool>, {}},
        {"connection.resolve_timeout", {}, set_limit<Stage::resolve>, {}},
        {"connection.connect_timeout", {}, set_limit<Stage::connect>, {}},
        {"connection.proxy_timeout", {}, set_limit<Stage::proxy>, {}},
        {"connection.handshake_timeout", {}, set_limit<Stage::handshake>, {}},
        {"connection.write_timeout", {}, set_limit<Stage::write>, {}},
        {"connection.first_byte_timeout", {}, set_limit<Stage::first_byte>, {}},
        {"connection.idle_read_timeout", {}, set_limit<Stage::body>, {}},
        {"connection.consumer_timeout", {}, set_limit<Stage::consumer>, {}},
        {"connection.read_timeout", "connection.idle_read_timeout", nullptr, {}},
    };
}

std::vector<KeyRow> pool_rows() {
    return {
        {"connection.max_connections",
         {},
         [](auto& d, const auto& f) {
             d.settings.connection.max_connections = size(f, 1, most_connections);
         },
         {}},
        {"connection.max_connections_per_host",
         {},
         [](auto& d, const auto& f) {
             d.settings.connection.max_connections_per_host = size(f, 1, 10'000);
         },
         {}},
        {"connection.max_connection_age",
         {},
         [](auto& d, const auto& f) { d.settings.connection.max_age = f.seconds(); },
         {}},
        {"connection.idle_timeout",
         {},
         [](auto& d, const auto& f) { d.settings.connection.idle_timeout = f.seconds(); },
         {}},
        {"connection.resend_on_stale",
         {},
         [](auto& d, const auto& f) { d.settings.connection.resend_on_stale = f.boolean(); },
         {}},
        {"connection.max_header_bytes",
         {},
         [](auto& d, const auto& f) {
             d.settings.connection.max_header_bytes = size(f, 256, max_bytes);
         },
         {}},
        {"connection.max_body_bytes",
         {},
         [](auto& d, const auto& f) {
             d.settings.connection.max_body_bytes = size(f, 1, max_bytes);
         },
         {}},
    };
}

std::vector<KeyRow> trust_rows() {
    using net::TlsSettings;
    return {
        {"connection.ca_file", {}, set_tls_path<&TlsSettings::ca_file>, {}},
        {"connection.ca_dir", {}, set_tls_path<&TlsSettings::ca_dir>, {}},
        {"connection.only_ca",
         {},
         [](auto& d, const auto& f) { d.settings.connection.tls.only_ca = f.boolean(); },
         {}},
        {"connection.client_cert", {}, set_tls_path<&TlsSettings::client_cert>, {}},
        {"connection.client_key", {}, set_tls_path<&TlsSettings::client_key>, {}},
        {"connection.client_key_passphrase_env", {}, set_passphrase_variable, {}},
        {"connection.min_tls", {}, set_min_tls, {}},
        {"connection.allow_insecure_http",
         {},
         [](auto& d, const auto& f) { d.settings.connection.allow_insecure_http = f.boolean(); },
         {}},
        {"connection.proxy", {}, set_proxy, {}},
        {"connection.no_proxy", {}, set_no_proxy, {}},
        {"connection.http2", {}, nullptr, {}},
    };
}

}  // namespace

std::vector<KeyRow> connection_rows() {
    std::vector<KeyRow> rows = limit_rows();
    for (const std::vector<KeyRow>& some : {pool_rows(), trust_rows()}) {
        rows.insert(rows.end(), some.begin(), some.end());
    }
    return rows;
}

std::vector<KeyRow> retry_rows() {
    return {
        {"retry.max_attempts",
         {},
         [](auto& d, const auto& f) {
             d.settings.retry.max_attempts = static_cast<int>(f.integer(1, 100));
         },
         {}},
        {"retry.initial_delay",
         {},
         [](auto& d, const auto& f) {
             d.settings.retry.initial_delay = f.seconds(0, longest_delay);
         },
         {}},
        {"retry.max_delay",
         {},
         [](auto& d, const auto& f) { d.settings.retry.max_delay = f.seconds(0, longest_delay); },
         {}},
        {"retry.max_retry_after",
         {},
         [](auto& d, const auto& f) {
             d.settings.retry.max_retry_after = f.seconds(0, longest_hint);
         },
         {}},
        {"retry.jitter",
         {},
         [](auto& d, const auto& f) {
             d.settings.retry.jitter = f.one_of({"full", "sdk"}) == 0 ? wire::Jitter::full
                                                                      : wire::Jitter::sdk;
         },
         {}},
    };
}

std::vector<KeyRow> rate_limit_rows() {
    return {
        {"rate_limit.max_in_flight",
         {},
         [](auto& d, const auto& f) {
             d.settings.rate_limit.max_in_flight = size(f, 1, most_connections);
         },
         {}},
        {"rate_limit.requests_per_minute",
         {},
         [](auto& d, const auto& f) {
             d.settings.rate_limit.requests_per_minute = f.integer(1, no_upper_limit);
         },
         {}},
        {"rate_limit.tokens_per_minute",
         {},
         [](auto& d, const auto& f) {
             d.settings.rate_limit.tokens_per_minute = f.integer(1, no_upper_limit);
         },
         {}},
    };
}

}  // namespace llmproc
