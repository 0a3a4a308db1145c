// Runs an example as a test: run_example <example> <its program file>
// Starts the scripted server and gives the example a copy of its program file in which only the
// address, the CA file and the key differ. The example must succeed and show an answer.

#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

namespace fs = std::filesystem;
using llmproc::testing::ScriptedServer;

constexpr const char* key_variable = "LLMPROC_EXAMPLE_KEY";

bool sets(std::string_view line, std::string_view key) {
    const std::size_t end = line.find_first_of(" =");
    return line.substr(0, end) == key;
}

std::string adapted(std::istream& program, const ScriptedServer& server) {
    std::ostringstream result;
    std::string line;
    bool has_connection = false;
    while (std::getline(program, line)) {
        if (sets(line, "base_url") || sets(line, "api_key_env") || sets(line, "ca_file")) {
            continue;
        }
        result << line << '\n';
        if (line == "[model]") {
            result << "base_url = \"" << server.base_url() << "\"\napi_key_env = \"" << key_variable
                   << "\"\n";
        } else if (line == "[connection]") {
            result << "ca_file = \"" << server.ca_file() << "\"\n";
            has_connection = true;
        }
    }
    if (!has_connection) {
        result << "\n[connection]\nca_file = \"" << server.ca_file() << "\"\n";
    }
    return result.str();
}

/// Exit status of the program; what it prints is passed on and kept in `output`.
int run(std::string program, std::string argument, std::string& output) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) {
        throw std::runtime_error("cannot make a pipe for " + program);
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    std::array<char*, 3> arguments{program.data(), argument.data(), nullptr};
    setenv(key_variable, "any", 1);
    pid_t child = 0;
    const int failed =
        posix_spawn(&child, program.c_str(), &actions, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        throw std::runtime_error("cannot start " + program);
    }
    std::array<char, 4096> piece{};
    for (ssize_t n = 0; (n = read(ends[0], piece.data(), piece.size())) > 0;) {
        output.append(piece.data(), static_cast<std::size_t>(n));
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    std::cout << output;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "usage: run_example <example> <program file>\n";
        return EXIT_FAILURE;
    }
    try {
        ScriptedServer server;
        server.handle(llmproc::testing::openai_chat_echo);
        std::ifstream program(argv[2]);
        const fs::path copy = fs::path(argv[1]).string() + ".test.toml";
        std::ofstream(copy) << adapted(program, server);

        std::string output;
        const int status = run(argv[1], copy.string(), output);
        const auto stats = server.stats();
        std::cout << "requests " << stats.requests << ", connections " << stats.accepts << '\n';
        fs::remove(copy);
        const bool answered = output.find("You said: ") != std::string::npos;
        return status == 0 && stats.requests > 0 && answered ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
