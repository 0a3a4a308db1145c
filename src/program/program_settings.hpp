/// @file
/// A program file, read and checked.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "net/net_settings.hpp"

#include <chrono>
#include <optional>
#include <string>

namespace llmproc {

/// Where the key comes from; it is read at start, so that a check of the file needs no secret.
struct KeySource {
    std::string env;      ///< Variable; empty = none.
    std::string file;     ///< Absolute path; empty = none.
    Secret inline_key;    ///< Only with allow_inline_key.
    bool needed = false;  ///< The provider needs one.
    ConfigPlace place;    ///< Of the key that decides, for errors.
};

struct ProgramSettings {
    const ProviderProfile* profile = nullptr;
    std::string model;
    std::string base_url;  ///< Checked; without trailing slash.
    KeySource key;
    std::string system_prompt;
    std::string user_prompt;
    SamplingParams params;
    net::NetSettings connection;
    ConfigPlace ca_file_place;  ///< For errors at start.
    std::chrono::milliseconds timeout{600'000};
};

}  // namespace llmproc
