// 04: 64 calls at the same time on one thread.
//
// Shows: many conversations on one io_context, many calls without a conversation, and that all of
// them share one pool of connections.
// Run:   llmproc_example_04_concurrent [program file]     (default: 04_concurrent.toml, beside this)

#include <llmproc/llmproc.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

namespace asio = boost::asio;

namespace {

constexpr int calls = 64;

void rethrow(const std::exception_ptr& error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

// One conversation of many: each coroutine starts a process of its own from the same program.
asio::awaitable<void> converse(llmproc::LLMProgram program, int number, int& answers) {
    llmproc::AsyncLLMProcess process = co_await program.start();
    const std::string question = "Is " + std::to_string(number) + " odd or even?";
    const llmproc::RunResult result = co_await process.run(question);
    if (number == 7) {
        std::cout << question << ' ' << result.text() << '\n';
    }
    ++answers;
    co_await process.aclose();
}

// Without a conversation one process is enough: `complete` keeps nothing and never queues. The
// program's system prompt belongs to its conversation, so each request brings its own.
asio::awaitable<void> classify(llmproc::AsyncLLMProcess& process, int number, int& answers) {
    llmproc::ChatRequest request("Is " + std::to_string(number) + " prime?");
    request.system = "Answer with yes or no.";
    const llmproc::ChatReply reply = co_await process.complete(request);
    answers += reply.text().empty() ? 0 : 1;
}

void print(const char* what, int answers, asio::io_context& context) {
    const llmproc::ConnectionStats stats = llmproc::connection_stats(context.get_executor());
    std::cout << what << ": " << answers << " answers; connections opened so far: " << stats.opened
              << ", TLS handshakes: " << stats.handshakes << ", idle now: " << stats.idle << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto program = llmproc::LLMProgram::from_toml(
            argc > 1 ? argv[1] : LLMPROC_EXAMPLE_PROGRAM
        );
        asio::io_context context;

        int conversations = 0;
        for (int i = 0; i < calls; ++i) {
            asio::co_spawn(context, converse(program, i, conversations), rethrow);
        }
        context.run();
        print("conversations", conversations, context);

        // The pool belongs to the io_context: these calls go over the connections made above.
        int classified = 0;
        llmproc::AsyncLLMProcess process = program.start(context.get_executor());
        for (int i = 0; i < calls; ++i) {
            asio::co_spawn(context, classify(process, i, classified), rethrow);
        }
        context.restart();
        context.run();
        print("single calls ", classified, context);
        return conversations == calls && classified == calls ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const llmproc::LLMError& error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
