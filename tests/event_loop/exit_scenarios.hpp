/// @file
/// What the tests of the program's end tell the program that ends.
#pragma once

namespace llmproc::testing {

/// The scenario's name and the text of its program file. Not arguments: objects of namespace scope
/// need them before main.
inline constexpr const char* scenario_variable = "LLMPROC_TEST_SCENARIO";
inline constexpr const char* program_variable = "LLMPROC_TEST_PROGRAM";

}  // namespace llmproc::testing
