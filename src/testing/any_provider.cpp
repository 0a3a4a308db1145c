#include <llmproc/testing/anthropic.hpp>
#include <llmproc/testing/any_provider.hpp>
#include <llmproc/testing/gemini.hpp>
#include <llmproc/testing/openai_responses.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "testing/echo_parts.hpp"

#include <string_view>

namespace llmproc::testing {

Reply any_provider_echo(const RecordedRequest& request) {
    const std::string_view path = path_of(request);
    if (request.has_header("anthropic-version") || path.ends_with("/messages")) {
        return anthropic_echo(request);
    }
    const bool is_method = path.substr(path.rfind('/') + 1).find(':') != std::string_view::npos;
    if (is_method || request.has_header("x-goog-api-key")) {
        return gemini_echo(request);
    }
    return openai_responses_echo(request);
}

}  // namespace llmproc::testing
