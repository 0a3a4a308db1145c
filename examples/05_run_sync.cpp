// 05: coroutines from blocking code, on one loop that stays.
//
// Shows: run_sync and to_sync, a connection that lives from one call to the next, a time limit, a
// stop token, and that a coroutine which is stopped cleans up before its caller goes on.
// Run:   llmproc_example_05_run_sync [program file]       (default: 05_run_sync.toml, beside this)

#include <llmproc/llmproc.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stop_token>
#include <string>
#include <thread>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

// A coroutine like any other: it knows nothing of the blocking code that calls it.
asio::awaitable<std::string> ask(llmproc::LLMProgram program, std::string question) {
    llmproc::AsyncLLMProcess process = co_await program.start();
    const llmproc::RunResult result = co_await process.run(question);
    co_await process.aclose();
    co_return result.text();
}

void questions(const llmproc::LLMProgram& program) {
    // Blocks until the coroutine has ended and gives its value, or throws its exception. The first
    // use starts the loop, on a thread that stays as long as the program.
    std::cout << llmproc::run_sync(ask(program, program.user_prompt())) << '\n';

    // The same as a function: its parameters and its result are the coroutine's.
    const auto ask_now = llmproc::to_sync(ask);
    std::cout << ask_now(program, "And the Rhine?") << '\n';
    std::cout << ask_now(program, "And the Nile?") << '\n';

    // Three processes came and went; the loop and the connection stayed.
    const llmproc::EventLoop loop = llmproc::EventLoop::global();
    const llmproc::ConnectionStats stats = llmproc::connection_stats(loop.get_executor());
    std::cout << "\nconnections opened: " << stats.opened << ", used again: " << stats.reused
              << " times\n\n";
}

// Tells when it is destroyed: a coroutine that is stopped unwinds like a function that throws.
struct CleanUp {
    ~CleanUp() { std::cout << "cleaned up, "; }
};

asio::awaitable<void> wait_for_ever() {
    const CleanUp at_the_end;
    while (true) {
        co_await llmproc::sleep(1h);
    }
}

void stopped_early() {
    // A limit for the whole call. The coroutine has ended when the exception arrives here.
    try {
        llmproc::run_sync(wait_for_ever(), llmproc::RunOptions().timeout(50ms));
    } catch (const llmproc::Timeout& late) {
        std::cout << "as expected: " << late.what() << '\n';
    }

    // Or stopped from elsewhere, by whoever holds the other end of the token.
    std::stop_source button;
    const std::jthread somebody([&button] { button.request_stop(); });
    try {
        llmproc::run_sync(wait_for_ever(), llmproc::RunOptions().stop_token(button.get_token()));
    } catch (const llmproc::Cancelled& stopped) {
        std::cout << "as expected: " << stopped.what() << '\n';
    }
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto program = llmproc::LLMProgram::from_toml(
            argc > 1 ? argv[1] : LLMPROC_EXAMPLE_PROGRAM
        );
        questions(program);
        stopped_early();
        return EXIT_SUCCESS;
    } catch (const llmproc::LLMError& error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
