// The program of docs/getting_started.md, as it stands there.
#include <llmproc/llmproc.hpp>

#include <iostream>
#include <string>

int main() {
    try {
        auto program = llmproc::LLMProgram::from_toml("hello.toml");
        auto process = program.start_sync();
        for (std::string line; std::cout << "> " && std::getline(std::cin, line);) {
            for (const llmproc::StreamEvent& event : process.stream(line)) {
                std::cout << event.text() << std::flush;
            }
            std::cout << '\n';
        }
    } catch (const llmproc::LLMError& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
