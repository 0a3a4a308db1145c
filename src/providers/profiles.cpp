#include "providers/profiles.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

/// A row as written below. The flags follow each vendor's API reference of 2026-11; what a server
/// ignores silently counts as unknown to it.
struct Row {
    std::string_view name;
    std::string_view codec;
    std::string_view base_url;
    std::string_view api_key_env;
    bool max_completion_tokens;
    bool developer_role;
    bool stream_usage;
    bool send_top_k;
    Hosting hosting = Hosting::direct;
    std::string_view codec_elsewhere = {};
};

// Protocols.
constexpr std::string_view anthropic = "anthropic";
constexpr std::string_view chat = "openai_chat";
constexpr std::string_view gemini = "gemini";
constexpr std::string_view responses = "openai_responses";

// One row is all that a server of a known protocol needs. Sorted by name.
constexpr std::array<Row, 20> rows{{
    {"anthropic",
     anthropic,
     "https://api.anthropic.com",
     "ANTHROPIC_API_KEY",
     false,
     false,
     false,
     true},
    {"anthropic_vertex",
     anthropic,
     "",
     "GOOGLE_OAUTH_ACCESS_TOKEN",
     false,
     false,
     false,
     true,
     Hosting::vertex},
    {"azure_openai", chat, "", "AZURE_OPENAI_API_KEY", true, true, true, false, Hosting::azure},
    {"azure_openai_responses",
     responses,
     "",
     "AZURE_OPENAI_API_KEY",
     true,
     true,
     true,
     false,
     Hosting::azure},
    {"deepseek", chat, "https://api.deepseek.com", "DEEPSEEK_API_KEY", false, false, true, false},
    {"gemini",
     gemini,
     "https://generativelanguage.googleapis.com",
     "GEMINI_API_KEY",
     false,
     false,
     true,
     true},
    {"gemini_vertex",
     gemini,
     "",
     "GOOGLE_OAUTH_ACCESS_TOKEN",
     false,
     false,
     true,
     true,
     Hosting::vertex},
    {"groq", chat, "https://api.groq.com/openai/v1", "GROQ_API_KEY", true, false, true, false},
    {"llamacpp", chat, "http://localhost:8080/v1", "", false, false, true, true},
    {"lmstudio", chat, "http://localhost:1234/v1", "", false, false, true, true},
    // Mistral refuses unknown fields, stream_options among them, and always sends usage.
    {"mistral", chat, "https://api.mistral.ai/v1", "MISTRAL_API_KEY", false, false, false, false},
    {"ollama", chat, "http://localhost:11434/v1", "", false, false, true, false},
    // What calls itself OpenAI's at another address nearly always speaks Chat Completions alone.
    {"openai",
     responses,
     "https://api.openai.com/v1",
     "OPENAI_API_KEY",
     true,
     true,
     true,
     false,
     Hosting::direct,
     chat},
    {"openai_chat", chat, "https://api.openai.com/v1", "OPENAI_API_KEY", true, true, true, false},
    {"openai_compatible", chat, "", "", false, false, true, true},
    {"openai_responses",
     responses,
     "https://api.openai.com/v1",
     "OPENAI_API_KEY",
     true,
     true,
     true,
     false},
    {"openrouter",
     chat,
     "https://openrouter.ai/api/v1",
     "OPENROUTER_API_KEY",
     false,
     false,
     true,
     true},
    {"together", chat, "https://api.together.xyz/v1", "TOGETHER_API_KEY", false, false, true, true},
    {"vllm", chat, "http://localhost:8000/v1", "", false, false, true, true},
    {"xai", chat, "https://api.x.ai/v1", "XAI_API_KEY", true, false, true, false},
}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 19> aliases{{
    {"azure", "azure_openai"},
    {"azure-openai", "azure_openai"},
    {"azure-openai-responses", "azure_openai_responses"},
    {"claude", "anthropic"},
    {"claude_vertex", "anthropic_vertex"},
    {"google", "gemini"},
    {"google_vertex", "gemini_vertex"},
    {"grok", "xai"},
    {"llama-cpp", "llamacpp"},
    {"llama-server", "llamacpp"},
    {"llama.cpp", "llamacpp"},
    {"llama_cpp", "llamacpp"},
    {"lm-studio", "lmstudio"},
    {"lm_studio", "lmstudio"},
    {"openai-chat", "openai_chat"},
    {"openai-compatible", "openai_compatible"},
    {"openai-responses", "openai_responses"},
    {"openai_response", "openai_responses"},
    {"together_ai", "together"},
}};

std::vector<ProviderProfile> make_profiles() {
    std::vector<ProviderProfile> profiles;
    profiles.reserve(rows.size());
    for (const Row& row : rows) {
        ProviderProfile& profile = profiles.emplace_back();
        profile.name = row.name;
        profile.codec = row.codec;
        profile.base_url = row.base_url;
        profile.api_key_env = row.api_key_env;
        profile.hosting = row.hosting;
        profile.codec_elsewhere = row.codec_elsewhere;
        profile.quirks.max_completion_tokens = row.max_completion_tokens;
        profile.quirks.developer_role = row.developer_role;
        profile.quirks.stream_usage = row.stream_usage;
        profile.quirks.send_top_k = row.send_top_k;
    }
    return profiles;
}

}  // namespace

namespace providers {

const std::vector<ProviderProfile>& own_profiles() {
    // Never destroyed: threads that end after main may still look a profile up.
    static const auto* const profiles = new std::vector<ProviderProfile>(make_profiles());
    return *profiles;
}

const ProviderProfile* find_own_profile(std::string_view name) noexcept {
    const auto* const alias = std::find_if(aliases.begin(), aliases.end(), [&](const auto& entry) {
        return entry.first == name;
    });
    const std::string_view wanted = alias == aliases.end() ? name : alias->second;
    const auto& profiles = own_profiles();
    const auto row = std::find_if(profiles.begin(), profiles.end(), [&](const auto& profile) {
        return profile.name == wanted;
    });
    return row == profiles.end() ? nullptr : &*row;
}

bool is_vendors_own(const wire::Url& url, const ProviderProfile& profile) {
    const std::string own = profile.hosting == Hosting::vertex
                                ? "googleapis.com"
                                : (profile.base_url.empty()
                                       ? std::string()
                                       : wire::Url::parse(profile.base_url).host());
    return !own.empty() && (url.host() == own || url.host().ends_with("." + own));
}

}  // namespace providers

}  // namespace llmproc
