#include "program/program_file.hpp"

#include <llmproc/error.hpp>
#include "program/config_field.hpp"
#include "program/file_text.hpp"
#include "program/hosting_check.hpp"
#include "program/key_suggestion.hpp"
#include "program/price_file.hpp"
#include "program/program_schema.hpp"
#include "program/toml_reader.hpp"
#include "wire/proxy_rules.hpp"
#include "wire/url.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

// Accepted names of protocols that a later version speaks.
constexpr std::array<std::string_view, 1> later_providers{"claude_code"};

std::string known_providers() {
    std::string names;
    for (const ProviderProfile& profile : provider_profiles()) {
        names += (names.empty() ? "" : ", ") + profile.name;
    }
    return names;
}

std::string closest_provider(const std::string& name) {
    const std::vector<ProviderProfile> profiles = provider_profiles();
    std::vector<std::string_view> candidates;
    candidates.reserve(profiles.size());
    for (const ProviderProfile& profile : profiles) {
        candidates.emplace_back(profile.name);
    }
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    });
    return std::string(closest(lower, candidates));
}

/// Moves the fallbacks into the program they belong to.
ProgramSettings finished(ProgramDraft& draft) {
    for (ProgramDraft& fallback : draft.fallbacks) {
        ProgramSettings& settings = fallback.settings;
        settings.connection = draft.settings.connection;
        settings.rate_limit = draft.settings.rate_limit;
        if (fallback.find("parameters") == nullptr) {
            settings.params = draft.settings.params;
            if (settings.foreign) {
                // They were meant for the program's own server.
                settings.params.extra_body.reset();
                settings.params.extra_headers.clear();
            }
        }
        settings.params.hosted_tools = draft.settings.params.hosted_tools;
        draft.settings.fallbacks.push_back(std::move(settings));
    }
    return std::move(draft.settings);
}

/// Checks of the keys against each other, in the order of the documentation.
class ProgramCheck {
public:
    ProgramCheck(ProgramDraft& draft, const ConfigSource& source)
        : draft_(draft),
          source_(source) {}

    void run() {
        check_model();
        check_exclusive("prompt.system", "prompt.system_file");
        check_headers();
        check_fallbacks();
        check_connections();
        check_trust();
        check_proxy();
        check_delays();
        check_cost_limits(draft_);
    }

private:
    void check_model() {
        require("model.name", "the name of the model, for example name = \"gpt-5-mini\"");
        require("model.provider", "one of " + known_providers());
        check_provider();
        check_hosting(draft_, [this](const std::string& key) { return place_of(key); });
        check_base_url();
        check_key();
    }

    void check_fallbacks() {
        for (ProgramDraft& fallback : draft_.fallbacks) {
            fallback.settings.connection.allow_insecure_http =
                draft_.settings.connection.allow_insecure_http;
            fallback.allow_inline_key = fallback.allow_inline_key || draft_.allow_inline_key;
            ProgramCheck check(fallback, source_);
            check.check_model();
            check.check_headers();
        }
    }

    /// The place of `key`, or of the table it is missing from.
    ConfigPlace place_of(const std::string& key) const {
        if (const ConfigPlace* const place = draft_.find(key)) {
            return *place;
        }
        ConfigPosition position{1, 1};
        if (const ConfigPlace* const table = draft_.find(key.substr(0, key.find('.')))) {
            position = ConfigPosition{table->line, table->column};
        }
        return source_.place(position, draft_.written(key));
    }

    void require(const std::string& key, const std::string& what) const {
        if (draft_.find(key) == nullptr) {
            const std::string table = key.substr(0, key.find('.'));
            throw ConfigError(
                place_of(key),
                "is missing; add it to the table [" + draft_.written(table) + "]: " + what
            );
        }
    }

    void check_exclusive(const std::string& first, const std::string& second) const {
        if (draft_.find(first) != nullptr && draft_.find(second) != nullptr) {
            throw ConfigError(
                place_of(second),
                "cannot be combined with " + draft_.find(first)->key + " at line " +
                    std::to_string(draft_.find(first)->line) + "; remove one of them"
            );
        }
    }

    void check_provider() {
        draft_.settings.profile = find_profile(draft_.provider);
        if (draft_.settings.profile != nullptr) {
            return;
        }
        const bool later =
            std::find(later_providers.begin(), later_providers.end(), draft_.provider) !=
            later_providers.end();
        const std::string close = closest_provider(draft_.provider);
        std::string problem = "unknown provider " + shown(draft_.provider);
        if (later) {
            problem = "provider " + shown(draft_.provider) + " is known but not yet available";
        } else if (!close.empty()) {
            problem += "; did you mean '" + close + "'?";
        }
        throw ConfigError(
            place_of("model.provider"),
            problem + "; available: " + known_providers() +
                " (openai_compatible with model.base_url for any other server)"
        );
    }

    void check_base_url() {
        ProgramSettings& settings = draft_.settings;
        const bool own = !draft_.base_url.empty();
        const std::string address = own ? draft_.base_url : default_base_url(settings);
        if (address.empty()) {
            const bool azure = settings.profile->hosting == Hosting::azure;
            const std::string example = azure ? "RESOURCE.openai.azure.com" : "host/v1";
            throw ConfigError(
                place_of("model.base_url"),
                "provider '" + settings.profile->name +
                    "' has no address of its own; set base_url, for example " +
                    "base_url = \"https://" + example + "\""
            );
        }
        const ConfigPlace place = place_of("model.base_url");
        std::optional<wire::Url> url;
        try {
            url = wire::Url::parse(address);
        } catch (const std::invalid_argument& problem) {
            throw ConfigError(place, problem.what());
        }
        if (!url->is_https() && !url->is_loopback() && !settings.connection.allow_insecure_http) {
            throw ConfigError(
                Errc::insecure_url,
                place,
                "plain http to " + shown(url->host()) +
                    " would send the key and the conversation unencrypted; use https, or set "
                    "connection.allow_insecure_http = true"
            );
        }
        settings.base_url = url->scheme() + "://" + url->host_header() + url->path();
        if (!url->query().empty()) {
            settings.base_url += "?" + url->query();
        }
        complete_address(settings, [this](const std::string& key) { return place_of(key); });
    }

    void check_key() {
        KeySource& key = draft_.settings.key;
        key.table = draft_.written("model");
        if (draft_.find("model.api_key") != nullptr && !draft_.allow_inline_key) {
            throw ConfigError(
                place_of("model.api_key"),
                "a key in the program file is refused; put it into an environment variable and "
                "name that with model.api_key_env, or into a file named with model.api_key_file, "
                "or set model.allow_inline_key = true"
            );
        }
        check_exclusive("model.api_key_env", "model.api_key_file");
        check_exclusive("model.api_key_env", "model.api_key");
        check_exclusive("model.api_key_file", "model.api_key");
        for (const char* const name :
             {"model.api_key_env", "model.api_key_file", "model.api_key"}) {
            if (draft_.find(name) != nullptr) {
                key.place = place_of(name);
                key.needed = !key.env.empty() || !key.file.empty() || !key.inline_key.empty();
                return;
            }
        }
        key.env = draft_.settings.profile->api_key_env;
        key.needed = !key.env.empty();
        key.place = place_of("model.provider");
        key.place.key = draft_.written("model.api_key_env");
    }

    void check_headers() const {
        if (draft_.credential_header && !draft_.allow_inline_key) {
            throw ConfigError(
                *draft_.credential_header,
                "this header carries a key, which a program file should not hold; use "
                "model.api_key_env or model.api_key_file, or set model.allow_inline_key = true"
            );
        }
    }

    void check_connections() {
        net::NetSettings& connection = draft_.settings.connection;
        if (draft_.find("connection.max_connections") == nullptr) {
            connection.max_connections =
                std::max(connection.max_connections, connection.max_connections_per_host);
        }
    }

    void check_trust() {
        const net::TlsSettings& tls = draft_.settings.connection.tls;
        if (!tls.client_cert.empty() && tls.client_key.empty()) {
            auto& places = draft_.settings.start_places;
            places["connection.client_key"] = places.at("connection.client_cert");
        }
        if (tls.only_ca && tls.ca_file.empty() && tls.ca_dir.empty()) {
            throw ConfigError(
                place_of("connection.only_ca"),
                "leaves nobody to trust without connection.ca_file and connection.ca_dir; add one "
                "of them or remove only_ca"
            );
        }
        for (const char* const key :
             {"connection.client_key", "connection.client_key_passphrase_env"}) {
            if (draft_.find(key) != nullptr && tls.client_cert.empty()) {
                throw ConfigError(
                    place_of(key),
                    "has no use without connection.client_cert; add the certificate or remove "
                    "this key"
                );
            }
        }
    }

    void check_proxy() const {
        const std::string text = draft_.settings.connection.proxy.url.value_or(std::string());
        if (text.empty()) {
            return;
        }
        if (text.find('@') != std::string::npos && !draft_.allow_inline_key) {
            throw ConfigError(
                place_of("connection.proxy"),
                "a user or password in the program file is refused; put the whole URL into the "
                "environment variable HTTPS_PROXY and remove connection.proxy, or set "
                "model.allow_inline_key = true"
            );
        }
        try {
            static_cast<void>(wire::ProxyUrl::parse(text));
        } catch (const std::invalid_argument& problem) {
            throw ConfigError(draft_.settings.start_places.at("connection.proxy"), problem.what());
        }
    }

    void check_delays() {
        wire::RetryPolicy& retry = draft_.settings.retry;
        if (draft_.find("retry.max_delay") == nullptr) {
            retry.max_delay = std::max(retry.max_delay, retry.initial_delay);
        } else if (draft_.find("retry.initial_delay") != nullptr) {
            if (retry.max_delay < retry.initial_delay) {
                throw ConfigError(
                    place_of("retry.max_delay"),
                    "is shorter than retry.initial_delay at line " +
                        std::to_string(draft_.find("retry.initial_delay")->line) +
                        "; raise it or lower the other"
                );
            }
        }
    }

    ProgramDraft& draft_;
    const ConfigSource& source_;
};

}  // namespace

ProgramSettings read_program(
    std::string_view text,
    const std::string& name,
    const std::filesystem::path& base_dir
) {
    const ConfigSource source{name, base_dir};
    ProgramDraft draft;
    apply_rows(read_toml(text, name), source, draft);
    ProgramCheck(draft, source).run();
    return finished(draft);
}

ProgramSettings load_program(const std::filesystem::path& path) {
    const std::string name = path.string();
    std::string problem;
    const std::string text = read_file_text(path, problem);
    if (!problem.empty()) {
        ConfigPlace place;
        place.file = name;
        throw ConfigError(
            std::move(place),
            problem + "; name a readable program file (a TOML text)"
        );
    }
    std::error_code ignored;
    const std::filesystem::path base = std::filesystem::absolute(path, ignored).parent_path();
    return read_program(text, name, base);
}

}  // namespace llmproc
