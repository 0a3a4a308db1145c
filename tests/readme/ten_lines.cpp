// The first program of the README, as it stands there.
#include <llmproc/llmproc.hpp>

#include <iostream>

int main() {
    auto program = llmproc::LLMProgram::from_toml("hello.toml");
    auto process = program.start_sync();
    std::cout << process.run("What is the capital of France?").text() << '\n';
    for (const llmproc::StreamEvent& event : process.stream("Tell me something about it.")) {
        std::cout << event.text() << std::flush;
    }
}
