#include <llmproc/error.hpp>
#include <llmproc/typed.hpp>
#include "support/described_types.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc {
namespace {

using namespace testing;

TEST(TypedWriterTest, WritesOneLine) {
    EXPECT_EQ(to_json(weather()), weather_text);
    EXPECT_EQ(to_json(Nothing()), "{}");
    EXPECT_EQ(to_json(std::vector<bool>{true, false}), "[true,false]");
    EXPECT_EQ(to_json(std::map<std::string, Sky>{{"a", Sky::rain}}), R"({"a":"rain"})");
    EXPECT_EQ(to_json(std::string("a\"b")), R"("a\"b")");
    EXPECT_EQ(to_json(std::variant<std::monostate, int>()), "null");
    EXPECT_EQ(to_json(std::optional<Shape>(Circle{0.5})), R"({"radius":0.5})");
}

TEST(TypedWriterTest, ReadsBackAsAnEqualValue) {
    Numbers numbers;
    numbers.i8 = -128;
    numbers.u8 = 200;
    numbers.i64 = std::numeric_limits<std::int64_t>::min();
    numbers.u64 = std::numeric_limits<std::uint64_t>::max();
    numbers.f = 0.1F;
    numbers.d = 1e-300;
    EXPECT_EQ(from_json<Numbers>(to_json(numbers)), numbers);
    Containers containers;
    containers.flags = {false, true};
    containers.names = {"x"};
    containers.skies["a\nb"] = {Sky::clear};
    EXPECT_EQ(from_json<Containers>(to_json(containers)), containers);
    Tree tree;
    tree.name = "root";
    tree.next = std::make_unique<Tree>();
    tree.children.emplace_back().name = "child";
    EXPECT_EQ(to_json(from_json<Tree>(to_json(tree))), to_json(tree));
    EXPECT_EQ(from_json<Level>(to_json(Level::highest)), Level::highest);
}

TEST(TypedWriterTest, WhatJsonHasNotIsRefused) {
    EXPECT_THROW(to_json(std::numeric_limits<double>::infinity()), LLMError);
    EXPECT_THROW(to_json(Place{std::numeric_limits<double>::quiet_NaN(), 0}), LLMError);
    try {
        to_json(static_cast<Sky>(7));
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
        EXPECT_NE(error.message().find("the value 7"), std::string::npos) << error.message();
    }
}

}  // namespace
}  // namespace llmproc
