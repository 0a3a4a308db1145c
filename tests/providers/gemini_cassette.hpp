// Recorded Gemini answers and requests.
#pragma once

#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"

#include <string>

namespace llmproc::testing_cassettes {

inline const Codec& gemini() {
    return *find_codec("gemini");
}

inline std::string gemini_cassette(const std::string& name) {
    return read_cassette("gemini", name);
}

inline Endpoint gemini_endpoint(const std::string& model) {
    Endpoint endpoint;
    endpoint.provider = "gemini";
    endpoint.base_url = "https://generativelanguage.googleapis.com/v1";
    endpoint.model = model;
    endpoint.api_key = Secret("wire-key");
    return endpoint;
}

}  // namespace llmproc::testing_cassettes
