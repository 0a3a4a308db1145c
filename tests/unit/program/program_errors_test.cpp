#include "unit/program/bad_program.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

std::string absurd_key() {
    std::string key = "a";
    for (int part = 0; part < 200'000; ++part) {
        key += ".a";
    }
    return key;
}

std::vector<BadProgram> syntax_rows() {
    return {
        {"no closing quote", "[model]\nname = \"m\n", 2, 0, "", "invalid TOML"},
        {"no value", "[model]\nname =\n", 2, 0, "", "invalid TOML"},
        {"no closing bracket", "[model\nname = 1\n", 1, 0, "", "invalid TOML"},
        {"key twice", with("name = \"n\"\n"), 4, 0, "", "cannot redefine"},
        {"broken escape", "[model]\nname = \"\\q\"\n", 2, 0, "", "unknown escape"},
        {"not UTF-8", "[model]\nname = \"\xff\"\n", 2, 0, "", "utf-8"},
        {"absurd dotted key", with(absurd_key() + " = 1\n"), 4, 64, "", "more than 32 parts"},
        {"absurd header", with("[" + absurd_key() + "]\n"), 4, 65, "", "more than 32 parts"},
        {"absurd nesting", "a = " + std::string(100'000, '['), 1, 0, "", "nested"},
    };
}

std::vector<BadProgram> unknown_rows() {
    return {
        {"table", with("[modle]\n"), 4, 2, "modle", "did you mean model?"},
        {"table, nothing close", with("[colours]\n"), 4, 2, "colours", "lists all keys"},
        {"key at the top", "temperature = 1\n", 1, 1, "temperature", "parameters.temperature"},
        {"key",
         with("base_urll = \"x\"\n"),
         4,
         1,
         "model.base_urll",
         "did you mean model.base_url?"},
        {"swapped letters", with("[prompt]\nusre = \"x\"\n"), 5, 1, "prompt.usre", "prompt.user"},
        {"prefix",
         with("[parameters]\ntemp = 1\n"),
         5,
         1,
         "parameters.temp",
         "parameters.temperature?"},
        {"other table", with("top_p = 1\n"), 4, 1, "model.top_p", "in the table [parameters]"},
        {"provider's own",
         with("[parameters]\nmirostat = 2\n"),
         5,
         1,
         "parameters.mirostat",
         "parameters.extra_body"},
        {"quoted", with("\"a b\" = 2\n"), 4, 1, "model.\"a b\"", "unknown key"},
        {"section is no table",
         "model = \"m\"\n",
         1,
         9,
         "model",
         "expected a table, written as [model], got a string"},
        {"array of tables", "[[model]]\nname = \"m\"\n", 1, 1, "model", "got an array"},
    };
}

std::vector<BadProgram> later_rows() {
    return {
        {"iterations",
         with("max_iterations = 3\n"),
         4,
         1,
         "model.max_iterations",
         "not yet available in llmproc 0.1; remove it"},
        {"penalty",
         with("[parameters]\npresence_penalty = 1\n"),
         5,
         1,
         "parameters.presence_penalty",
         "parameters.extra_body"},
        {"http2",
         with("[connection]\nhttp2 = true\n"),
         5,
         1,
         "connection.http2",
         "not yet available"},
        {"mcp", with("[mcp.servers.x]\ncommand = \"c\"\n"), 4, 2, "mcp", "not yet available"},
        {"plugins", with("[plugins.spawn]\n"), 4, 2, "plugins", "not yet available"},
        {"demo", with("[demo]\nprompts = []\n"), 4, 2, "demo", "not yet available"},
    };
}

class ProgramErrorsTest : public testing::TestWithParam<BadProgram> {};

TEST_P(ProgramErrorsTest, NamesPlaceKeyAndRemedy) {
    expect_refused(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Syntax, ProgramErrorsTest, testing::ValuesIn(syntax_rows()));
INSTANTIATE_TEST_SUITE_P(Unknown, ProgramErrorsTest, testing::ValuesIn(unknown_rows()));
INSTANTIATE_TEST_SUITE_P(Later, ProgramErrorsTest, testing::ValuesIn(later_rows()));

}  // namespace
}  // namespace llmproc
