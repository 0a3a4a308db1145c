// 01: a conversation from blocking code.
//
// Shows: a program file, a synchronous process, runs that remember each other, what a run tells
// about itself, and what an error looks like.
// Run:   llmproc_example_01_hello_sync [program file]     (default: 01_hello_sync.toml, beside this)
//        With that file it asks OpenAI and takes the key from OPENAI_API_KEY.

#include <llmproc/llmproc.hpp>

#include <cstdlib>
#include <iostream>

namespace {

void chat(const llmproc::LLMProgram& program) {
    // A process is one running conversation. This one gets an event loop on a thread of its own,
    // which lives as long as the process: connections stay open between the calls.
    llmproc::SyncLLMProcess process = program.start_sync();

    // The question comes from the program file. `run` blocks until the answer is complete.
    const llmproc::RunResult first = process.run(program.user_prompt());
    std::cout << first.text() << '\n';

    // The second run knows the first: the process keeps the conversation.
    const llmproc::RunResult second = process.run("And after that?");
    std::cout << second.text() << '\n';

    // What it took. The second call went over the connection of the first.
    const llmproc::ProcessStats stats = process.stats();
    const llmproc::TokenCount tokens = process.count_tokens();
    std::cout << "\nmessages:    " << process.messages().size()
              << "\ntokens used: " << first.usage().total_tokens + second.usage().total_tokens
              << "\nnext input:  " << tokens.input_tokens << (tokens.exact ? "" : " (about)")
              << "\nrequests:    " << stats.requests
              << "\nconnections: " << stats.connections_opened << '\n';

    // The process closes when it goes out of scope; `close()` does it here and says how it went.
    process.close();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        // Loading checks every key of the file; a mistake is reported with its line and column.
        const auto program = llmproc::LLMProgram::from_toml(
            argc > 1 ? argv[1] : LLMPROC_EXAMPLE_PROGRAM
        );
        std::cout << "model " << program.model() << " at " << program.base_url() << "\n\n";
        chat(program);
        return EXIT_SUCCESS;
    } catch (const llmproc::LLMError& error) {
        // One line: what went wrong, where, and what to do about it.
        std::cerr << "error: " << error.what() << '\n';
        if (error.code() == llmproc::Condition::retryable) {
            std::cerr << "The same call may succeed later.\n";
        }
        return EXIT_FAILURE;
    }
}
