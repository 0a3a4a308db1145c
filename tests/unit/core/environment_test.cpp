#include "core/environment.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

namespace llmproc {
namespace {

using Variables = std::map<std::string, std::string>;

TEST(EnvironmentTest, TrimsAndTakesEmptyForUnset) {
    const ScopedEnvironment scope(
        {{"PLAIN", "value"}, {"SPACED", " \t two words \r\n"}, {"EMPTY", ""}, {"BLANK", " \n"}}
    );
    EXPECT_EQ(environment_variable("PLAIN"), "value");
    EXPECT_EQ(environment_variable("SPACED"), "two words");
    EXPECT_EQ(environment_variable("EMPTY"), std::nullopt);
    EXPECT_EQ(environment_variable("BLANK"), std::nullopt);
    EXPECT_EQ(environment_variable("ABSENT"), std::nullopt);
}

TEST(EnvironmentTest, ReadsTheRealOneOutsideOfScopes) {
    ASSERT_EQ(setenv("LLMPROC_ENVIRONMENT_TEST", " real ", 1), 0);
    EXPECT_EQ(environment_variable("LLMPROC_ENVIRONMENT_TEST"), "real");
    {
        const ScopedEnvironment scope{Variables()};
        EXPECT_EQ(environment_variable("LLMPROC_ENVIRONMENT_TEST"), std::nullopt);
        {
            const Variables inner_variables = {{"LLMPROC_ENVIRONMENT_TEST", "inner"}};
            const ScopedEnvironment inner(inner_variables);
            EXPECT_EQ(environment_variable("LLMPROC_ENVIRONMENT_TEST"), "inner");
        }
        EXPECT_EQ(environment_variable("LLMPROC_ENVIRONMENT_TEST"), std::nullopt);
    }
    EXPECT_EQ(environment_variable("LLMPROC_ENVIRONMENT_TEST"), "real");
    ASSERT_EQ(unsetenv("LLMPROC_ENVIRONMENT_TEST"), 0);
    EXPECT_EQ(environment_variable("LLMPROC_ENVIRONMENT_TEST"), std::nullopt);
}

}  // namespace
}  // namespace llmproc
