TEST(OneTest, Runs) {}
// TEST(OneTest, IsCommentedOut) {}
TEST(OneTest, DISABLED_IsOff) {}
