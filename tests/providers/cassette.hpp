// Recorded answers and requests of the providers.
#pragma once

#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace llmproc::testing_cassettes {

inline std::string read_cassette(const std::string& folder, const std::string& name) {
    const std::string path = std::string(LLMPROC_CASSETTE_DIR) + "/" + folder + "/" + name;
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.is_open()) << path;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline std::string read_cassette(const std::string& name) {
    return read_cassette("openai_chat", name);
}

inline const Codec& codec() {
    const Codec* found = find_codec("openai_chat");
    if (found == nullptr) {
        throw std::runtime_error("no codec openai_chat");
    }
    return *found;
}

/// As the row of that name is used, with an address and a key that were recorded.
inline Endpoint endpoint_of_row(
    const std::string& provider,
    const std::string& base_url,
    const std::string& model
) {
    Endpoint endpoint;
    endpoint.provider = provider;
    endpoint.base_url = base_url;
    endpoint.model = model;
    endpoint.api_key = Secret("wire-key");
    if (const ProviderProfile* const row = find_profile(provider)) {
        endpoint.quirks = row->quirks;
    }
    return endpoint;
}

inline std::string name_of(std::string name) {
    std::replace_if(
        name.begin(),
        name.end(),
        [](unsigned char c) { return std::isalnum(c) == 0; },
        '_'
    );
    return name;
}

inline std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
    return name_of(info.param);
}

}  // namespace llmproc::testing_cassettes
