#include "wire/keep_alive.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::wire {
namespace {

constexpr std::int64_t none = -1;
constexpr std::int64_t ten_years = 10LL * 365 * 24 * 3600;
constexpr std::int64_t most = 4294967295;

struct Case {
    std::string_view text;
    std::int64_t timeout;
    std::int64_t max;
};

void expect(const Case& row) {
    const KeepAlive hint = parse_keep_alive(row.text);
    EXPECT_EQ(hint.timeout ? hint.timeout->count() : none, row.timeout) << row.text;
    EXPECT_EQ(hint.max ? std::int64_t{*hint.max} : none, row.max) << row.text;
}

TEST(KeepAliveTest, ReadsWhatServersSend) {
    const std::vector<Case> rows = {
        {"timeout=5, max=100", 5, 100},  // Apache
        {"timeout=5", 5, none},          // Node
        {"timeout=20", 20, none},        // nginx
        {"timeout=5, max=1000", 5, 1000},
        {"max=7", none, 7},
        {"max=0", none, 0},
        {"timeout=0", 0, none},
    };
    for (const Case& row : rows) {
        expect(row);
    }
}

TEST(KeepAliveTest, IsTolerantOfTheForm) {
    const std::vector<Case> rows = {
        {"Timeout=5,MAX=100", 5, 100},
        {"  timeout = 5 ;\tmax = 3 ", 5, 3},
        {"timeout=\"5\", max=\" 3 \"", 5, 3},
        {",,timeout=5,,", 5, none},
        {"max=3, unknown=9, flag, timeout=4", 4, 3},
        {"timeout=5.9", 5, none},
        {"timeout=5.", 5, none},
        {"timeout=005", 5, none},
    };
    for (const Case& row : rows) {
        expect(row);
    }
}

TEST(KeepAliveTest, PassesOverWhatIsNoNumber) {
    const std::vector<std::string_view> texts = {
        "",
        " ",
        ",",
        "=",
        "300",
        "timeout",
        "timeout=",
        "timeout=-1",
        "timeout=+5",
        "timeout=5s",
        "timeout=0x10",
        "timeout=1e3",
        "timeout=.5",
        "timeout=5.5.5",
        "timeout=5 6",
        "timeout=\"",
        "timeout=\"5",
        "timeout=5\"",
        "timeout=\"\"",
        "timeouts=5",
        "xtimeout=5",
        "timeout==5",
        "max=many",
        "max=3/4",
        "timeout:5",
    };
    for (const std::string_view text : texts) {
        expect({text, none, none});
    }
}

TEST(KeepAliveTest, ABadValueDoesNotHideAGoodOne) {
    expect({"timeout=soon, max=3", none, 3});
    expect({"timeout=soon, timeout=4", 4, none});
}

TEST(KeepAliveTest, OfTwoTheSmallerCounts) {
    expect({"timeout=5, timeout=3, max=2, max=9", 3, 2});
}

TEST(KeepAliveTest, CapsAbsurdNumbers) {
    expect({"timeout=99999999999999999999999999, max=99999999999999999999999", ten_years, most});
    expect({"timeout=315360001, max=4294967296", ten_years, most});
    expect({"timeout=315359999, max=4294967294", ten_years - 1, most - 1});
}

TEST(KeepAliveTest, SurvivesAnyBytes) {
    std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): repeatable on purpose.
    const std::string_view alphabet = "timeoutmax=0123456789,;\" .-\t";
    for (int round = 0; round < 20'000; ++round) {
        std::string text(random() % 24, '\0');
        for (char& c : text) {
            c = random() % 16 == 0 ? static_cast<char>(random())
                                   : alphabet[random() % alphabet.size()];
        }
        const KeepAlive hint = parse_keep_alive(text);
        if (hint.timeout) {
            EXPECT_LE(hint.timeout->count(), ten_years);
            EXPECT_GE(hint.timeout->count(), 0);
        }
    }
}

}  // namespace
}  // namespace llmproc::wire
