// A1.13, A2.5, F30 to F34: what is left open when the program ends; see exit_scenarios.cpp.
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/exit_scenarios.hpp"
#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing::openai_chat_echo;
using testing::program_text;
using testing::program_variable;
using testing::scenario_variable;
using testing::ScriptedServer;
using testing::watchdog;

using Lines = std::vector<std::string>;

/// How a scenario's program ended.
struct Ending {
    std::optional<int> code;
    std::string output;

    bool says(const std::string& line) const { return output.find(line) != std::string::npos; }
};

class ExitTest : public ::testing::Test {
protected:
    void SetUp() override {
        server_.handle([](const testing::RecordedRequest& request) {
            if (request.body.find("\"hold\"") != std::string::npos) {
                return testing::openai_chat_reply("held").hold_after(1);
            }
            return openai_chat_echo(request);
        });
    }

    /// Runs the scenario: it must end with `code` and have said each of `lines`.
    Ending expect_ending(const std::string& scenario, int code, const Lines& lines = {}) {
        ::setenv(scenario_variable, scenario.c_str(), 1);
        ::setenv(program_variable, program_text(server_).c_str(), 1);
        const std::filesystem::path output = folder_.path() / "output";
        testing::ChildProcess child({LLMPROC_TEST_EXITS}, output.string());
        Ending ending;
        ending.code = child.wait(watchdog);
        ending.output = '\n' + testing::read_file(output);
        EXPECT_EQ(ending.code, code) << scenario << ending.output;
        for (const std::string& line : lines) {
            EXPECT_TRUE(ending.says(line)) << scenario << " does not say " << line << ending.output;
        }
        return ending;
    }

    testing::Folder folder_;
    ScriptedServer server_;
};

TEST_F(ExitTest, A1_13_MainReturnsWithAnUnclosedProcessAndACallInProgress) {
    expect_ending("pending_call", 0, {"\nloop_closed\n"});
}

TEST_F(ExitTest, A1_13_ExitWithAnUnclosedProcessAndACallInProgress) {
    expect_ending("pending_call_exit", 0, {"\nloop_closed\n"});
}

TEST_F(ExitTest, A1_13_ALoopThatIsStuckDoesNotKeepTheProgramAlive) {
    expect_ending("stuck_loop", 0, {"\nloop_closed\n"});
}

TEST_F(ExitTest, A2_5_TasksOfTheGlobalLoopCleanUpWhenTheProgramEnds) {
    expect_ending("guard", 0, {"\ncancelled: ", "\nguard destroyed\n"});
}

TEST_F(ExitTest, F30_AProcessOfNamespaceScopeMadeBeforeOpenSsl) {
    const Lines lines{"\nYou said: before main\n", "\nYou said: in main\n"};
    expect_ending("namespace_scope", 0, lines);
}

TEST_F(ExitTest, F30_StaticsThatDieAfterTheLoopsAndOpenSsl) {
    expect_ending("filled_later", 0, {"\nYou said: in main\n"});
}

TEST_F(ExitTest, F30_LaterUseIsRefused) {
    const Lines lines{
        "\nrun: loop_closed, ",
        "\nstart: loop_closed, ",
        "\nloop: loop_closed, the program is exiting",
        "\nrun_sync: loop_closed, "};
    expect_ending("late_use", 0, lines);
}

TEST_F(ExitTest, F31_AProcessInAFunctionsStatic) {
    expect_ending("function_static", 0, {"\nYou said: in main\n"});
}

TEST_F(ExitTest, F32_ThreadLocalProcessesOfMainAndOfAWorker) {
    const Lines lines{"\nYou said: on a worker\n", "\nYou said: on main\n"};
    expect_ending("thread_local", 0, lines);
}

TEST_F(ExitTest, F32_AThreadLocalProcessOfAWorkerThatNeverEnds) {
    expect_ending("thread_local_alive", 0, {"\nYou said: on a worker\n"});
}

TEST_F(ExitTest, F33_ExitFromACoroutineOnAPrivateLoop) {
    expect_ending("exit_on_private_loop", 3);
}

TEST_F(ExitTest, F33_ExitFromACallbackOfTheLoopThatACallWaitsFor) {
    expect_ending("exit_on_loop_of_call", 3, {"\nloop_closed\n"});
}

TEST_F(ExitTest, F33_ExitFromACallbackOfTheGlobalLoop) {
    expect_ending("exit_on_global_loop", 3);
}

TEST_F(ExitTest, F34_QuickExitAndAbortEndAtOnce) {
    const Ending quick = expect_ending("quick_exit", 4);
    EXPECT_FALSE(quick.says("loop_closed")) << quick.output;
    const Ending bare = expect_ending("_exit", 5);
    EXPECT_FALSE(bare.says("loop_closed")) << bare.output;
    expect_ending("abort", 128 + SIGABRT);
}

}  // namespace
}  // namespace llmproc
