#include <llmproc/error.hpp>
#include <llmproc/process.hpp>
#include <llmproc/program.hpp>
#include "core/environment.hpp"
#include "process/bearer_tokens.hpp"
#include "process/process_settings.hpp"
#include "process/start.hpp"
#include "program/api_key.hpp"
#include "program/hosting_check.hpp"
#include "program/price_file.hpp"
#include "program/program_file.hpp"
#include "program/program_settings.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

using SettingsPtr = std::shared_ptr<const ProgramSettings>;

const std::string no_text;

const ProgramSettings& settings_of(const SettingsPtr& settings) {
    if (!settings) {
        throw LLMError(
            Errc::invalid_handle,
            "this LLMProgram was moved from; use the object it was moved to"
        );
    }
    return *settings;
}

/// Checked here, not where it is used: equal settings share a TLS context, which asks only once.
void check_passphrase_variable(const ProgramSettings& program) {
    const std::string& name = program.client_key_passphrase_env;
    if (!name.empty() && !environment_variable(name)) {
        throw ConfigError(
            program.start_places.at("connection.client_key_passphrase_env"),
            "the environment variable " + name + " is not set; set it to the passphrase of the " +
                "client key, or give that by LLMProgram::with_client_key_passphrase"
        );
    }
}

const Codec& codec_of(const ProgramSettings& program) {
    const Codec* const codec = find_codec(program.codec);
    if (codec == nullptr) {
        throw LLMError(
            Errc::internal,
            "the provider '" + program.profile->name + "' names no known protocol: report this"
        );
    }
    return *codec;
}

/// What the program says of one model, with `key`.
ProcessSettings model_settings(const ProgramSettings& program, Secret key) {
    ProcessSettings settings;
    settings.codec = &codec_of(program);
    settings.endpoint.provider = program.profile->name;
    settings.endpoint.base_url = program.base_url;
    settings.endpoint.model = program.model;
    settings.endpoint.api_key = std::move(key);
    settings.endpoint.hosting = program.profile->hosting;
    settings.endpoint.api_version = program.api_version;
    settings.endpoint.deployment = program.deployment;
    settings.endpoint.quirks = quirks_of(program);
    settings.endpoint.rules = program.rules;
    settings.params = program.params;
    settings.connection = program.connection;
    settings.rate_limit = program.rate_limit;
    settings.foreign = program.foreign;
    return settings;
}

bool has_keys(const ProcessSettings& settings, const std::vector<Secret>& keys) {
    bool same = settings.endpoint.api_key.reveal() == keys.front().reveal();
    for (std::size_t i = 0; i < settings.fallbacks.size(); ++i) {
        same = same && settings.fallbacks[i]->endpoint.api_key.reveal() == keys[i + 1].reveal();
    }
    return same;
}

/// In a child after fork() the parent's may be locked for ever by a thread that is not there.
std::shared_ptr<BearerTokens> own_tokens(const std::shared_ptr<BearerTokens>& tokens) {
    return tokens && tokens->belongs_to_parent()
               ? std::make_shared<BearerTokens>(tokens->provider())
               : tokens;
}

/// The key of `model`, the program's own or a fallback. The program's tokens take the place of its
/// key, but not of that of another server or account.
Secret key_of(const ProgramSettings& model, const ProgramSettings& program) {
    const bool token = program.tokens && !model.foreign;
    return token ? Secret() : resolve_key(model.key, environment_variable);
}

bool is_usable(const ProcessSettings& settings, const std::vector<Secret>& keys) {
    const bool of_parent = settings.tokens && settings.tokens->belongs_to_parent();
    return !of_parent && has_keys(settings, keys);
}

/// Resolves what a check of the file leaves open: the keys, and the codecs by their names.
std::shared_ptr<const ProcessSettings> process_settings(const ProgramSettings& program) {
    check_passphrase_variable(program);
    std::vector<Secret> keys;
    keys.push_back(key_of(program, program));
    for (const ProgramSettings& fallback : program.fallbacks) {
        keys.push_back(key_of(fallback, program));
    }
    std::shared_ptr<const ProcessSettings> last = program.started.get();
    if (last && is_usable(*last, keys)) {
        return last;
    }
    auto settings = std::make_shared<ProcessSettings>(
        model_settings(program, std::move(keys.front()))
    );
    settings->tokens = own_tokens(program.tokens);
    settings->embedding_model = program.embedding_model;
    settings->system_prompt = program.system_prompt;
    settings->timeouts = program.timeouts;
    settings->retry = program.retry;
    settings->spending = program.spending;
    settings->spending.prices = prices_of(program);
    settings->observer = program.observer;
    for (std::size_t i = 0; i < program.fallbacks.size(); ++i) {
        auto alternate = std::make_shared<ProcessSettings>(
            model_settings(program.fallbacks[i], std::move(keys[i + 1]))
        );
        if (!alternate->foreign) {
            alternate->tokens = settings->tokens;
        }
        settings->fallbacks.push_back(std::move(alternate));
    }
    program.started.keep(settings);
    return settings;
}

/// Certificates and proxies are first used on the way to a connection, where nobody knows the
/// program file any more.
[[noreturn]] void rethrow_with_place(const ConfigError& error, const ProgramSettings& program) {
    const auto known = program.start_places.find(error.key());
    if (known == program.start_places.end() || !error.file().empty()) {
        throw;  // NOLINT(misc-throw-by-value-catch-by-reference): called from the handler
    }
    std::string problem = error.message();
    const std::string own_place = error.key() + ": ";
    if (problem.compare(0, own_place.size(), own_place) == 0) {
        problem.erase(0, own_place.size());
    }
    throw ConfigError(error.errc(), known->second, problem);
}

AsyncLLMProcess start_on(const boost::asio::any_io_executor& executor, const SettingsPtr& program) {
    const ProgramSettings& settings = settings_of(program);
    try {
        return AsyncLLMProcess(make_process_core(executor, process_settings(settings)));
    } catch (const ConfigError& error) {
        rethrow_with_place(error, settings);
    }
}

boost::asio::awaitable<AsyncLLMProcess> start_here(SettingsPtr program) {
    const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
    co_return start_on(executor, program);
}

}  // namespace

LLMProgram::LLMProgram(std::shared_ptr<const ProgramSettings> settings) noexcept
    : settings_(std::move(settings)) {}

LLMProgram LLMProgram::from_toml(const std::filesystem::path& path) {
    return LLMProgram(std::make_shared<const ProgramSettings>(load_program(path)));
}

LLMProgram LLMProgram::from_toml_string(std::string_view text, std::string name) {
    std::error_code ignored;  // Without a working directory, relative paths stay relative.
    const std::filesystem::path base = std::filesystem::current_path(ignored);
    return LLMProgram(std::make_shared<const ProgramSettings>(read_program(text, name, base)));
}

LLMProgram LLMProgram::with_observer(std::shared_ptr<Observer> observer) const {
    auto changed = std::make_shared<ProgramSettings>(settings_of(settings_));
    changed->observer = std::move(observer);
    return LLMProgram(std::move(changed));
}

LLMProgram LLMProgram::with_client_key_passphrase(std::function<std::string()> ask) const {
    auto changed = std::make_shared<ProgramSettings>(settings_of(settings_));
    if (!ask) {
        throw LLMError(
            Errc::invalid_argument,
            "the function that gives the passphrase of the client key is empty; pass one that "
            "returns it"
        );
    }
    changed->client_key_passphrase_env.clear();
    changed->connection.tls.key_passphrase = std::make_shared<const std::function<std::string()>>(
        std::move(ask)
    );
    return LLMProgram(std::move(changed));
}

LLMProgram LLMProgram::with_token_provider(TokenProvider provider) const {
    auto changed = std::make_shared<ProgramSettings>(settings_of(settings_));
    if (!provider.function() && !provider.coroutine()) {
        throw LLMError(
            Errc::invalid_argument,
            "the function that gives the tokens is empty; pass one that returns an AccessToken"
        );
    }
    constexpr std::chrono::hours longest_margin(24);
    if (provider.margin() < std::chrono::seconds(0) || provider.margin() > longest_margin) {
        throw LLMError(
            Errc::invalid_argument,
            "the margin of the token provider is " + std::to_string(provider.margin().count()) +
                " s; give at least 0 s and at most a day"
        );
    }
    changed->tokens = std::make_shared<BearerTokens>(std::move(provider));
    return LLMProgram(std::move(changed));
}

boost::asio::awaitable<AsyncLLMProcess> LLMProgram::start() const {
    return start_here(settings_);
}

AsyncLLMProcess LLMProgram::start(const boost::asio::any_io_executor& executor) const {
    return start_on(executor, settings_);
}

SyncLLMProcess LLMProgram::start_sync(SyncOptions options) const {
    const ProgramSettings& settings = settings_of(settings_);
    try {
        return make_sync_process(process_settings(settings), options);
    } catch (const ConfigError& error) {
        rethrow_with_place(error, settings);
    }
}

const std::string& LLMProgram::user_prompt() const noexcept {
    return settings_ ? settings_->user_prompt : no_text;
}

const std::string& LLMProgram::system_prompt() const noexcept {
    return settings_ ? settings_->system_prompt : no_text;
}

const std::string& LLMProgram::model() const noexcept {
    return settings_ ? settings_->model : no_text;
}

const std::string& LLMProgram::provider() const noexcept {
    return settings_ ? settings_->profile->name : no_text;
}

const std::string& LLMProgram::base_url() const noexcept {
    return settings_ ? settings_->base_url : no_text;
}

}  // namespace llmproc
