#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <exception>
#include <iostream>
#include <string>

// A user's own test: the scripted server answers over TLS.
int main() {
    try {
        llmproc::testing::ScriptedServer server;
        server.push(llmproc::testing::openai_chat_reply("pong"));
        const auto program = llmproc::LLMProgram::from_toml_string(
            "[model]\nname = \"none\"\nprovider = \"openai_chat\"\napi_key_env = \"\"\nbase_url = \"" +
            server.base_url() + "\"\n[connection]\nca_file = \"" + server.ca_file() + "\"\n"
        );
        auto process = program.start_sync();
        const auto result = process.run("ping");
        std::cout << result.text() << '\n';
        return result.text() == "pong" && server.stats().accepts == 1 ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
