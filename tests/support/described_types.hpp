/// @file
/// Types for the tests of typed JSON, one of each kind.
#pragma once

#include <llmproc/typed.hpp>

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc::testing {

enum class Sky { clear, cloudy, rain };
BOOST_DESCRIBE_ENUM(Sky, clear, cloudy, rain)

enum Level : std::uint64_t { low = 1, highest = 0xffff'ffff'ffff'ffff };
BOOST_DESCRIBE_ENUM(Level, low, highest)

struct Place {
    double latitude = 0;
    double longitude = 0;
    friend bool operator==(const Place&, const Place&) = default;
};
BOOST_DESCRIBE_STRUCT(Place, (), (latitude, longitude))

struct Day {
    int high = 0;
    std::optional<int> low;
    Sky sky = Sky::clear;
    friend bool operator==(const Day&, const Day&) = default;
};
BOOST_DESCRIBE_STRUCT(Day, (), (high, low, sky))

struct Weather {
    std::string city;
    Place place;
    std::vector<Day> days;
    friend bool operator==(const Weather&, const Weather&) = default;
};
BOOST_DESCRIBE_STRUCT(Weather, (), (city, place, days))

/// Whole answers of these types, for tests of what surrounds them.
inline constexpr const char* weather_text =
    R"({"city":"Paris","place":{"latitude":48.85,"longitude":2.35},)"
    R"("days":[{"high":21,"low":null,"sky":"rain"}]})";
inline Weather weather() {
    return Weather{"Paris", Place{48.85, 2.35}, {Day{21, std::nullopt, Sky::rain}}};
}

struct Circle {
    double radius = 0;
    friend bool operator==(const Circle&, const Circle&) = default;
};
BOOST_DESCRIBE_STRUCT(Circle, (), (radius))

struct Box {
    double width = 0;
    double height = 0;
    friend bool operator==(const Box&, const Box&) = default;
};
BOOST_DESCRIBE_STRUCT(Box, (), (width, height))

using Shape = std::variant<Circle, Box, std::string>;

struct Numbers {
    std::int8_t i8 = 0;
    std::uint8_t u8 = 0;
    std::int64_t i64 = 0;
    std::uint64_t u64 = 0;
    float f = 0;
    double d = 0;
    friend bool operator==(const Numbers&, const Numbers&) = default;
};
BOOST_DESCRIBE_STRUCT(Numbers, (), (i8, u8, i64, u64, f, d))

struct Containers {
    std::vector<bool> flags;
    std::array<int, 3> three{};
    std::list<std::string> names;
    std::map<std::string, int> counts;
    std::unordered_map<std::string, std::vector<Sky>> skies;
    friend bool operator==(const Containers&, const Containers&) = default;
};
BOOST_DESCRIBE_STRUCT(Containers, (), (flags, three, names, counts, skies))

struct Tree {
    std::string name;
    std::vector<Tree> children;
    std::unique_ptr<Tree> next;
};
BOOST_DESCRIBE_STRUCT(Tree, (), (name, children, next))

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

class Account : public Place {
public:
    Account() = default;
    explicit Account(int number) : number_(number) {}
    int number() const noexcept { return number_; }

private:
    int number_ = 0;
    BOOST_DESCRIBE_CLASS(Account, (Place), (), (), (number_))
};

struct Nothing {
    friend bool operator==(const Nothing&, const Nothing&) = default;
};
BOOST_DESCRIBE_STRUCT(Nothing, (), ())

struct LeftName {
    int id = 0;
};
BOOST_DESCRIBE_STRUCT(LeftName, (), (id))
struct RightName {
    int id = 0;
};
BOOST_DESCRIBE_STRUCT(RightName, (), (id))
struct TwoNames : LeftName, RightName {};
BOOST_DESCRIBE_STRUCT(TwoNames, (LeftName, RightName), ())

}  // namespace llmproc::testing
