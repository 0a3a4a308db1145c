#include "core/json_writer.hpp"

#include <llmproc/error.hpp>
#include "core/json_reader.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>

namespace llmproc {
namespace {

std::string json_of(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

std::string written(double value) {
    std::string out;
    JsonWriter(out).number(value);
    return out;
}

TEST(JsonWriterTest, SetsCommasItself) {
    std::string out = ">";
    JsonWriter writer(out);
    writer.begin_object();
    writer.key("a");
    writer.begin_array();
    writer.integer(1);
    writer.begin_object();
    writer.end_object();
    writer.begin_array();
    writer.end_array();
    writer.string("x");
    writer.end_array();
    writer.key("b\"");
    writer.boolean(true);
    writer.key("c");
    writer.null();
    writer.key("d");
    writer.begin_object();
    writer.key("e");
    writer.boolean(false);
    writer.end_object();
    writer.key("f");
    writer.raw("{ \"x\" : 1.0 }");
    writer.key("g");
    writer.number(0.5);
    writer.end_object();
    EXPECT_EQ(
        out,
        R"(>{"a":[1,{},[],"x"],"b\"":true,"c":null,"d":{"e":false},"f":{ "x" : 1.0 },"g":0.5})"
    );
}

TEST(JsonWriterTest, WritesIntegersAtTheirLimits) {
    std::string out;
    JsonWriter writer(out);
    writer.begin_array();
    writer.integer(std::numeric_limits<std::int64_t>::min());
    writer.integer(std::numeric_limits<std::int64_t>::max());
    writer.end_array();
    EXPECT_EQ(out, "[-9223372036854775808,9223372036854775807]");
}

TEST(JsonWriterTest, WritesTheShortestNumberThatReadsBack) {
    EXPECT_EQ(written(0.1), "0.1");
    EXPECT_EQ(written(1), "1");
    EXPECT_EQ(written(-0.25), "-0.25");
    std::mt19937_64 random(7);
    for (int i = 0; i < 20'000; ++i) {
        const auto value = std::bit_cast<double>(random());
        if (std::isfinite(value)) {
            const std::string text = written(value);
            ASSERT_TRUE(nlohmann::json::accept(text)) << text;
            ASSERT_EQ(JsonReader(text).number(), value) << text;
        }
    }
}

TEST(JsonWriterTest, RefusesWhatIsNoJsonNumber) {
    for (const double value :
         {std::nan(""),
          std::numeric_limits<double>::infinity(),
          -std::numeric_limits<double>::infinity()}) {
        try {
            written(value);
            ADD_FAILURE() << value;
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::invalid_argument);
        }
    }
}

TEST(JsonWriterTest, EscapesWhatMustBeEscaped) {
    EXPECT_EQ(json_of("a\"b\\c/\b\f\n\r\t"), R"("a\"b\\c/\b\f\n\r\t")");
    EXPECT_EQ(json_of(std::string_view("\0\x01\x1f\x7f", 4)), "\"\\u0000\\u0001\\u001f\x7f\"");
    EXPECT_EQ(json_of(""), "\"\"");
    EXPECT_EQ(json_of("é€😀"), "\"é€😀\"");
}

TEST(JsonWriterTest, ReplacesInvalidUtf8) {
    const std::string mark = "\xef\xbf\xbd";
    EXPECT_EQ(
        json_of("a\xff"
                "b"),
        "\"a" + mark + "b\""
    );
    EXPECT_EQ(json_of("\xc3"), "\"" + mark + "\"");
    EXPECT_EQ(json_of("\xc3\""), "\"" + mark + "\\\"\"");
    EXPECT_EQ(json_of("\xed\xa0\x80"), "\"" + mark + mark + mark + "\"");
    EXPECT_EQ(json_of("é\xe2\x82"), "\"é" + mark + mark + "\"");
}

TEST(JsonWriterTest, StringsReadBackAsTheyWere) {
    const std::string pool[] =
        {"a", "word ", "\"", "\\", "\n", "\x01", "é", "€", "😀", std::string(1, '\0')};
    std::mt19937 random(11);
    for (int i = 0; i < 5'000; ++i) {
        std::string text;
        for (std::size_t parts = random() % 40; parts > 0; --parts) {
            text += pool[random() % std::size(pool)];
        }
        const std::string json = json_of(text);
        ASSERT_EQ(JsonReader(json).string(), text);
        ASSERT_EQ(nlohmann::json::parse(json).get<std::string>(), text);
    }
}

TEST(JsonWriterTest, AnyBytesGiveAValidString) {
    std::mt19937 random(13);
    for (int i = 0; i < 20'000; ++i) {
        std::string bytes;
        for (std::size_t length = random() % 24; length > 0; --length) {
            bytes.push_back(static_cast<char>(random() % 256));
        }
        const std::string json = json_of(bytes);
        ASSERT_NO_THROW(validate_json(json)) << json;
        ASSERT_TRUE(nlohmann::json::accept(json)) << json;
    }
}

}  // namespace
}  // namespace llmproc
