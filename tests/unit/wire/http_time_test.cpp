#include "wire/http_time.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace llmproc::wire {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;

const system_clock::time_point in_2026 = std::chrono::sys_days(std::chrono::year(2026) / 11 / 21);

std::optional<long long> seconds(std::string_view text) {
    const auto time = parse_http_date(text, in_2026);
    if (!time) {
        return std::nullopt;
    }
    return std::chrono::duration_cast<std::chrono::seconds>(time->time_since_epoch()).count();
}

TEST(HttpDateTest, ReadsTheThreeFormsOfRfc9110) {
    EXPECT_EQ(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), 784111777);
    EXPECT_EQ(seconds("Sunday, 06-Nov-94 08:49:37 GMT"), 784111777);
    EXPECT_EQ(seconds("Sun Nov  6 08:49:37 1994"), 784111777);
    EXPECT_EQ(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), 0);
    EXPECT_EQ(seconds("Tue Nov 15 12:45:26 1994"), 784903526);
}

TEST(HttpDateTest, PutsTwoDigitYearsAtMostFiftyYearsAhead) {
    const auto year_of = [](std::string_view text) {
        const auto time = parse_http_date(text, in_2026);
        const std::chrono::year_month_day date(
            std::chrono::floor<std::chrono::days>(time.value_or(system_clock::time_point()))
        );
        return static_cast<int>(date.year());
    };
    EXPECT_EQ(year_of("Saturday, 21-Nov-26 08:49:37 GMT"), 2026);
    EXPECT_EQ(year_of("Saturday, 21-Nov-76 08:49:37 GMT"), 2076);
    EXPECT_EQ(year_of("Saturday, 21-Nov-77 08:49:37 GMT"), 1977);
}

TEST(HttpDateTest, RefusesWhatIsNoDate) {
    const std::vector<std::string> bad = {
        "",
        "soon",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nom 1994 08:49:37 GMT",
        "Sun, 06 Nov 9999 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "1994-11-06T08:49:37Z",
        "Sun Nov 6 08:49:37 1994",
    };
    for (const auto& text : bad) {
        EXPECT_EQ(seconds(text), std::nullopt) << text;
    }
}

TEST(HttpDateTest, SurvivesEveryPrefixAndEveryChangedByte) {
    for (const std::string text :
         {"Sun, 06 Nov 1994 08:49:37 GMT",
          "Sunday, 06-Nov-94 08:49:37 GMT",
          "Sun Nov  6 08:49:37 1994"}) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            EXPECT_EQ(seconds(text.substr(0, i)), std::nullopt);
            for (const char c : {'\0', '\xFF', '9', '-', ' '}) {
                std::string changed = text;
                changed[i] = c;
                static_cast<void>(seconds(changed));
            }
        }
    }
}

TEST(GoDurationTest, ReadsRateLimitResets) {
    EXPECT_EQ(parse_go_duration("120ms"), 120ms);
    EXPECT_EQ(parse_go_duration("1s"), 1s);
    EXPECT_EQ(parse_go_duration("6m0s"), 6min);
    EXPECT_EQ(parse_go_duration("1h2m3.5s"), 1h + 2min + 3500ms);
    EXPECT_EQ(parse_go_duration("0"), 0s);
    EXPECT_EQ(parse_go_duration("0s"), 0s);
    EXPECT_EQ(parse_go_duration(".5s"), 500ms);
    EXPECT_EQ(parse_go_duration("1.s"), 1s);
    EXPECT_EQ(parse_go_duration("7us"), 7us);
    EXPECT_EQ(parse_go_duration("7\xC2\xB5s"), 7us);
    EXPECT_EQ(parse_go_duration("7\xCE\xBCs"), 7us);
    EXPECT_EQ(parse_go_duration("1500ns"), 2us);
    EXPECT_EQ(parse_go_duration("3.5s"), 3500ms);
}

TEST(GoDurationTest, RefusesTheRest) {
    for (const std::string text :
         {"",
          "1",
          "s",
          "-1s",
          "+1s",
          "1x",
          "1s2",
          "1 s",
          "infs",
          "nans",
          "1e3s",
          "1..2s",
          ".s",
          "99999999999h",
          "1d",
          "1S"}) {
        EXPECT_EQ(parse_go_duration(text), std::nullopt) << text;
    }
    EXPECT_EQ(parse_go_duration(std::string(400, '9') + "s"), std::nullopt);
}

}  // namespace
}  // namespace llmproc::wire
