#include <llmproc/llmproc.hpp>

#include <exception>
#include <iostream>

// Loads a program, starts and closes a process: enough to need every library at link and run time.
int main() {
    try {
        const auto program = llmproc::LLMProgram::from_toml_string(R"(
[model]
name = "none"
provider = "openai_chat"
base_url = "http://127.0.0.1:9/v1"
api_key_env = ""
)");
        auto process = program.start_sync();
        process.close();
        std::cout << "llmproc " << LLMPROC_VERSION << " talks to " << program.base_url() << '\n';
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
