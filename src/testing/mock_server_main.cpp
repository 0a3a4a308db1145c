#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/script.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using llmproc::testing::ScriptedServer;
using llmproc::testing::ServerOptions;

constexpr std::string_view help = R"(usage: llmproc-mock-server [options]

Serves HTTP/1.1 on the loopback interface and answers as a script file says; without one it
answers "You said: <last user text>" (streamed on request), counts tokens and lists its model, in
the protocol of each request: OpenAI's Chat Completions and Responses, Anthropic's Messages, Gemini.
Prints `listening URL` and serves until SIGINT or SIGTERM.

  --script FILE   answers and settings, as JSON (format: docs/testing.md)
  --host HOST     localhost (default), 127.0.0.1 or ::1
  --port N        0 (default) takes a free port
  --https         TLS with a certificate of a throw-away authority (default)
  --http          plain HTTP
  --ca-out FILE   writes the authority's certificate (PEM), for clients' ca_file
  --help          this text
)";

struct Arguments {
    std::string script;
    std::string ca_out;
    std::string host;
    std::optional<std::uint16_t> port;
    std::optional<bool> https;
    bool help = false;
};

std::uint16_t parse_port(const std::string& text) {
    std::uint16_t port = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, port);
    if (error != std::errc() || stop != end) {
        throw std::runtime_error("--port " + text + ": expected a number from 0 to 65535");
    }
    return port;
}

Arguments parse_arguments(const std::vector<std::string>& words) {
    Arguments arguments;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        const auto value = [&words, &i, &word]() -> const std::string& {
            if (i + 1 == words.size()) {
                throw std::runtime_error(word + " needs a value; see --help");
            }
            return words[++i];
        };
        if (word == "--help") {
            arguments.help = true;
        } else if (word == "--https" || word == "--http") {
            arguments.https = word == "--https";
        } else if (word == "--script") {
            arguments.script = value();
        } else if (word == "--ca-out") {
            arguments.ca_out = value();
        } else if (word == "--host") {
            arguments.host = value();
        } else if (word == "--port") {
            arguments.port = parse_port(value());
        } else {
            throw std::runtime_error("unknown option " + word + "; see --help");
        }
    }
    return arguments;
}

std::string read_file(const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    if (!file) {
        throw std::runtime_error("cannot read the script " + name);
    }
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& name, const std::string& content) {
    std::ofstream file(name, std::ios::binary | std::ios::trunc);
    file << content;
    file.close();
    if (!file) {
        throw std::runtime_error("cannot write " + name + "; is its folder there and writable?");
    }
}

int serve(const Arguments& arguments) {
    const std::string script = arguments.script.empty() ? std::string("{}")
                                                        : read_file(arguments.script);
    ServerOptions options = llmproc::testing::script_options(script);
    if (!arguments.host.empty()) {
        options.host(arguments.host);
    }
    if (arguments.port) {
        options.port(*arguments.port);
    }
    if (arguments.https) {
        options.https(*arguments.https);
    }
    if (!arguments.ca_out.empty() && !options.https()) {
        throw std::runtime_error("--ca-out needs --https");
    }
    // Blocked before the server's thread starts, so that this one gets them.
    sigset_t stopping;
    sigemptyset(&stopping);
    sigaddset(&stopping, SIGINT);
    sigaddset(&stopping, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stopping, nullptr);
    ScriptedServer server(options);
    llmproc::testing::apply_script(script, server);
    if (!arguments.ca_out.empty()) {
        write_file(arguments.ca_out, server.ca_pem());
    }
    std::cout << "listening " << server.url() << std::endl;  // NOLINT(performance-avoid-endl)
    int signal = 0;
    sigwait(&stopping, &signal);
    server.stop();
    const auto stats = server.stats();
    std::cout << "served " << stats.requests << " requests on " << stats.accepts << " connections, "
              << stats.handshakes << " TLS handshakes\n";
    return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const Arguments arguments = parse_arguments(std::vector<std::string>(argv + 1, argv + argc)
        );
        if (arguments.help) {
            std::cout << help;
            return EXIT_SUCCESS;
        }
        return serve(arguments);
    } catch (const std::exception& error) {
        std::cerr << "llmproc-mock-server: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
