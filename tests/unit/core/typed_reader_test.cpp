#include "core/typed_reader.hpp"

#include <llmproc/error.hpp>
#include <llmproc/typed.hpp>
#include "core/typed_json.hpp"
#include "support/described_types.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
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

TEST(TypedReaderTest, ReadsNestedValues) {
    EXPECT_EQ(from_json<Weather>(weather_text), weather());
    const auto day = from_json<Day>(R"({ "sky" : "rain", "low": -3, "high" : 1e1 })");
    EXPECT_EQ(day, (Day{10, -3, Sky::rain}));
}

TEST(TypedReaderTest, OptionalMembersMayBeMissing) {
    EXPECT_EQ(from_json<Day>(R"({"high":1,"sky":"clear"})"), (Day{1, std::nullopt, Sky::clear}));
}

TEST(TypedReaderTest, ReadsContainers) {
    const auto read = from_json<Containers>(
        R"({"flags":[true,false],"three":[1,2,3],"names":["a","b"],"counts":{"x":1,"y z":2},)"
        R"("skies":{"":["clear","rain"]}})"
    );
    Containers expected;
    expected.flags = {true, false};
    expected.three = {1, 2, 3};
    expected.names = {"a", "b"};
    expected.counts = {{"x", 1}, {"y z", 2}};
    expected.skies[""] = {Sky::clear, Sky::rain};
    EXPECT_EQ(read, expected);
}

TEST(TypedReaderTest, MapsAreAlsoListsOfEntries) {
    using Map = std::map<std::string, int>;
    EXPECT_EQ(
        from_json<Map>(R"([{"key":"a","value":1},{"value":2,"key":"b"}])"),
        (Map{{"a", 1}, {"b", 2}})
    );
    EXPECT_EQ(from_json<Map>("[]"), Map());
    EXPECT_EQ(
        problem<Map>(R"([{"key":"a","value":1},{"value":"2","key":"b"}])").substr(0, 22),
        "$[1].value: expected a"
    );
    EXPECT_EQ(
        problem<Map>(R"([{"key":"a","value":1},{"key":"a","value":1}])"),
        "$[1].value: expected each key once, found it twice"
    );
    EXPECT_EQ(
        problem<Map>(R"([{"key":"a"}])"),
        R"($[0]: expected an object with "key" and "value", found an object without them)"
    );
    EXPECT_EQ(
        problem<Map>("[[]]"),
        R"($[0]: expected an object with "key" and "value", found an array)"
    );
}

TEST(TypedReaderTest, ReadsBasesPrivateMembersAndRecursion) {
    EXPECT_EQ(from_json<Account>(R"({"latitude":1,"longitude":2,"number_":3})").number(), 3);
    const auto tree = from_json<Tree>(
        R"({"name":"a","children":[{"name":"b","children":[],"next":null}],)"
        R"("next":{"name":"c","children":[]}})"
    );
    EXPECT_EQ(tree.children.at(0).name, "b");
    ASSERT_TRUE(tree.next);
    EXPECT_EQ(tree.next->name, "c");
    EXPECT_FALSE(tree.next->next);
    EXPECT_EQ(from_json<Nothing>("{}"), Nothing());
}

TEST(TypedReaderTest, NumbersKeepEveryDigit) {
    const auto numbers = from_json<Numbers>(
        R"({"i8":-128,"u8":255,"i64":-9223372036854775808,"u64":18446744073709551615,)"
        R"("f":0.5,"d":0.1})"
    );
    EXPECT_EQ(numbers.i8, -128);
    EXPECT_EQ(numbers.u8, 255);
    EXPECT_EQ(numbers.i64, std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(numbers.u64, std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(numbers.d, 0.1);
    EXPECT_EQ(from_json<std::int64_t>("9007199254740993"), 9007199254740993);
    EXPECT_EQ(from_json<std::uint64_t>("9.007199254740991e15"), 9007199254740991U);
    EXPECT_EQ(from_json<std::uint8_t>("-0"), 0);
    EXPECT_EQ(from_json<int>("1.0"), 1);
    EXPECT_EQ(from_json<Level>("\"highest\""), Level::highest);
}

TEST(TypedReaderTest, NumbersOutOfRangeAreRefused) {
    EXPECT_EQ(problem<std::uint8_t>("256"), "$: expected an integer from 0 to 255, found 256");
    EXPECT_EQ(problem<std::uint8_t>("-1"), "$: expected an integer from 0 to 255, found -1");
    EXPECT_EQ(problem<std::int8_t>("-129"), "$: expected an integer from -128 to 127, found -129");
    EXPECT_EQ(problem<std::int8_t>("128"), "$: expected an integer from -128 to 127, found 128");
    EXPECT_NE(problem<std::int64_t>("9223372036854775808"), "read");
    EXPECT_NE(problem<std::int64_t>("-9223372036854775809"), "read");
    EXPECT_NE(problem<std::uint64_t>("18446744073709551616"), "read");
    EXPECT_NE(problem<std::uint64_t>("-9223372036854775808"), "read");
    EXPECT_NE(problem<int>("1.5"), "read");
    EXPECT_NE(problem<std::int64_t>("9007199254740993.0"), "read") << "a double has no such digit";
    EXPECT_NE(problem<std::int64_t>("1e400"), "read");
    EXPECT_NE(problem<int>("1e-400"), "read") << "not 0, only less than any double";
    EXPECT_EQ(from_json<int>("-0.0e-400"), 0);
    EXPECT_NE(problem<std::int64_t>(std::string(100'000, '9')), "read");
    EXPECT_NE(problem<float>("1e39"), "read");
    EXPECT_NE(problem<double>("1e400"), "read");
    EXPECT_NE(problem<double>("-1e400"), "read");
}

TEST(TypedReaderTest, ErrorsNamePlaceExpectedAndFound) {
    const std::string text(weather_text);
    const auto with = [&text](std::string_view part, std::string_view other) {
        std::string changed = text;
        changed.replace(changed.find(part), part.size(), other);
        return problem<Weather>(changed);
    };
    EXPECT_EQ(
        with("\"rain\"", "\"hail\""),
        R"($.days[0].sky: expected one of "clear", "cloudy", "rain", found "hail")"
    );
    EXPECT_EQ(
        with("21", "\"21\""),
        R"($.days[0].high: expected an integer from -2147483648 to 2147483647, found "21")"
    );
    EXPECT_EQ(with("\"Paris\"", "null"), "$.city: expected a string, found null");
    EXPECT_EQ(with("48.85", "[]"), "$.place.latitude: expected a number, found an array");
    EXPECT_EQ(
        with(R"("latitude":48.85,)", ""),
        R"($.place: expected the member "latitude", found an object without it)"
    );
    EXPECT_EQ(
        with(R"("high")", R"("height")"),
        R"($.days[0]: expected only the members "high", "low", "sky", found the member "height")"
    );
    EXPECT_EQ(
        with(R"("low":null)", R"("low":null,"low":1)"),
        R"($.days[0]: expected the member "low" once, found it twice)"
    );
    EXPECT_EQ(
        with("null", "{}"),
        "$.days[0].low: expected an integer from -2147483648 to 2147483647 or null, found an object"
    );
    EXPECT_EQ(problem<Weather>("[]"), "$: expected an object (Weather), found an array");
}

TEST(TypedReaderTest, LongAndOddContentIsShortInErrors) {
    EXPECT_EQ(
        problem<int>("\"" + std::string(10'000, 'x') + "\"").size(),
        problem<int>("\"" + std::string(20'000, 'x') + "\"").size()
    );
    const std::string cut = problem<int>("\"" + std::string(58, 'x') + "\u00e4\u00e4\"");
    EXPECT_EQ(cut.substr(cut.size() - 4), "x...") << "no half character";
    EXPECT_EQ(
        (problem<std::map<std::string, int>>(R"({"a \"b\"":true})").substr(0, 11)),
        R"($["a "b""]:)"
    );
    EXPECT_LT(
        (problem<std::map<std::string, int>>("{\"" + std::string(10'000, 'k') + "\":true}").size()),
        200U
    ) << "keys of maps are the model's words too";
}

TEST(TypedReaderTest, SyntaxErrorsNameThePlaceToo) {
    EXPECT_EQ(
        problem<Weather>(R"({"city":"Paris","place":{"latitude":)"),
        "$.place.latitude: invalid JSON at offset 36: expected a value, found the end of the text"
    );
    EXPECT_EQ(
        problem<int>("1 2"),
        "$: invalid JSON at offset 2: expected the end of the text, found '2'"
    );
    EXPECT_NE(problem<std::string>("\"\xff\"").find("valid UTF-8"), std::string::npos);
    EXPECT_NE(problem<std::string>("").find("the end of the text"), std::string::npos);
}

TEST(TypedReaderTest, NestingIsBounded) {
    std::string deep;
    for (int i = 0; i < 10'000; ++i) {
        deep += R"({"name":"a","children":[)";
    }
    EXPECT_NE(problem<Tree>(deep).find("at most 128 nested"), std::string::npos);
    EXPECT_NE(problem<Tree>(std::string(10'000, '[')), "read");
    // What is skipped is bounded as well.
    EXPECT_NE(
        problem<Shape>(R"({"radius":)" + std::string(10'000, '[')).find("at most 128 nested"),
        std::string::npos
    );
}

TEST(TypedReaderTest, ArraysHaveTheirSize) {
    using Two = std::array<int, 2>;
    EXPECT_EQ(from_json<Two>("[1,2]"), (Two{1, 2}));
    EXPECT_EQ(problem<Two>("[1]"), "$: expected an array of 2, found an array of 1");
    EXPECT_EQ(problem<Two>("[1,2,3]"), "$: expected an array of 2, found more");
}

TEST(TypedReaderTest, AnswersOfOtherTypesStandInAnObject) {
    int value = 0;
    detail::read_answer(detail::node_of<int>(), &value, R"({"value": 7})");
    EXPECT_EQ(value, 7);
    for (const char* const text :
         {"7", "{}", R"({"val":7})", R"({"value":7,"value":8})", R"({"value":"7"})"}) {
        EXPECT_THROW(detail::read_answer(detail::node_of<int>(), &value, text), LLMError) << text;
    }
    Place place;
    detail::read_answer(detail::node_of<Place>(), &place, R"({"latitude":1,"longitude":2})");
    EXPECT_EQ(place, (Place{1, 2}));
}

}  // namespace
}  // namespace llmproc
