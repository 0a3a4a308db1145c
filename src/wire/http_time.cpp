#include "wire/http_time.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <system_error>

namespace llmproc::wire {
namespace {

using std::chrono::system_clock;

constexpr std::array<std::string_view, 12>
    months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7>
    long_days{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"};

/// Reads a fixed layout from left to right; the first mismatch makes it fail for good.
class Reader {
public:
    explicit Reader(std::string_view text) noexcept : rest_(text) {}

    void literal(std::string_view expected) noexcept {
        good_ = good_ && rest_.starts_with(expected);
        if (good_) {
            rest_.remove_prefix(expected.size());
        }
    }

    int digits(std::size_t count) noexcept {
        int value = 0;
        good_ = good_ && rest_.size() >= count;
        for (std::size_t i = 0; good_ && i < count; ++i) {
            const char c = rest_[i];
            good_ = c >= '0' && c <= '9';
            value = value * 10 + (c - '0');
        }
        if (good_) {
            rest_.remove_prefix(count);
        }
        return good_ ? value : 0;
    }

    // asctime pads the day of the month with a space.
    int padded_day() noexcept {
        if (good_ && rest_.starts_with(' ')) {
            rest_.remove_prefix(1);
            return digits(1);
        }
        return digits(2);
    }

    unsigned month() noexcept {
        const auto* const found = std::find(months.begin(), months.end(), rest_.substr(0, 3));
        good_ = good_ && found != months.end();
        if (good_) {
            rest_.remove_prefix(3);
        }
        return good_ ? static_cast<unsigned>(found - months.begin()) + 1 : 0;
    }

    // The day's name says nothing that the date does not, so it is only skipped.
    void day_name(bool whole) noexcept {
        for (const auto day : long_days) {
            const auto name = whole ? day : day.substr(0, 3);
            if (rest_.starts_with(name)) {
                rest_.remove_prefix(name.size());
                return;
            }
        }
        good_ = false;
    }

    bool done() const noexcept { return good_ && rest_.empty(); }

private:
    std::string_view rest_;
    bool good_ = true;
};

struct Fields {
    int year = 0;
    unsigned month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
};

void read_time(Reader& reader, Fields& fields) noexcept {
    fields.hour = reader.digits(2);
    reader.literal(":");
    fields.minute = reader.digits(2);
    reader.literal(":");
    fields.second = reader.digits(2);
}

std::optional<system_clock::time_point> to_time(const Fields& fields) {
    const std::chrono::year_month_day date{
        std::chrono::year(fields.year),
        std::chrono::month(fields.month),
        std::chrono::day(static_cast<unsigned>(fields.day))};
    // 60 is a leap second.
    if (!date.ok() || fields.hour > 23 || fields.minute > 59 || fields.second > 60) {
        return std::nullopt;
    }
    const auto seconds = std::chrono::sys_days(date).time_since_epoch() +
                         std::chrono::hours(fields.hour) + std::chrono::minutes(fields.minute) +
                         std::chrono::seconds(fields.second);
    const std::chrono::sys_seconds time(seconds);
    // The clock may count nanoseconds, which end in the year 2262.
    if (time >= std::chrono::floor<std::chrono::seconds>(system_clock::time_point::max()) ||
        time <= std::chrono::ceil<std::chrono::seconds>(system_clock::time_point::min())) {
        return std::nullopt;
    }
    return time;
}

// Sun, 06 Nov 1994 08:49:37 GMT
std::optional<Fields> read_imf_fixdate(std::string_view text) {
    Reader reader(text);
    Fields fields;
    reader.day_name(false);
    reader.literal(", ");
    fields.day = reader.digits(2);
    reader.literal(" ");
    fields.month = reader.month();
    reader.literal(" ");
    fields.year = reader.digits(4);
    reader.literal(" ");
    read_time(reader, fields);
    reader.literal(" GMT");
    return reader.done() ? std::optional(fields) : std::nullopt;
}

// Sunday, 06-Nov-94 08:49:37 GMT
std::optional<Fields> read_rfc850(std::string_view text) {
    Reader reader(text);
    Fields fields;
    reader.day_name(true);
    reader.literal(", ");
    fields.day = reader.digits(2);
    reader.literal("-");
    fields.month = reader.month();
    reader.literal("-");
    fields.year = reader.digits(2);
    reader.literal(" ");
    read_time(reader, fields);
    reader.literal(" GMT");
    return reader.done() ? std::optional(fields) : std::nullopt;
}

// Sun Nov  6 08:49:37 1994
std::optional<Fields> read_asctime(std::string_view text) {
    Reader reader(text);
    Fields fields;
    reader.day_name(false);
    reader.literal(" ");
    fields.month = reader.month();
    reader.literal(" ");
    fields.day = reader.padded_day();
    reader.literal(" ");
    read_time(reader, fields);
    reader.literal(" ");
    fields.year = reader.digits(4);
    return reader.done() ? std::optional(fields) : std::nullopt;
}

// RFC 9110: more than 50 years ahead means the most recent past year with those digits.
int full_year(int two_digits, system_clock::time_point now) {
    const std::chrono::year_month_day today(std::chrono::floor<std::chrono::days>(now));
    const int this_year = static_cast<int>(today.year());
    const int year = this_year - this_year % 100 + two_digits;
    return year > this_year + 50 ? year - 100 : year;
}

/// Microseconds of one unit at the front of the text, which is then removed; 0 if there is none.
double take_unit(std::string_view& text) noexcept {
    struct Unit {
        std::string_view name;
        double microseconds;
    };
    // "ms" before "m": the longer name has to win.
    constexpr std::array<Unit, 8> units{
        Unit{"ms", 1e3},
        Unit{"us", 1.0},
        Unit{"\xC2\xB5s", 1.0},
        Unit{"\xCE\xBCs", 1.0},
        Unit{"ns", 1e-3},
        Unit{"h", 3600e6},
        Unit{"m", 60e6},
        Unit{"s", 1e6}};
    for (const auto& unit : units) {
        if (text.starts_with(unit.name)) {
            text.remove_prefix(unit.name.size());
            return unit.microseconds;
        }
    }
    return 0.0;
}

}  // namespace

std::optional<system_clock::time_point> parse_http_date(
    std::string_view text,
    system_clock::time_point now
) {
    if (const auto fields = read_imf_fixdate(text)) {
        return to_time(*fields);
    }
    if (auto fields = read_rfc850(text)) {
        fields->year = full_year(fields->year, now);
        return to_time(*fields);
    }
    if (const auto fields = read_asctime(text)) {
        return to_time(*fields);
    }
    return std::nullopt;
}

std::optional<std::chrono::microseconds> parse_go_duration(std::string_view text) {
    constexpr double ten_years = 10.0 * 366.0 * 86400e6;
    if (text == "0") {
        return std::chrono::microseconds(0);
    }
    if (text.empty()) {
        return std::nullopt;
    }
    double total = 0.0;
    while (!text.empty()) {
        const char first = text.front();
        if (first != '.' && (first < '0' || first > '9')) {
            return std::nullopt;  // a sign, or a word that from_chars would take: inf, nan
        }
        double number = 0.0;
        const auto parsed = std::from_chars(
            text.data(),
            text.data() + text.size(),
            number,
            std::chars_format::fixed
        );
        if (parsed.ec != std::errc()) {
            return std::nullopt;
        }
        text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
        const double unit = take_unit(text);
        total += number * unit;
        if (unit == 0.0 || total > ten_years) {
            return std::nullopt;
        }
    }
    return std::chrono::microseconds(std::llround(total));
}

}  // namespace llmproc::wire
