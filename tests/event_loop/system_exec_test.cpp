// F35: a program that is executed inherits no descriptor of the library.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/system_support.hpp"
#include "support/test_program.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::openai_chat_echo;
using testing::openai_chat_stream;
using testing::program_for;
using testing::run_on;
using testing::ScriptedServer;
using testing::start_on_this;
using testing::text_of;

/// Descriptors of this process that a program it executes would inherit.
std::set<std::string> inheritable() {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        const int descriptor = std::stoi(entry.path().filename());
        const int flags = ::fcntl(descriptor, F_GETFD);
        if (flags >= 0 && (flags & FD_CLOEXEC) == 0) {
            found.insert(entry.path().filename());
        }
    }
    return found;
}

/// What /proc/self/fd of an executed program says.
std::set<std::string> seen_by_an_executed_program() {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
        return {};
    }
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(pipe[1], STDOUT_FILENO);
        ::execl("/bin/ls", "ls", "/proc/self/fd", static_cast<char*>(nullptr));
        ::_exit(127);
    }
    ::close(pipe[1]);
    std::string text;
    std::array<char, 256> buffer{};
    for (ssize_t count = 0; (count = ::read(pipe[0], buffer.data(), buffer.size())) > 0;) {
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    std::istringstream words(text);
    return {std::istream_iterator<std::string>(words), std::istream_iterator<std::string>()};
}

TEST(ForkExecTest, F35_AnExecutedProgramInheritsNoDescriptor) {
    const std::set<std::string> before = seen_by_an_executed_program();
    ASSERT_GE(before.size(), 3U);
    ScriptedServer server;
    server.handle(openai_chat_echo);
    server.push(openai_chat_stream({"one ", "two"}).hold_after(400));
    const LLMProgram program = program_for(server);
    SyncLLMProcess process = program.start_sync();
    const SyncStream stream = process.stream("hi");
    SyncLLMProcess other = program.start_sync(SyncOptions().on(process.loop()));
    other.run("hi");
    asio::io_context io;
    AsyncLLMProcess async = run_on(io, start_on_this(program));
    run_on(io, text_of(async));
    EXPECT_EQ(inheritable().size(), before.size() - 1) << "one of ls itself";
    EXPECT_EQ(seen_by_an_executed_program(), before);
}

}  // namespace
}  // namespace llmproc
