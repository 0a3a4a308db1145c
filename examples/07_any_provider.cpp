// 07: one program file, any provider.
//
// Shows: that the provider is two lines of the program file: a run, a stream that continues the
// conversation, and what a run tells about itself are the same with each protocol.
// Run:   llmproc_example_07_any_provider [program file [name provider]]
//        (default: 07_any_provider.toml, beside this). With a name and a provider it puts these
//        into the two lines first: ... 07_any_provider.toml claude-opus-5-5 anthropic

#include <llmproc/llmproc.hpp>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

namespace {

/// The text with another value in the line that sets `key`.
std::string with_line(const std::string& text, const std::string& key, const std::string& value) {
    std::istringstream lines(text);
    std::string changed;
    for (std::string line; std::getline(lines, line);) {
        changed += line.rfind(key + " =", 0) == 0 ? key + " = \"" + value + "\"" : line;
        changed += '\n';
    }
    return changed;
}

std::string read(const std::string& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

void chat(const llmproc::LLMProgram& program) {
    llmproc::SyncLLMProcess process = program.start_sync();

    const llmproc::RunResult first = process.run(program.user_prompt());
    std::cout << first.text() << '\n';

    // The stream's events mean the same, whatever the provider sends.
    llmproc::SyncStream stream = process.stream("Name a famous one.");
    for (const llmproc::StreamEvent& event : stream) {
        std::cout << event.text() << std::flush;
    }
    const llmproc::RunResult second = stream.result();

    // So do the counts: input includes what came from a cache, output includes reasoning.
    std::cout << "\n\nanswered by:  " << second.provider() << ", " << second.model()
              << "\ninput tokens: " << first.usage().input_tokens << " and "
              << second.usage().input_tokens
              << "\nnext input:   " << process.count_tokens().input_tokens << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const std::string file = argc > 1 ? argv[1] : LLMPROC_EXAMPLE_PROGRAM;
        std::string text = read(file);
        if (argc > 3) {
            text = with_line(text, "name", argv[2]);
            text = with_line(text, "provider", argv[3]);
        }
        const auto program = llmproc::LLMProgram::from_toml_string(text, file);
        std::cout << "model " << program.model() << " of " << program.provider() << " at "
                  << program.base_url() << "\n\n";
        chat(program);
        return EXIT_SUCCESS;
    } catch (const llmproc::LLMError& error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
