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

struct Down;
/// Left and Right again, counting how often a value is begun.
struct Up {
    Up() noexcept;
    std::vector<std::variant<Up, Down>> next;
    static inline std::size_t begun = 0;
};
struct Down {
    std::vector<std::variant<Up, Down>> next;
};
// Where Down is known: a vector's constructor needs its elements whole.
Up::Up() noexcept {
    ++begun;
}
BOOST_DESCRIBE_STRUCT(Up, (), (next))
BOOST_DESCRIBE_STRUCT(Down, (), (next))

TEST(TypedChoiceTest, LookingAheadIsBoundedToo) {
    // Each way fails after a few bytes, and has looked at all that follow.
    const std::string tail(16'384, 'x');
    std::string text;
    for (int i = 0; i < 25; ++i) {
        text += R"({"next":[)";
    }
    text += R"({"next":[1,")" + tail + "\"]}";
    for (int i = 0; i < 25; ++i) {
        text += "]}";
    }
    Up::begun = 0;
    EXPECT_NE(problem<Up>(text).find("too many"), std::string::npos) << problem<Up>(text);
    EXPECT_LT(Up::begun * tail.size(), 1'000 * text.size());
}

struct Note {
    std::string text;
};
BOOST_DESCRIBE_STRUCT(Note, (), (text))
struct Folder {
    std::vector<std::variant<Folder, Note>> items;
};
BOOST_DESCRIBE_STRUCT(Folder, (), (items))

TEST(TypedChoiceTest, DeepTreesThatTheirMembersTellApartAreRead) {
    std::string text = R"({"text":")" + std::string(100'000, 'x') + "\"}";
    for (int i = 0; i < 60; ++i) {
        text = R"({"items":[)" + text + "]}";
    }
    EXPECT_EQ(problem<Folder>(text), "read");
}

}  // namespace
}  // namespace llmproc
