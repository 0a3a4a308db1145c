// F40: llmproc inside a module that is loaded, used, closed; then the program ends.
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace llmproc {
namespace {

using testing::watchdog;

class ModuleTest : public ::testing::Test {
protected:
    void SetUp() override { server_.handle(testing::openai_chat_echo); }

    /// How the host ended that uses the module; 0 = all was well.
    std::optional<int> host(const std::string& leave_open, std::string& output) {
        const std::filesystem::path file = folder_.path() / "output";
        testing::ChildProcess child(
            {LLMPROC_TEST_HOST, LLMPROC_TEST_MODULE, testing::program_text(server_), leave_open},
            file.string()
        );
        const std::optional<int> code = child.wait(watchdog);
        output = testing::read_file(file);
        return code;
    }

    testing::Folder folder_;
    testing::ScriptedServer server_;
};

TEST_F(ModuleTest, F40_AModuleIsClosedAfterItsProcesses) {
    std::string output;
    EXPECT_EQ(host("0", output), 0) << output;
    EXPECT_EQ(server_.stats().requests, 2U);
}

TEST_F(ModuleTest, F40_AModuleIsClosedWithAProcessOpen) {
    std::string output;
    EXPECT_EQ(host("1", output), 0) << output;
    EXPECT_EQ(server_.stats().requests, 2U);
}

}  // namespace
}  // namespace llmproc
