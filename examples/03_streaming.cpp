// 03: an answer as it comes.
//
// Shows: a stream in a range-for, a stream in a coroutine, the kinds of events, and that leaving a
// stream early cancels it.
// Run:   llmproc_example_03_streaming [program file]      (default: 03_streaming.toml, beside this)

#include <llmproc/llmproc.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>

namespace asio = boost::asio;

namespace {

void blocking(const llmproc::LLMProgram& program) {
    llmproc::SyncLLMProcess process = program.start_sync();

    // `text()` is empty for every event that is not a piece of the answer, so it can be printed
    // without asking what kind of event this is.
    for (const llmproc::StreamEvent& event : process.stream(program.user_prompt())) {
        std::cout << event.text() << std::flush;
    }
    std::cout << "\n\n";

    {
        // Leaving early: the stream cancels its run when it is destroyed, and the conversation
        // stays as it was.
        llmproc::SyncStream stream = process.stream("Now a story of a thousand sentences.");
        const std::optional<llmproc::StreamEvent> first = stream.next();
        std::cout << "left after the first event; ";
    }
    std::cout << "messages: " << process.messages().size() << "\n\n";
}

asio::awaitable<void> in_a_coroutine(llmproc::LLMProgram program) {
    llmproc::AsyncLLMProcess process = co_await program.start();

    // `next` gives one event after the other, and nothing at the end. While you do not ask, no
    // more than a bounded amount is read from the connection.
    llmproc::Stream stream = co_await process.stream(program.user_prompt());
    while (const std::optional<llmproc::StreamEvent> event = co_await stream.next()) {
        switch (event->type) {
            case llmproc::StreamEvent::Type::text: std::cout << event->data << std::flush; break;
            case llmproc::StreamEvent::Type::thinking: std::cout << '.' << std::flush; break;
            case llmproc::StreamEvent::Type::stop:
                std::cout << "\n\nstopped: " << to_string(event->stop_reason) << '\n';
                break;
            default: break;
        }
    }
    // After the end, `result` is what `run` would have returned.
    const llmproc::RunResult result = co_await stream.result();
    std::cout << "tokens:  " << result.usage().total_tokens << '\n';

    co_await process.aclose();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto program = llmproc::LLMProgram::from_toml(
            argc > 1 ? argv[1] : LLMPROC_EXAMPLE_PROGRAM
        );
        blocking(program);

        asio::io_context context;
        asio::co_spawn(context, in_a_coroutine(program), [](const std::exception_ptr& error) {
            if (error) {
                std::rethrow_exception(error);
            }
        });
        context.run();
        return EXIT_SUCCESS;
    } catch (const llmproc::LLMError& error) {
        // What had arrived before a failure is not lost.
        std::cerr << "error: " << error.what() << '\n' << error.diagnostics().partial_text;
        return EXIT_FAILURE;
    }
}
