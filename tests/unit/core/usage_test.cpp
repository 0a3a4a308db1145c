#include <llmproc/usage.hpp>

#include <gtest/gtest.h>

namespace llmproc {
namespace {

TEST(UsageTest, SumsEveryCount) {
    Usage first;
    first.input_tokens = 1;
    first.output_tokens = 2;
    first.cached_input_tokens = 3;
    first.cache_write_tokens = 4;
    first.reasoning_tokens = 5;
    first.total_tokens = 6;
    first.reported = true;
    Usage sum = first;
    sum += first;
    Usage expected;
    expected.input_tokens = 2;
    expected.output_tokens = 4;
    expected.cached_input_tokens = 6;
    expected.cache_write_tokens = 8;
    expected.reasoning_tokens = 10;
    expected.total_tokens = 12;
    expected.reported = true;
    EXPECT_EQ(sum, expected);
}

TEST(UsageTest, IsReportedIfEitherWas) {
    Usage reported;
    reported.reported = true;
    Usage sum;
    sum += Usage();
    EXPECT_FALSE(sum.reported);
    sum += reported;
    EXPECT_TRUE(sum.reported);
    sum += Usage();
    EXPECT_TRUE(sum.reported);
}

TEST(UsageTest, SourcesHaveNames) {
    EXPECT_EQ(to_string(TokenSource::provider), "provider");
    EXPECT_EQ(to_string(TokenSource::last_usage), "last_usage");
    EXPECT_EQ(to_string(TokenSource::estimate), "estimate");
}

}  // namespace
}  // namespace llmproc
