#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "providers/codecs.hpp"
#include "providers/profiles.hpp"
#include "wire/url.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

/// A registered provider. Never changed and never freed once others can see it, so that looking
/// one up needs no lock.
struct Entry {
    ProviderProfile profile;
    std::shared_ptr<const Codec> codec;  ///< Null: the protocol was known before.
    const Entry* next = nullptr;
};

// Ready before any code runs: providers may be registered while statics are made. No lock that a
// fork could leave taken.
constinit std::atomic<const Entry*> newest{nullptr};

[[noreturn]] void refuse(const ProviderProfile& profile, const std::string& problem) {
    throw LLMError(
        Errc::invalid_argument,
        "register_provider(\"" + profile.name + "\"): " + problem
    );
}

void check_address_of(const ProviderProfile& profile) {
    if (profile.base_url.empty()) {
        if (!profile.codec_elsewhere.empty()) {
            refuse(
                profile,
                "ProviderProfile::codec_elsewhere is for addresses other than "
                "ProviderProfile::base_url, which is empty; set it"
            );
        }
        return;
    }
    try {
        static_cast<void>(wire::Url::parse(profile.base_url));
    } catch (const std::invalid_argument& error) {
        refuse(profile, std::string("ProviderProfile::base_url: ") + error.what());
    }
}

void check_codec(const ProviderProfile& profile, const Codec* codec) {
    const std::string& elsewhere = profile.codec_elsewhere;
    if (!elsewhere.empty() && find_codec(elsewhere) == nullptr) {
        refuse(
            profile,
            "there is no protocol \"" + elsewhere +
                "\"; name a known one in ProviderProfile::codec_elsewhere"
        );
    }
    if (codec == nullptr) {
        if (find_codec(profile.codec) == nullptr) {
            refuse(
                profile,
                "there is no protocol \"" + profile.codec +
                    "\"; pass its codec, or name a known one in ProviderProfile::codec"
            );
        }
        return;
    }
    const std::string name(codec->name());
    if (name.empty()) {
        refuse(profile, "its codec has no name; return one from Codec::name");
    }
    if (!profile.codec.empty() && profile.codec != name) {
        refuse(
            profile,
            "the profile names the protocol \"" + profile.codec + "\", the codec calls itself \"" +
                name + "\"; leave ProviderProfile::codec empty or make them equal"
        );
    }
    const Codec* const known = find_codec(name);
    if (known != nullptr && known != codec) {
        refuse(profile, "the protocol \"" + name + "\" has another codec; give yours another name");
    }
}

}  // namespace

void register_provider(ProviderProfile profile, std::shared_ptr<const Codec> codec) {
    if (profile.name.empty()) {
        refuse(profile, "the profile has no name; set ProviderProfile::name");
    }
    check_address_of(profile);
    check_codec(profile, codec.get());
    if (codec) {
        profile.codec = codec->name();
    }
    auto entry = std::make_unique<Entry>();
    entry->profile = std::move(profile);
    entry->codec = std::move(codec);
    entry->next = newest.load(std::memory_order_acquire);
    do {
        // Anew each time: another thread may have added the same name.
        check_codec(entry->profile, entry->codec.get());
        if (find_profile(entry->profile.name) != nullptr) {
            refuse(entry->profile, "the name is taken; choose another one");
        }
    } while (!newest.compare_exchange_weak(
        entry->next,
        entry.get(),
        std::memory_order_release,
        std::memory_order_acquire
    ));
    static_cast<void>(entry.release());
}

const Codec* find_codec(std::string_view name) noexcept {
    const std::array<const Codec*, 4> codecs{
        &providers::anthropic_codec(),
        &providers::gemini_codec(),
        &providers::openai_chat_codec(),
        &providers::openai_responses_codec(),
    };
    for (const Codec* const codec : codecs) {
        if (codec->name() == name) {
            return codec;
        }
    }
    const Entry* entry = newest.load(std::memory_order_acquire);
    while (entry != nullptr && !(entry->codec && entry->profile.codec == name)) {
        entry = entry->next;
    }
    return entry == nullptr ? nullptr : entry->codec.get();
}

const ProviderProfile* find_profile(std::string_view name) noexcept {
    if (const ProviderProfile* const own = providers::find_own_profile(name)) {
        return own;
    }
    const Entry* entry = newest.load(std::memory_order_acquire);
    while (entry != nullptr && entry->profile.name != name) {
        entry = entry->next;
    }
    return entry == nullptr ? nullptr : &entry->profile;
}

std::vector<ProviderProfile> provider_profiles() {
    std::vector<ProviderProfile> all = providers::own_profiles();
    const Entry* entry = newest.load(std::memory_order_acquire);
    for (; entry != nullptr; entry = entry->next) {
        all.push_back(entry->profile);
    }
    std::sort(all.begin(), all.end(), [](const auto& left, const auto& right) {
        return left.name < right.name;
    });
    return all;
}

}  // namespace llmproc
