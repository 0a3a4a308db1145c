#include <llmproc/secret.hpp>

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

namespace llmproc {
namespace {

template <class T>
concept Streamable = requires(std::ostream& out, const T& value) {
    out << value;
};

static_assert(Streamable<std::string>);
static_assert(!Streamable<Secret>);
static_assert(!std::is_convertible_v<Secret, std::string>);
static_assert(!std::is_convertible_v<Secret, std::string_view>);
static_assert(!std::is_convertible_v<std::string, Secret>);

TEST(SecretTest, RevealsOnlyWhatItHolds) {
    EXPECT_TRUE(Secret().empty());
    EXPECT_EQ(Secret().reveal(), "");
    const Secret key(std::string("key-123"));
    EXPECT_FALSE(key.empty());
    EXPECT_EQ(key.reveal(), "key-123");
}

TEST(SecretTest, RedactsEveryOccurrence) {
    const Secret key(std::string("abc"));
    EXPECT_EQ(key.redact("abc and abcabc and ab"), "[redacted] and [redacted][redacted] and ab");
    EXPECT_EQ(key.redact(""), "");
    EXPECT_EQ(Secret().redact("nothing to hide"), "nothing to hide");
}

TEST(SecretTest, RedactsAKeyThatIsPartOfTheMark) {
    EXPECT_EQ(Secret(std::string("red")).redact("red red"), "[redacted] [redacted]");
}

TEST(SecretTest, CopiesAndMoves) {
    for (const std::string& text : {std::string("short"), std::string(100, 'k')}) {
        Secret first{std::string(text)};
        Secret copy = first;
        EXPECT_EQ(copy.reveal(), text);
        const Secret moved = std::move(first);
        EXPECT_EQ(moved.reveal(), text);
        EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move): defined to be empty
        Secret assigned(std::string("other"));
        assigned = copy;
        EXPECT_EQ(assigned.reveal(), text);
        EXPECT_EQ(copy.reveal(), text);
        Secret& alias = assigned;
        assigned = alias;
        EXPECT_EQ(assigned.reveal(), text);
        assigned = std::move(copy);
        EXPECT_EQ(assigned.reveal(), text);
        EXPECT_TRUE(copy.empty());  // NOLINT(bugprone-use-after-move): defined to be empty
    }
}

TEST(SecretTest, LeavesNothingBehindInWhatItWasMovedFrom) {
    Secret from(std::string("shortkey"));
    const char* const bytes = from.reveal().data();
    const Secret to = std::move(from);
    EXPECT_EQ(to.reveal(), "shortkey");
    // The buffer belongs to `from`, which lives: a short text stays where it was.
    EXPECT_EQ(std::string(bytes, 8), std::string(8, '\0'));
}

}  // namespace
}  // namespace llmproc
