// 02: the same conversation from a coroutine.
//
// Shows: an asynchronous process on your own io_context, options of one call, closing, and that
// the library adds no thread and keeps no loop running.
// Run:   llmproc_example_02_hello_async [program file]    (default: 02_hello_async.toml, beside this)

#include <llmproc/llmproc.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> chat(llmproc::LLMProgram program) {
    // The process runs on the executor of this coroutine: your io_context, your threads.
    llmproc::AsyncLLMProcess process = co_await program.start();

    const llmproc::RunResult first = co_await process.run(program.user_prompt());
    std::cout << first.text() << '\n';

    // Options belong to one call. The limit covers all of it: waiting, connecting, the answer.
    const llmproc::RunResult second =
        co_await process.run("And after that?", llmproc::RunOptions().timeout(60s));
    std::cout << second.text() << '\n';

    // A run that fails leaves the conversation as it was, and the process stays usable.
    try {
        co_await process.run("Too late.", llmproc::RunOptions().timeout(0s));
    } catch (const llmproc::Timeout& late) {
        std::cout << "\nas expected: " << late.what() << '\n';
    }
    std::cout << "messages: " << process.messages().size() << '\n';

    // Cancels what may still run and waits until it has ended.
    co_await process.aclose();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto program = llmproc::LLMProgram::from_toml(
            argc > 1 ? argv[1] : LLMPROC_EXAMPLE_PROGRAM
        );

        asio::io_context context;
        // The handler receives what escapes the coroutine. Rethrown, it comes out of run() below.
        asio::co_spawn(context, chat(program), [](const std::exception_ptr& error) {
            if (error) {
                std::rethrow_exception(error);
            }
        });
        // Returns when the conversation is over: idle connections do not keep it running.
        context.run();
        return EXIT_SUCCESS;
    } catch (const llmproc::LLMError& error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
