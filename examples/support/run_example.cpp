// Runs an example as a test:
//   run_example <example> <its program file> [<line>... | --with <name> <provider>]
// Starts the scripted server and gives the example a copy of its program file in which only the
// address, the CA file and the key differ. The example must succeed and show an answer.
// With lines it is started with --until-signal and gets a SIGINT once it has printed the first one;
// it must print the others in their order and end with status 130. What follows --with it gets as
// further arguments, and it must say that this model of this provider answered.

#include <llmproc/testing/any_provider.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// A program that is told to end once it has printed a line; empty = it ends by itself.
struct Interrupt {
    std::string at;

    bool due(const std::string& output) const {
        return !at.empty() && ("\n" + output).find("\n" + at + "\n") != std::string::npos;
    }
};

/// Starts the program with its standard output in a pipe, of which `output` gets the reading end.
pid_t start(std::vector<std::string> command, int& output) {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        throw std::runtime_error("cannot make a pipe for " + command.front());
    }
    std::vector<char*> arguments;
    for (std::string& argument : command) {
        arguments.push_back(argument.data());
    }
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    // A shell that starts something in the background lets it ignore SIGINT.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t interrupts;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    posix_spawnattr_setsigdefault(&attributes, &interrupts);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    pid_t child = 0;
    const int failed =
        posix_spawn(&child, arguments[0], &actions, &attributes, arguments.data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed != 0) {
        close(ends[0]);
        throw std::runtime_error("cannot start " + command.front());
    }
    output = ends[0];
    return child;
}

/// Exit status of the program (128 + signal); what it prints is passed on and kept in `output`.
int run(std::vector<std::string> command, const Interrupt& interrupt, std::string& output) {
    setenv(key_variable, "any", 1);
    int printed = -1;
    const pid_t child = start(std::move(command), printed);
    bool interrupted = false;
    std::array<char, 4096> piece{};
    for (ssize_t n = 0; (n = read(printed, piece.data(), piece.size())) > 0;) {
        output.append(piece.data(), static_cast<std::size_t>(n));
        if (!interrupted && interrupt.due(output)) {
            interrupted = kill(child, SIGINT) == 0;
        }
    }
    close(printed);
    int status = 0;
    waitpid(child, &status, 0);
    std::cout << output;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Whether these lines are there in this order, maybe with others between them.
bool in_order(const std::string& output, const std::vector<std::string>& lines) {
    const std::string text = "\n" + output;
    std::size_t place = 0;
    for (const std::string& line : lines) {
        place = text.find("\n" + line + "\n", place);
        if (place == std::string::npos) {
            std::cout << "missing or too early: " << line << '\n';
            return false;
        }
    }
    return true;
}

/// How the example is started beside its program file, and what it must end with.
struct Wanted {
    std::vector<std::string> arguments;
    std::vector<std::string> end;
};

/// Exit status of this program.
int test(const std::string& example, const std::string& file, const Wanted& wanted) {
    const std::vector<std::string>& end = wanted.end;
    ScriptedServer server;
    server.handle(llmproc::testing::any_provider_echo);
    std::ifstream program(file);
    const fs::path copy = example + "." + std::to_string(getpid()) + ".toml";
    std::ofstream(copy) << adapted(program, server);

    std::vector<std::string> command{example, copy.string()};
    command.insert(command.end(), wanted.arguments.begin(), wanted.arguments.end());
    Interrupt interrupt;
    if (!end.empty()) {
        command.emplace_back("--until-signal");
        interrupt.at = end.front();
    }
    std::string output;
    const int status = run(std::move(command), interrupt, output);
    const auto stats = server.stats();
    std::cout << "status " << status << ", requests " << stats.requests << ", connections "
              << stats.accepts << '\n';
    fs::remove(copy);
    if (!end.empty()) {
        return status == 128 + SIGINT && in_order(output, end) ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    std::vector<std::string> who;
    if (const auto& with = wanted.arguments; !with.empty()) {
        who.push_back("answered by:  " + with.at(1) + ", " + with.at(0));
    }
    const bool answered = output.find("You said: ") != std::string::npos && in_order(output, who);
    return status == 0 && stats.requests > 0 && answered ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cerr << "usage: run_example <example> <its program file> "
                     "[<line>...|--with <name> <provider>]\n";
        return EXIT_FAILURE;
    }
    try {
        Wanted wanted;
        const bool with = argc > 3 && std::string_view(argv[3]) == "--with";
        (with ? wanted.arguments : wanted.end).assign(argv + (with ? 4 : 3), argv + argc);
        return test(argv[1], argv[2], wanted);
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
