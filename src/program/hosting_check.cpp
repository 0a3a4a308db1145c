#include "program/hosting_check.hpp"

#include "providers/anthropic.hpp"
#include "providers/gemini.hpp"
#include "providers/profiles.hpp"
#include "wire/url.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

namespace llmproc {

namespace {

/// Versions that a protocol is spoken in, as far as this library knows their rules.
std::vector<std::string_view> known_versions(const ProviderProfile& profile) {
    const bool vertex = profile.hosting == Hosting::vertex;
    if (profile.codec == providers::anthropic_name) {
        if (vertex) {
            return {"vertex-2023-10-16", "2023-06-01", "2026-10-21"};
        }
        return {"2026-10-21", "2023-06-01"};
    }
    if (profile.codec == providers::gemini_name) {
        if (vertex) {
            return {"v1", "v1beta1"};
        }
        return {"v1beta", "v1", "v1alpha"};
    }
    return {};
}

std::string listed(const std::vector<std::string_view>& names) {
    std::string text;
    for (const std::string_view name : names) {
        text.append(text.empty() ? "" : " or ").append("\"").append(name).append("\"");
    }
    return text;
}

bool is_plain(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.' || c == ':';
    });
}

/// The keys stand in addresses: nothing may have a meaning there.
void check_plain(const std::string& key, const std::string& value, const PlaceOf& place_of) {
    if (!is_plain(value)) {
        throw ConfigError(
            place_of(key),
            "stands in the address of each request: letters, digits, '-', '_', '.' and ':' only"
        );
    }
}

void refuse_unknown(
    const ProgramDraft& draft,
    const std::string& key,
    const std::string& remedy,
    const PlaceOf& place_of
) {
    if (draft.find(key) != nullptr) {
        throw ConfigError(
            place_of(key),
            "provider '" + draft.settings.profile->name + "' has none; " + remedy
        );
    }
}

void check_version(const ProgramDraft& draft, const PlaceOf& place_of) {
    const ProgramSettings& settings = draft.settings;
    const std::string key = "model.api_version";
    if (draft.find(key) == nullptr) {
        return;
    }
    const std::vector<std::string_view> known = known_versions(*settings.profile);
    if (known.empty() && settings.profile->hosting != Hosting::azure) {
        refuse_unknown(draft, key, "remove it", place_of);
    }
    check_plain(key, settings.api_version, place_of);
    const bool right = known.empty() ||
                       std::find(known.begin(), known.end(), settings.api_version) != known.end();
    if (!right) {
        std::string problem = "expected " + listed(known) + ", got '" + settings.api_version + "'";
        if (settings.profile->name == providers::anthropic_name) {
            problem += "; to send another one as it is, use "
                       "parameters.extra_headers = { anthropic-version = \"...\" }";
        }
        throw ConfigError(place_of(key), problem);
    }
}

void require_place(
    const ProgramDraft& draft,
    const std::string& key,
    const std::string& value,
    const std::string& example,
    const PlaceOf& place_of
) {
    if (draft.find(key) == nullptr) {
        throw ConfigError(
            place_of(key),
            "provider '" + draft.settings.profile->name + "' needs it; add it to the table [" +
                draft.written("model") + "], for example " + example
        );
    }
    check_plain(key, value, place_of);
}

/// The origin of Google Cloud's region.
std::string vertex_origin(const std::string& region) {
    if (region == "global") {
        return "https://aiplatform.googleapis.com";
    }
    if (region == "us" || region == "eu") {
        return "https://aiplatform." + region + ".rep.googleapis.com";
    }
    return "https://" + region + "-aiplatform.googleapis.com";
}

/// `base` up to the location, of which `path` is the path.
std::string vertex_base_url(
    const std::string& base,
    std::string_view path,
    const ProgramSettings& settings
) {
    if (path.find("/projects/") != path.npos) {
        return base;
    }
    constexpr std::array<std::string_view, 2> versions{"/v1", "/v1beta1"};
    const bool has_version = std::any_of(versions.begin(), versions.end(), [&](auto version) {
        return path.ends_with(version);
    });
    // For Anthropic's models the version is that of their own API, in the body.
    const bool own = settings.profile->codec == providers::gemini_name &&
                     !settings.api_version.empty();
    std::string result = base;
    if (!has_version) {
        result += "/" + (own ? settings.api_version : std::string("v1"));
    }
    result += "/projects/" + settings.project_id + "/locations/" + settings.region;
    return result;
}

/// Two versions, one of which would be ignored.
void check_single_version(
    const wire::Url& url,
    const ProgramSettings& settings,
    const PlaceOf& place_of
) {
    const std::string& version = settings.api_version;
    const bool whole = settings.profile->hosting == Hosting::vertex &&
                       url.path().find("/projects/") != std::string::npos;
    if (whole && settings.profile->codec == providers::gemini_name && !version.empty() &&
        url.path().find("/" + version + "/") == std::string::npos) {
        throw ConfigError(
            place_of("model.api_version"),
            "contradicts model.base_url, which names everything before the model's path; remove "
            "one of them"
        );
    }
    const std::string last = url.path().substr(url.path().rfind('/') + 1);
    const bool named = providers::ends_with_version(url.path());
    if (settings.profile->codec == providers::gemini_name && !version.empty() && named &&
        last != version) {
        throw ConfigError(
            place_of("model.api_version"),
            "contradicts model.base_url, which ends with '/" + last + "'; remove one of them"
        );
    }
    const bool azure = settings.profile->hosting == Hosting::azure;
    if (azure && url.query().find("api-version=") != std::string::npos) {
        throw ConfigError(
            place_of("model.base_url"),
            "names a version in its query; write it as model.api_version instead"
        );
    }
}

}  // namespace

void check_hosting(ProgramDraft& draft, const PlaceOf& place_of) {
    const ProgramSettings& settings = draft.settings;
    check_version(draft, place_of);
    if (settings.profile->hosting != Hosting::azure) {
        refuse_unknown(
            draft,
            "model.deployment",
            "write the server's name of the model as model.name",
            place_of
        );
    } else if (draft.find("model.deployment") != nullptr) {
        check_plain("model.deployment", settings.deployment, place_of);
    }
    if (settings.profile->hosting == Hosting::vertex) {
        require_place(
            draft,
            "model.project_id",
            settings.project_id,
            "project_id = \"my-project\"",
            place_of
        );
        require_place(
            draft,
            "model.region",
            settings.region,
            R"(region = "europe-west1" or region = "global")",
            place_of
        );
        return;
    }
    for (const char* const key : {"model.project_id", "model.region"}) {
        refuse_unknown(draft, key, "remove it, or use a provider of Google Cloud", place_of);
    }
}

std::string default_base_url(const ProgramSettings& settings) {
    return settings.profile->hosting == Hosting::vertex ? vertex_origin(settings.region)
                                                        : settings.profile->base_url;
}

const ProviderQuirks& quirks_of(const ProgramSettings& settings) {
    const bool own = settings.codec == settings.profile->codec;
    return own ? settings.profile->quirks : find_profile("openai_compatible")->quirks;
}

void complete_address(ProgramSettings& settings, const PlaceOf& place_of) {
    const ProviderProfile& profile = *settings.profile;
    const wire::Url url = wire::Url::parse(settings.base_url);
    check_single_version(url, settings, place_of);
    const bool elsewhere = !profile.codec_elsewhere.empty() &&
                           !providers::is_vendors_own(url, profile);
    settings.codec = elsewhere ? profile.codec_elsewhere : profile.codec;
    if (profile.hosting == Hosting::vertex) {
        const std::size_t query = settings.base_url.find('?');
        const std::string rest = query == std::string::npos ? std::string()
                                                            : settings.base_url.substr(query);
        settings.base_url =
            vertex_base_url(settings.base_url.substr(0, query), url.path(), settings) + rest;
    }
}

}  // namespace llmproc
