// Every piece of C++ in the README, run against the scripted server:
// readme_snippets <README.md> <its first program> <the program of docs/getting_started.md>
// check.cmake holds the texts together.

#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

void require(bool holds, const char* what) {
    if (!holds) {
        throw std::runtime_error(std::string("does not hold: ") + what);
    }
}

void rethrow(const std::exception_ptr& error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

void blocking(const llmproc::LLMProgram& program) {
    llmproc::SyncLLMProcess process = program.start_sync();

    llmproc::RunResult result = process.run("Hello!", llmproc::RunOptions().timeout(30s));
    std::cout << result.text() << ' ' << result.usage().total_tokens << '\n';

    std::cout << process.count_tokens().input_tokens << '\n';  // of the conversation so far
    std::string saved = llmproc::to_json(process.messages());  // for a file, a database, a log
    process.reset();                                           // forget it
    process.close();                                           // or let it go out of scope

    require(saved.find("Hello!") != std::string::npos, "the conversation was saved");
}

asio::awaitable<void> serve(llmproc::LLMProgram program) {
    llmproc::AsyncLLMProcess process = co_await program.start();
    llmproc::RunResult result = co_await process.run("Hello!");
    std::cout << result.text() << '\n';

    llmproc::Stream stream = co_await process.stream("Tell me more.");
    while (auto event = co_await stream.next()) {
        std::cout << event->text() << std::flush;
    }
    co_await process.aclose();
}

asio::awaitable<void> classify(llmproc::AsyncLLMProcess& process, std::string text) {
    llmproc::ChatRequest request("Positive or negative? " + text);
    request.system = "Answer with one word.";
    llmproc::ChatReply reply = co_await process.complete(request);
    std::cout << text << ": " << reply.text() << '\n';
}

asio::awaitable<int> total_tokens(llmproc::LLMProgram program) {
    llmproc::AsyncLLMProcess process = co_await program.start();
    auto [english, french] = co_await llmproc::when_all(
        process.complete(llmproc::ChatRequest("Hello!")),
        process.complete(llmproc::ChatRequest("Bonjour!"))
    );
    co_return static_cast<int>(english.usage.total_tokens + french.usage.total_tokens);
}

void one_loop(const llmproc::LLMProgram& program) {
    int tokens = llmproc::run_sync(total_tokens(program));  // blocking code, one persistent loop

    require(tokens > 0, "both were answered");
}

void errors(llmproc::SyncLLMProcess& process) {
    try {
        process.run("Hello!", llmproc::RunOptions().timeout(30s));
    } catch (const llmproc::Timeout& error) {
        std::cerr << "too slow in stage " << to_string(error.stage()) << '\n';
    } catch (const llmproc::LLMError& error) {
        std::cerr << error.what() << '\n';
        const bool worth_another_try = error.code() == llmproc::Condition::retryable;
        const bool too_long = error.code() == llmproc::Errc::context_length;
        std::cerr << worth_another_try << ' ' << too_long << '\n';
        std::cerr << error.diagnostics().request_id << '\n';  // for the provider's support
    }
}

void counters(llmproc::SyncLLMProcess& process) {
    llmproc::ProcessStats mine = process.stats();  // what the calls of this process caused
    std::cout << mine.requests << " requests, " << mine.connections_opened << " connections, "
              << mine.tls_handshakes << " handshakes (" << mine.tls_resumed << " resumed), "
              << mine.connections_replaced << " replaced, " << mine.retries << " retries\n";
    llmproc::ConnectionStats pool = llmproc::connection_stats(process.get_executor());
    std::cout << pool.idle << " idle, " << pool.in_use << " in use, " << pool.waiting
              << " waiting\n";
}

/// What the README says of twenty sequential calls.
void twenty_calls(const llmproc::LLMProgram& program) {
    llmproc::SyncLLMProcess process = program.start_sync();
    for (int i = 0; i < 20; ++i) {
        process.run("Hello!");
    }
    std::ostringstream printed;
    std::streambuf* const before = std::cout.rdbuf(printed.rdbuf());
    counters(process);
    std::cout.rdbuf(before);
    require(
        printed.str() ==
            "20 requests, 1 connections, 1 handshakes (0 resumed), 0 replaced, 0 retries\n"
            "1 idle, 0 in use, 0 waiting\n",
        "the counters of twenty calls"
    );
}

void limits_of_a_call(llmproc::SyncLLMProcess& process) {
    llmproc::Timeouts limits = llmproc::Timeouts().connect(2s).first_byte(30s).total(2min);
    process.run("Quick!", llmproc::RunOptions().timeouts(limits).max_attempts(1));
}

class Log : public llmproc::Observer {
    void on_event(const llmproc::CallEvent& event) noexcept override {
        const auto time = std::chrono::duration_cast<std::chrono::microseconds>(event.duration);
        std::clog << event.call << ' ' << to_string(event.step) << ' ' << time.count() << " us\n";
    }
};

void observed(const llmproc::LLMProgram& program) {
    llmproc::LLMProgram watched = program.with_observer(std::make_shared<Log>());

    std::ostringstream logged;
    std::streambuf* const before = std::clog.rdbuf(logged.rdbuf());
    watched.start_sync().run("Hello!");
    std::clog.rdbuf(before);
    require(logged.str().find(" done ") != std::string::npos, "the observer saw the call's end");
}

void cancel(llmproc::SyncLLMProcess& process, std::stop_token token) {
    process.run("Write a novel.", llmproc::RunOptions().stop_token(token).timeout(5min));
}

void image(llmproc::SyncLLMProcess& process, const std::string& png) {
    llmproc::Message message = llmproc::Message::user("What is in this picture?");
    message.add(llmproc::ImageBlock(llmproc::MediaSource::bytes(png, "image/png")));
    std::cout << process.run(message).text() << '\n';
}

std::string weather_in(const std::string& city) {
    return "sunny in " + city;
}

void tools(llmproc::SyncLLMProcess& process) {
    llmproc::ChatRequest request("What is the weather in Paris?");
    request.tools.emplace_back(
        "weather",
        "Weather of a city.",
        llmproc::RawJson(R"({"type": "object", "properties": {"city": {"type": "string"}}})")
    );
    llmproc::ChatReply reply = process.complete(request);
    request.add(reply.message);
    std::vector<llmproc::ToolResultBlock> results;
    for (const llmproc::ToolCallBlock& call : reply.message.tool_calls()) {
        const llmproc::Json arguments = llmproc::parse_json(call.arguments);
        results.emplace_back(call.id, weather_in(arguments.at("city")));
    }
    request.add(llmproc::Message::tool_results(results));
    std::cout << process.complete(request).text() << '\n';
}

void own_threads(const llmproc::LLMProgram& program) {
    asio::thread_pool pool(4);
    asio::any_io_executor strand = asio::make_strand(pool);
    llmproc::AsyncLLMProcess process = program.start(strand);  // or inside: co_await start()
    asio::co_spawn(strand, classify(process, "I like it"), rethrow);
    pool.join();
}

void shared_loop(const llmproc::LLMProgram& program) {
    llmproc::EventLoop loop;  // one thread for all of them
    llmproc::SyncLLMProcess first = program.start_sync(llmproc::SyncOptions().on(loop));
    llmproc::SyncLLMProcess second = program.start_sync(llmproc::SyncOptions().on(loop));

    require(first.loop().thread_id() == second.loop().thread_id(), "they share the loop");
}

void your_tests() {
    llmproc::testing::ScriptedServer server;
    server.push(llmproc::testing::openai_chat_reply("Bonjour!"));
    server.push(llmproc::testing::openai_error_reply(429, "slow down", "rate_limit_error"));

    auto program = llmproc::LLMProgram::from_toml_string(
        "[model]\nname = 'any'\nprovider = 'openai_compatible'\nbase_url = '" + server.base_url() +
        "'\n[connection]\nca_file = '" + server.ca_file() + "'\n"
    );
    auto process = program.start_sync();
    require(process.run("Hello!").text() == "Bonjour!", "the scripted answer arrives");
    require(server.stats().handshakes == 1, "one handshake");
    try {
        process.run("Again!", llmproc::RunOptions().max_attempts(1));
        require(false, "the second answer is an error");
    } catch (const llmproc::LLMError& error) {
        require(error.code() == llmproc::Condition::rate_limited, "it says so");
    }
}

struct Options {  // an aggregate
    std::string model;
    std::string language;
};

asio::awaitable<void> ask(llmproc::AsyncLLMProcess& process, Options options) {
    co_await process.run("Hello in " + options.language);
}

asio::awaitable<void> safe_on_gcc12(llmproc::AsyncLLMProcess& process) {
    Options options{.model = "any", .language = "French"};  // named first,
    co_await ask(process, std::move(options));              // then handed over
}

void run(asio::io_context& context, asio::awaitable<void> work) {
    asio::co_spawn(context, std::move(work), rethrow);
    context.restart();
    context.run();
}

/// Every program file that the README shows must load.
void load_programs(const std::string& readme) {
    constexpr std::string_view fence = "```toml\n";
    int loaded = 0;
    for (std::size_t at = readme.find(fence); at != std::string::npos;
         at = readme.find(fence, at + 1)) {
        const std::size_t begin = at + fence.size();
        const std::string text = readme.substr(begin, readme.find("```", begin) - begin);
        llmproc::LLMProgram::from_toml_string(text, "README.md");
        ++loaded;
    }
    require(loaded > 0, "the README shows a program file");
}

void run_snippets(const std::string& ten_lines, const std::string& getting_started) {
    llmproc::testing::ScriptedServer server;
    server.handle(llmproc::testing::openai_chat_echo);
    std::ofstream("hello.toml") << "[model]\nname = \"any\"\nprovider = \"openai_compatible\"\n"
                                << "base_url = \"" << server.base_url() << "\"\n[connection]\n"
                                << "ca_file = \"" << server.ca_file() << "\"\n";
    require(std::system(ten_lines.c_str()) == 0, "the first program succeeds");
    const std::string chat = "echo Hello! | " + getting_started;
    require(std::system(chat.c_str()) == 0, "the program of getting_started.md succeeds");
    require(server.requests().size() == 3, "they ask three times");

    const auto program = llmproc::LLMProgram::from_toml("hello.toml");
    twenty_calls(program);
    blocking(program);
    asio::io_context context;
    run(context, serve(program));
    llmproc::AsyncLLMProcess process = program.start(context.get_executor());
    run(context, classify(process, "I like it"));
    run(context, safe_on_gcc12(process));
    own_threads(program);
    shared_loop(program);
    one_loop(program);
    your_tests();

    llmproc::SyncLLMProcess sync = program.start_sync();
    errors(sync);
    cancel(sync, std::stop_token());
    limits_of_a_call(sync);
    observed(program);
    image(sync, "bytes of a picture");
    std::vector<llmproc::testing::OpenAIToolCall> calls;
    calls.emplace_back("call_1", "weather", R"({"city": "Paris"})");
    server.push(llmproc::testing::openai_tool_call_reply(calls));
    tools(sync);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: readme_snippets <README.md> <program> <program>\n";
        return EXIT_FAILURE;
    }
    try {
        std::ifstream file(argv[1]);
        std::stringstream readme;
        readme << file.rdbuf();
        load_programs(readme.str());
        run_snippets(argv[2], argv[3]);
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
