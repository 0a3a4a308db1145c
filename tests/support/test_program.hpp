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

/// The text of a program file for `server`; `more` is appended to its [connection] table.
inline std::string program_text(const ScriptedServer& server, const std::string& more = "") {
    std::string text = "[model]\n"
                       "name = \"test-model\"\n"
                       "provider = \"openai_compatible\"\n"
                       "base_url = \"" +
                       server.base_url() +
                       "\"\n"
                       "api_key_env = \"\"\n"
                       "[prompt]\n"
                       "system = \"Be brief.\"\n"
                       "[connection]\n";
    if (!server.ca_file().empty()) {
        text += "ca_file = \"" + server.ca_file() + "\"\n";
    }
    return text + more;
}

inline LLMProgram program_for(const ScriptedServer& server, const std::string& more = "") {
    return LLMProgram::from_toml_string(program_text(server, more), "test.toml");
}

}  // namespace llmproc::testing
