/// @file
/// What a process needs to know, with every name and path resolved.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/provider.hpp>
#include "net/net_settings.hpp"

#include <chrono>
#include <string>

namespace llmproc {

struct ProcessSettings {
    const Codec* codec = nullptr;
    Endpoint endpoint;  ///< With the key.
    std::string system_prompt;
    SamplingParams params;
    net::NetSettings connection;
    std::chrono::milliseconds timeout{600'000};  ///< Of a call that names none.
};

}  // namespace llmproc
