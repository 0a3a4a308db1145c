#include <llmproc/error.hpp>
#include <llmproc/process.hpp>
#include <llmproc/program.hpp>
#include "core/environment.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace llmproc {
namespace {

const std::string openai = "[model]\nname = \"m\"\nprovider = \"openai\"\n";

boost::asio::awaitable<void> start_and_drop(LLMProgram program) {
    const AsyncLLMProcess process = co_await program.start();
    const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
    EXPECT_TRUE(process.get_executor() == executor);
}

/// What `start()` threw, awaited on a context of its own; none if it started.
template <typename Error>
std::optional<Error> error_of_start(const LLMProgram& program) {
    boost::asio::io_context context;
    std::exception_ptr failure;
    boost::asio::co_spawn(
        context,
        start_and_drop(program),
        [&failure](const std::exception_ptr& thrown) { failure = thrown; }
    );
    context.run();
    try {
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const Error& error) {
        return error;
    }
    return std::nullopt;
}

const std::map<std::string, std::string> key_variable{{"OPENAI_API_KEY", "test-key"}};

TEST(ProgramTest, ShowsWhatTheFileSays) {
    const LLMProgram program = LLMProgram::from_toml_string(
        openai + "base_url = \"https://h/v1/\"\n[prompt]\nsystem = \"s\"\nuser = \"u\"\n"
    );
    EXPECT_EQ(program.model(), "m");
    EXPECT_EQ(program.provider(), "openai");
    EXPECT_EQ(program.base_url(), "https://h/v1");
    EXPECT_EQ(program.system_prompt(), "s");
    EXPECT_EQ(program.user_prompt(), "u");
}

TEST(ProgramTest, NamesTextByTheGivenName) {
    try {
        LLMProgram::from_toml_string("x = 1", "my program");
        FAIL() << "accepted";
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.file(), "my program");
        EXPECT_EQ(error.line(), 1U);
    }
}

TEST(ProgramTest, LoadsWithoutKeyAndMissesItAtStart) {
    const ScopedEnvironment nothing(std::map<std::string, std::string>{});
    const LLMProgram program = LLMProgram::from_toml_string(openai, "p.toml");
    boost::asio::io_context context;
    const boost::asio::any_io_executor executor = context.get_executor();
    const auto check = [](const ConfigError& error) {
        EXPECT_EQ(error.errc(), Errc::missing_api_key);
        EXPECT_EQ(error.file(), "p.toml");
        EXPECT_EQ(error.line(), 3U);
        EXPECT_EQ(error.key(), "model.api_key_env");
        EXPECT_NE(std::string(error.what()).find("OPENAI_API_KEY"), std::string::npos);
    };
    try {
        static_cast<void>(program.start(executor));
        FAIL() << "started";
    } catch (const ConfigError& error) {
        check(error);
    }
    try {
        static_cast<void>(program.start_sync());
        FAIL() << "started";
    } catch (const ConfigError& error) {
        check(error);
    }
    const auto awaited = error_of_start<ConfigError>(program);
    ASSERT_TRUE(awaited);
    check(*awaited);
}

TEST(ProgramTest, StartsWithTheKeyOfTheEnvironment) {
    const ScopedEnvironment environment(key_variable);
    const LLMProgram program = LLMProgram::from_toml_string(openai);
    boost::asio::io_context context;
    const boost::asio::any_io_executor executor = context.get_executor();
    const AsyncLLMProcess process = program.start(executor);
    EXPECT_TRUE(process.get_executor() == executor);
    EXPECT_FALSE(error_of_start<LLMError>(program));
    SyncLLMProcess sync = program.start_sync();
    sync.close();
}

TEST(ProgramTest, NamesTheCaFileByItsPlaceInTheProgram) {
    const ScopedEnvironment environment(key_variable);
    const LLMProgram program = LLMProgram::from_toml_string(
        openai + "[connection]\nca_file = \"/no/such/ca.pem\"\n",
        "p.toml"
    );
    const auto check = [](const ConfigError& error) {
        const std::string what = error.what();
        EXPECT_EQ(what.find("p.toml:5:11: connection.ca_file: cannot use CA file"), 0U) << what;
        EXPECT_NE(what.find("No such file"), std::string::npos) << what;
        EXPECT_EQ(error.errc(), Errc::invalid_config);
    };
    const auto awaited = error_of_start<ConfigError>(program);
    ASSERT_TRUE(awaited);
    check(*awaited);
    try {
        static_cast<void>(program.start_sync());
        FAIL() << "started";
    } catch (const ConfigError& error) {
        check(error);
    }
}

TEST(ProgramTest, AMovedFromProgramSaysSo) {
    LLMProgram program = LLMProgram::from_toml_string(openai);
    const LLMProgram taken = std::move(program);
    EXPECT_EQ(taken.model(), "m");
    // NOLINTNEXTLINE(bugprone-use-after-move)
    EXPECT_EQ(program.model(), "");
    try {
        static_cast<void>(program.start_sync());
        FAIL() << "started";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_handle);
    }
}

}  // namespace
}  // namespace llmproc
