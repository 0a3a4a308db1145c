#pragma once

#include <string>
#include <utility>

namespace llmproc::testing {

/// Token counts of a scripted answer; each vendor's reply puts them into its own words.
class MockUsage {
public:
    MockUsage() = default;
    MockUsage(int prompt, int completion, int cached = 0, int reasoning = 0)
        : prompt_tokens(prompt),
          completion_tokens(completion),
          cached_tokens(cached),
          reasoning_tokens(reasoning) {}

    int prompt_tokens = 10;     ///< The cached ones included.
    int completion_tokens = 5;  ///< The reasoning included.
    int cached_tokens = 0;
    int reasoning_tokens = 0;
};

/// One function call of a scripted answer; `arguments` is JSON text.
class MockToolCall {
public:
    MockToolCall(std::string call_id, std::string function, std::string json)
        : id(std::move(call_id)),
          name(std::move(function)),
          arguments(std::move(json)) {}

    std::string id;
    std::string name;
    std::string arguments;
};

}  // namespace llmproc::testing
