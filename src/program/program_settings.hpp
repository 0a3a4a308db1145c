/// @file
/// A program file, read and checked.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/error.hpp>
#include <llmproc/observer.hpp>
#include <llmproc/provider.hpp>
#include <llmproc/timeouts.hpp>
#include "core/last_made.hpp"
#include "net/net_settings.hpp"
#include "process/spending.hpp"
#include "wire/retry_policy.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace llmproc {

struct ProcessSettings;
class BearerTokens;

/// Where the key comes from; it is read at start, so that a check of the file needs no secret.
struct KeySource {
    std::string env;              ///< Variable; empty = none.
    std::string file;             ///< Absolute path; empty = none.
    Secret inline_key;            ///< Only with allow_inline_key.
    bool needed = false;          ///< The provider needs one.
    ConfigPlace place;            ///< Of the key that decides, for errors.
    std::string table = "model";  ///< Whose keys name it, for errors.
};

struct ProgramSettings {
    const ProviderProfile* profile = nullptr;
    std::string model;
    std::string embedding_model;
    ModelRules rules;         ///< What the file says of the model.
    std::string codec;        ///< Name of the protocol at base_url.
    std::string base_url;     ///< Checked; without trailing slash; vertex: up to the location.
    std::string api_version;  ///< As Endpoint has it, also the next.
    std::string deployment;
    std::string project_id;  ///< Of Google Cloud.
    std::string region;
    KeySource key;
    std::shared_ptr<BearerTokens> tokens;  ///< Set by `LLMProgram::with_token_provider`.
    std::string system_prompt;
    std::string user_prompt;
    SamplingParams params;
    net::NetSettings connection;
    std::string client_key_passphrase_env;  ///< Variable; empty = none. Checked at start.
    /// Places of the keys whose values are first used at start, by the names that errors have.
    std::map<std::string, ConfigPlace, std::less<>> start_places;
    net::RateLimitSettings rate_limit;
    Timeouts timeouts = Timeouts::defaults();
    wire::RetryPolicy retry;
    SpendingSettings spending;           ///< Without a table of prices: the built-in one.
    std::shared_ptr<Observer> observer;  ///< Set by `LLMProgram::with_observer`.
    LastMade<ProcessSettings> started;   ///< What its processes share while the key is the same.
    /// The models of [[model.fallback]], in order: each with its own profile, model, base_url, key,
    /// params, and the connection and rate_limit of the program.
    std::vector<ProgramSettings> fallbacks;
    bool foreign = false;  ///< Of a fallback: it has an own provider, address or key.
};

}  // namespace llmproc
