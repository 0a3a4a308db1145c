#include "support/local_server.hpp"
#include "unit/program/bad_program.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

ProgramSettings read(const std::string& rest, const std::filesystem::path& folder = "/base") {
    return read_program(with(rest), "p.toml", folder);
}

const std::string prices =
    "[[price]]\nprovider = \"ollama\"\nmodel = \"m\"\ninput = 0\noutput = 0\n";

TEST(ProgramLimitsTest, NothingIsLimitedUnlessItIsSaid) {
    const SpendingSettings spending = read("").spending;
    for (const SpendingLimits& limits : {spending.run, spending.process}) {
        EXPECT_FALSE(limits.max_requests.has_value());
        EXPECT_FALSE(limits.max_tokens.has_value());
        EXPECT_FALSE(limits.max_cost_usd.has_value());
        EXPECT_FALSE(limits.max_tool_calls.has_value());
    }
    EXPECT_EQ(spending.prices, nullptr);
}

TEST(ProgramLimitsTest, ReadsBothTables) {
    const testing::Folder folder;
    testing::write_file(folder.path() / "mine.toml", prices);
    const SpendingSettings spending = read(
                                          "prices_file = \"mine.toml\"\n"
                                          "[limits.run]\nmax_requests = 1\nmax_tokens = 2\n"
                                          "max_cost_usd = 0.5\nmax_tool_calls = 3\n"
                                          "[limits.process]\nmax_requests = 10\nmax_tokens = 20\n"
                                          "max_cost_usd = 5\nmax_tool_calls = 30\n",
                                          folder.path()
    )
                                          .spending;
    EXPECT_EQ(spending.run.max_requests, 1);
    EXPECT_EQ(spending.run.max_tokens, 2);
    EXPECT_EQ(spending.run.max_cost_usd, 0.5);
    EXPECT_EQ(spending.run.max_tool_calls, 3);
    EXPECT_EQ(spending.process.max_requests, 10);
    EXPECT_EQ(spending.process.max_tokens, 20);
    EXPECT_EQ(spending.process.max_cost_usd, 5);
    EXPECT_EQ(spending.process.max_tool_calls, 30);
    ASSERT_NE(spending.prices, nullptr);
    EXPECT_NE(spending.prices->find("ollama", "m"), nullptr);
    EXPECT_EQ(spending.prices->find("anthropic", "claude-opus-5-5"), nullptr)
        << "a table of one's own replaces the built-in one";
}

TEST(ProgramLimitsTest, ErrorsInTheFileOfPricesNameThatFile) {
    const testing::Folder folder;
    testing::write_file(folder.path() / "mine.toml", "as_of = 1\n");
    try {
        read("prices_file = \"mine.toml\"\n", folder.path());
        FAIL();
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.file(), (folder.path() / "mine.toml").string());
        EXPECT_EQ(error.line(), 1U);
        EXPECT_EQ(error.column(), 9U);
        EXPECT_EQ(error.key(), "as_of");
    }
}

TEST(ProgramLimitsTest, EveryModelThatMayBeAskedNeedsAPrice) {
    const testing::Folder folder;
    testing::write_file(folder.path() / "mine.toml", prices);
    const std::string limited = "prices_file = \"mine.toml\"\n[limits.run]\nmax_cost_usd = 1\n";
    EXPECT_NO_THROW(read(limited, folder.path()));
    try {
        read(limited + "[[model.fallback]]\nname = \"other\"\n", folder.path());
        FAIL();
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.key(), "limits.run.max_cost_usd");
        EXPECT_NE(error.message().find("the price of the model 'other'"), std::string::npos);
    }
}

std::vector<BadProgram> bad_limits() {
    return {
        {"flat",
         with("[limits]\nmax_requests = 3\n"),
         5,
         1,
         "limits.max_requests",
         "docs/program_file.md lists all keys"},
        {"scope is no table",
         with("[limits]\nrun = 3\n"),
         5,
         7,
         "limits.run",
         "expected a table, got an integer"},
        {"other scope", with("[limits.runs]\n"), 4, 9, "limits.runs", "did you mean limits.run?"},
        {"unknown",
         with("[limits.run]\nmax_request = 3\n"),
         5,
         1,
         "limits.run.max_request",
         "did you mean max_requests?"},
        {"zero",
         with("[limits.run]\nmax_requests = 0\n"),
         5,
         16,
         "limits.run.max_requests",
         "of at least 1, got 0"},
        {"float",
         with("[limits.process]\nmax_tokens = 1.5\n"),
         5,
         14,
         "limits.process.max_tokens",
         "expected an integer"},
        {"tool calls",
         with("[limits.process]\nmax_tool_calls = -1\n"),
         5,
         18,
         "limits.process.max_tool_calls",
         "of at least 1"},
        {"no money",
         with("[limits.process]\nmax_cost_usd = 0\n"),
         5,
         16,
         "limits.process.max_cost_usd",
         "more than 0 US dollars"},
        {"not a number",
         with("[limits.run]\nmax_cost_usd = nan\n"),
         5,
         16,
         "limits.run.max_cost_usd",
         "got nan"},
        {"price not known, run",
         with("[limits.run]\nmax_cost_usd = 1\n"),
         4,
         9,
         "limits.run.max_cost_usd",
         "the price of the model 'm' of the provider 'ollama' is not known"},
        {"price not known, process",
         with("[limits.process]\nmax_cost_usd = 1\n"),
         4,
         9,
         "limits.process.max_cost_usd",
         "model.prices_file"},
        {"prices of a fallback",
         with("[[model.fallback]]\nname = \"o\"\nprices_file = \"p.toml\"\n"),
         6,
         1,
         "model.fallback.prices_file",
         "move this key to [model]"},
        {"no such file",
         with("prices_file = \"no-such.toml\"\n"),
         4,
         15,
         "model.prices_file",
         "cannot read"},
    };
}

class BadLimitsTest : public ::testing::TestWithParam<BadProgram> {};

TEST_P(BadLimitsTest, NamesPlaceKeyAndRemedy) {
    expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, BadLimitsTest, ::testing::ValuesIn(bad_limits()));

}  // namespace
}  // namespace llmproc
