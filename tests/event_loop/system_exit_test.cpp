// A1.13, A2.5, F30 to F34: what is left open when the program ends; see system_scenarios_test.cpp.
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/system_support.hpp"
#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace llmproc {
namespace {

using testing::openai_chat_echo;
using testing::program_text;
using testing::program_variable;
using testing::scenario_variable;
using testing::ScriptedServer;
using testing::watchdog;

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

    Ending end_of(const std::string& scenario) {
        ::setenv(scenario_variable, scenario.c_str(), 1);
        ::setenv(program_variable, program_text(server_).c_str(), 1);
        const std::filesystem::path output = folder_.path() / "output";
        testing::ChildProcess child(
            {"/proc/self/exe", "--gtest_filter=ExitScenario.Run"},
            output.string()
        );
        ::unsetenv(scenario_variable);
        Ending ending;
        ending.code = child.wait(watchdog);
        ending.output = testing::read_file(output);
        return ending;
    }

    testing::Folder folder_;
    ScriptedServer server_;
};

TEST_F(ExitTest, A1_13_MainReturnsWithAnUnclosedProcessAndACallInProgress) {
    const Ending ending = end_of("pending_call");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("\nloop_closed\n")) << ending.output;
}

TEST_F(ExitTest, A1_13_ExitWithAnUnclosedProcessAndACallInProgress) {
    const Ending ending = end_of("pending_call_exit");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("\nloop_closed\n")) << ending.output;
}

TEST_F(ExitTest, A1_13_ALoopThatIsStuckDoesNotKeepTheProgramAlive) {
    const Ending ending = end_of("stuck_loop");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("\nloop_closed\n")) << ending.output;
}

TEST_F(ExitTest, A2_5_TasksOfTheGlobalLoopCleanUpWhenTheProgramEnds) {
    const Ending ending = end_of("guard");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("\ncancelled: ")) << ending.output;
    EXPECT_TRUE(ending.says("\nguard destroyed\n")) << ending.output;
}

TEST_F(ExitTest, F30_AProcessOfNamespaceScopeMadeBeforeOpenSsl) {
    const Ending ending = end_of("namespace_scope");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("You said: before main\n")) << ending.output;
    EXPECT_TRUE(ending.says("You said: in main\n")) << ending.output;
}

TEST_F(ExitTest, F30_StaticsThatDieAfterTheLoopsAndOpenSsl) {
    const Ending ending = end_of("filled_later");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("You said: in main\n")) << ending.output;
}

TEST_F(ExitTest, F30_LaterUseIsRefused) {
    const Ending ending = end_of("late_use");
    EXPECT_EQ(ending.code, 0) << ending.output;
    for (const std::string what : {"run", "start", "loop", "run_sync"}) {
        EXPECT_TRUE(ending.says("\n" + what + ": loop_closed, ")) << what << ending.output;
    }
    EXPECT_TRUE(ending.says("\nloop: loop_closed, the program is exiting")) << ending.output;
}

TEST_F(ExitTest, F31_AProcessInAFunctionsStatic) {
    const Ending ending = end_of("function_static");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("You said: in main\n")) << ending.output;
}

TEST_F(ExitTest, F32_ThreadLocalProcessesOfMainAndOfAWorker) {
    const Ending ending = end_of("thread_local");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("You said: on a worker\n")) << ending.output;
    EXPECT_TRUE(ending.says("You said: on main\n")) << ending.output;
}

TEST_F(ExitTest, F32_AThreadLocalProcessOfAWorkerThatNeverEnds) {
    const Ending ending = end_of("thread_local_alive");
    EXPECT_EQ(ending.code, 0) << ending.output;
    EXPECT_TRUE(ending.says("You said: on a worker\n")) << ending.output;
}

TEST_F(ExitTest, F33_ExitFromACoroutineOnAPrivateLoop) {
    EXPECT_EQ(end_of("exit_on_private_loop").code, 3);
}

TEST_F(ExitTest, F33_ExitFromACallbackOfTheLoopThatACallWaitsFor) {
    const Ending ending = end_of("exit_on_loop_of_call");
    EXPECT_EQ(ending.code, 3) << ending.output;
    EXPECT_TRUE(ending.says("\nloop_closed\n")) << ending.output;
}

TEST_F(ExitTest, F33_ExitFromACallbackOfTheGlobalLoop) {
    EXPECT_EQ(end_of("exit_on_global_loop").code, 3);
}

TEST_F(ExitTest, F34_QuickExitAndAbortEndAtOnce) {
    const Ending quick = end_of("quick_exit");
    EXPECT_EQ(quick.code, 4) << quick.output;
    EXPECT_FALSE(quick.says("loop_closed")) << quick.output;
    const Ending bare = end_of("_exit");
    EXPECT_EQ(bare.code, 5) << bare.output;
    EXPECT_FALSE(bare.says("loop_closed")) << bare.output;
    const Ending aborted = end_of("abort");
    EXPECT_EQ(aborted.code, 128 + SIGABRT) << aborted.output;
}

}  // namespace
}  // namespace llmproc
