/// @file
/// Programs that talk to a ScriptedServer, and what integration tests share.
#pragma once

#include <llmproc/program.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <chrono>
#include <string>

namespace llmproc::testing {

/// Real time only as a watchdog: nothing waits so long unless it hangs.
inline constexpr std::chrono::seconds watchdog{60};

/// A failure is final, so that a test sees it as it came.
inline constexpr const char* no_retry = "max_attempts = 1\n";
/// Three attempts, one right after the other.
inline constexpr const char* prompt_retry = "initial_delay = 0\n";

/// The text of a program file for `server`; `more` is appended to its [connection] table, `retry`
/// is its [retry] table.
inline std::string program_text(
    const ScriptedServer& server,
    const std::string& more = "",
    const std::string& retry = no_retry
) {
    std::string text = "[model]\n"
                       "name = \"test-model\"\n"
                       "embedding_model = \"test-embeddings\"\n"
                       "provider = \"openai_compatible\"\n"
                       "base_url = \"" +
                       server.base_url() +
                       "\"\n"
                       "api_key_env = \"\"\n"
                       "[prompt]\n"
                       "system = \"Be brief.\"\n"
                       "[retry]\n" +
                       retry + "[connection]\n";
    if (!server.ca_file().empty()) {
        text += "ca_file = \"" + server.ca_file() + "\"\n";
    }
    return text + more;
}

inline LLMProgram program_for(
    const ScriptedServer& server,
    const std::string& more = "",
    const std::string& retry = no_retry
) {
    return LLMProgram::from_toml_string(program_text(server, more, retry), "test.toml");
}

}  // namespace llmproc::testing
