#include <llmproc/error.hpp>
#include <llmproc/typed.hpp>
#include "support/described_types.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace llmproc {
namespace {

using namespace testing;

template <typename T>
std::string problem(std::string_view text) {
    try {
        from_json<T>(text);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_json);
        return error.message();
    }
    return "read";
}

TEST(TypedChoiceTest, TheKindAndTheMembersChoose) {
    EXPECT_EQ(from_json<Shape>(R"({"radius":1})"), Shape(Circle{1}));
    EXPECT_EQ(from_json<Shape>(R"({"height":1,"width":2})"), Shape(Box{2, 1}));
    EXPECT_EQ(from_json<Shape>("\"round\""), Shape("round"));
}

TEST(TypedChoiceTest, TheFirstThatFitsIsTaken) {
    using Number = std::variant<std::int8_t, std::uint64_t, double>;
    EXPECT_EQ(from_json<Number>("1"), Number(std::int8_t{1}));
    EXPECT_EQ(from_json<Number>("300"), Number(std::uint64_t{300}));
    EXPECT_EQ(from_json<Number>("1.5"), Number(1.5));
    using Word = std::variant<Sky, std::string>;
    EXPECT_EQ(from_json<Word>("\"rain\""), Word(Sky::rain));
    EXPECT_EQ(from_json<Word>("\"hail\""), Word("hail"));
    using Lists = std::variant<std::vector<int>, std::vector<std::string>>;
    EXPECT_EQ(from_json<Lists>("[\"a\"]"), Lists(std::vector<std::string>{"a"}));
}

TEST(TypedChoiceTest, NullAndMissing) {
    using MaybeShape = std::optional<Shape>;
    EXPECT_EQ(from_json<MaybeShape>("null"), std::nullopt);
    EXPECT_EQ(from_json<MaybeShape>(R"({"radius":1})"), MaybeShape(Circle{1}));
    using Either = std::variant<std::monostate, int>;
    EXPECT_EQ(from_json<Either>("null"), Either());
    EXPECT_EQ(from_json<Either>("3"), Either(3));
}

TEST(TypedChoiceTest, ErrorsSayWhatIsPossible) {
    EXPECT_EQ(
        problem<Shape>("3"),
        "$: expected an object (Circle) or an object (Box) or a string, found 3"
    );
    EXPECT_EQ(
        problem<Shape>(R"({"radius":1,"width":2})"),
        "$: expected an object (Circle) or an object (Box) or a string, found an object with the "
        "members of none"
    );
    EXPECT_EQ(problem<Shape>(R"({"radius":true})"), "$.radius: expected a number, found true");
    EXPECT_EQ(
        problem<std::vector<Shape>>(R"(["a",{"width":1,"height":"2"}])"),
        R"($[1].height: expected a number, found "2")"
    );
}

struct Leaf {
    int end = 0;
};
BOOST_DESCRIBE_STRUCT(Leaf, (), (end))
struct Right;
/// Two types of the same members: only what is deep inside tells them apart.
struct Left {
    std::vector<std::variant<Left, Right, Leaf>> next;
};
struct Right {
    std::vector<std::variant<Left, Right, Leaf>> next;
};
BOOST_DESCRIBE_STRUCT(Left, (), (next))
BOOST_DESCRIBE_STRUCT(Right, (), (next))

TEST(TypedChoiceTest, TryingIsBounded) {
    // Each level doubles the ways to read the wrong value at the end.
    std::string text;
    for (int i = 0; i < 50; ++i) {
        text += R"({"next":[)";
    }
    text += R"({"end":"x"})";
    for (int i = 0; i < 50; ++i) {
        text += "]}";
    }
    EXPECT_NE(problem<Left>(text).find("too many"), std::string::npos) << problem<Left>(text);
    text.replace(text.find("\"x\""), 3, "1");
    EXPECT_EQ(problem<Left>(text), "read");
}

}  // namespace
}  // namespace llmproc
