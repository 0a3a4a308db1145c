/// @file
/// What a process needs to know, with every name and path resolved.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/observer.hpp>
#include <llmproc/provider.hpp>
#include <llmproc/timeouts.hpp>
#include "net/net_settings.hpp"
#include "net/resolver.hpp"
#include "process/spending.hpp"
#include "wire/retry_policy.hpp"

#include <memory>
#include <string>
#include <vector>

namespace llmproc {

class BearerTokens;

struct ProcessSettings {
    const Codec* codec = nullptr;
    Endpoint endpoint;                     ///< With the key.
    std::shared_ptr<BearerTokens> tokens;  ///< In its place; null = the key counts.
    std::string embedding_model;           ///< Empty = each call names its own.
    std::string system_prompt;
    SamplingParams params;
    net::NetSettings connection;
    net::RateLimitSettings rate_limit;
    Timeouts timeouts = Timeouts::defaults();
    wire::RetryPolicy retry;
    SpendingSettings spending;
    std::shared_ptr<Observer> observer;       ///< Null = nobody listens.
    std::shared_ptr<net::Resolver> resolver;  ///< Null = the system's.
    /// Models to ask when this one fails, in order. Of each of them codec, endpoint, parameters,
    /// connection, rate limit and resolver are used.
    std::vector<std::shared_ptr<const ProcessSettings>> fallbacks;
    bool foreign = false;  ///< A fallback with another server, key or protocol than its program's.
};

}  // namespace llmproc
