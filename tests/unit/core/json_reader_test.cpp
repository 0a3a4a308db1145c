#include "core/json_reader.hpp"

#include <llmproc/error.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

bool accepts(std::string_view text) {
    try {
        validate_json(text);
        return true;
    } catch (const LLMError&) {
        return false;
    }
}

std::string error_of(std::string_view text) {
    try {
        validate_json(text);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_json);
        return error.what();
    }
    return "accepted";
}

std::string decoded(std::string_view text) {
    JsonReader reader(text);
    std::string value = reader.string();
    reader.finish();
    return value;
}

std::int64_t integer_of(std::string_view text) {
    JsonReader reader(text);
    const std::int64_t value = reader.integer();
    reader.finish();
    return value;
}

double number_of(std::string_view text) {
    JsonReader reader(text);
    const double value = reader.number();
    reader.finish();
    return value;
}

TEST(JsonReaderTest, EveryProperPrefixOfAnObjectIsRefused) {
    const std::string text = R"({"a":[1.5e3,"x\u00e9\n",true,false,null,{"b":{}}],"é":-0})";
    ASSERT_TRUE(accepts(text));
    for (std::size_t length = 0; length < text.size(); ++length) {
        EXPECT_FALSE(accepts(text.substr(0, length))) << length;
    }
}

TEST(JsonReaderTest, FindsEachSpecialByteAtEachPlaceInAString) {
    for (std::size_t length = 1; length <= 20; ++length) {
        for (std::size_t at = 0; at < length; ++at) {
            std::string plain(length, 'x');
            std::string text = plain;
            text[at] = '\x02';
            EXPECT_FALSE(accepts('"' + text + '"')) << length << ' ' << at;
            text = plain;
            text.replace(at, 1, "\\n");
            plain[at] = '\n';
            EXPECT_EQ(decoded('"' + text + '"'), plain) << length << ' ' << at;
            text.replace(at, 2, "\xc3\xa9");
            EXPECT_EQ(decoded('"' + text + '"'), text) << length << ' ' << at;
            text.replace(at, 2, "\xc3");
            EXPECT_FALSE(accepts('"' + text + '"')) << length << ' ' << at;
        }
    }
}

TEST(JsonReaderTest, DecodesStrings) {
    EXPECT_EQ(decoded(R"("\"\\\/\b\f\n\r\t")"), "\"\\/\b\f\n\r\t");
    EXPECT_EQ(
        decoded(R"("\u0041\u00e9\u20ac\ud83d\ude00")"),
        "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"
    );
    EXPECT_EQ(decoded(R"("\u0000x")"), std::string("\0x", 2));
    EXPECT_EQ(decoded(R"("\uDBFF\uDFFF")"), "\xf4\x8f\xbf\xbf");
}

TEST(JsonReaderTest, ReadsLoneSurrogatesAsReplacementCharacters) {
    const std::string mark = "\xef\xbf\xbd";
    EXPECT_EQ(decoded(R"("\ud800")"), mark);
    EXPECT_EQ(decoded(R"("\udc00x")"), mark + "x");
    EXPECT_EQ(decoded(R"("\ud800\ud800")"), mark + mark);
    EXPECT_EQ(decoded(R"("\ud83dx\ude00")"), mark + "x" + mark);
    EXPECT_EQ(decoded(R"("\ud800\u0041")"), mark + "A");
    EXPECT_EQ(decoded(R"("\ud800\n")"), mark + "\n");
    EXPECT_EQ(decoded(R"("\ud83d\ud83d\ude00")"), mark + "\xf0\x9f\x98\x80");
}

TEST(JsonReaderTest, ReadsMembersInOrder) {
    const std::string text = R"( {"a":1,"\u0062":[true,null, "x"],"long \"key\"":{},"d":-2.5} )";
    JsonReader reader(text);
    std::vector<std::string> keys;
    std::string_view key;
    reader.begin_object();
    while (reader.next_key(key)) {
        keys.emplace_back(key);
        if (key == "a") {
            EXPECT_EQ(reader.integer(), 1);
        } else if (key == "b") {
            reader.begin_array();
            ASSERT_TRUE(reader.next_element());
            EXPECT_TRUE(reader.boolean());
            ASSERT_TRUE(reader.next_element());
            EXPECT_TRUE(reader.consume_null());
            ASSERT_TRUE(reader.next_element());
            EXPECT_FALSE(reader.consume_null());
            EXPECT_EQ(reader.string(), "x");
            EXPECT_FALSE(reader.next_element());
        } else if (key == "d") {
            EXPECT_EQ(reader.number(), -2.5);
        } else {
            EXPECT_EQ(reader.raw(), "{}");
        }
    }
    reader.finish();
    EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "long \"key\"", "d"}));
    EXPECT_EQ(reader.offset(), text.size());
}

TEST(JsonReaderTest, GivesPlainStringsAsViewsOfTheText) {
    const std::string text = R"(["plain","esc\n"])";
    JsonReader reader(text);
    std::string scratch = "before";
    reader.begin_array();
    ASSERT_TRUE(reader.next_element());
    const std::string_view plain = reader.string_view_or_buffer(scratch);
    EXPECT_EQ(plain.data(), text.data() + 2);
    EXPECT_EQ(scratch, "before");
    ASSERT_TRUE(reader.next_element());
    EXPECT_EQ(reader.string_view_or_buffer(scratch), "esc\n");
    EXPECT_EQ(scratch, "esc\n");
}

TEST(JsonReaderTest, AppendsStringsToWhatIsThere) {
    JsonReader reader(R"(["a","\u0062"])");
    std::string out = ">";
    reader.begin_array();
    while (reader.next_element()) {
        reader.append_string(out);
    }
    EXPECT_EQ(out, ">ab");
}

TEST(JsonReaderTest, KeepsTheExactTextOfAValue) {
    JsonReader reader("[ {\"b\" : 1.0e+2,\n \"a\":12345678901234567890123} , 0.10 ]");
    reader.begin_array();
    ASSERT_TRUE(reader.next_element());
    EXPECT_EQ(reader.raw(), "{\"b\" : 1.0e+2,\n \"a\":12345678901234567890123}");
    ASSERT_TRUE(reader.next_element());
    EXPECT_EQ(reader.raw(), "0.10");
}

TEST(JsonReaderTest, ReadsIntegersInEverySpelling) {
    EXPECT_EQ(integer_of("0"), 0);
    EXPECT_EQ(integer_of("-0"), 0);
    EXPECT_EQ(integer_of("1.0"), 1);
    EXPECT_EQ(integer_of("1e3"), 1000);
    EXPECT_EQ(integer_of("12.5e1"), 125);
    EXPECT_EQ(integer_of("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
    EXPECT_EQ(integer_of("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
    EXPECT_THROW(integer_of("9223372036854775808"), LLMError);
    EXPECT_THROW(integer_of("-9223372036854775809"), LLMError);
    EXPECT_THROW(integer_of("9223372036854775808.0"), LLMError);
    EXPECT_THROW(integer_of("1.5"), LLMError);
    EXPECT_THROW(integer_of("1e999"), LLMError);
    EXPECT_THROW(integer_of("1e-1"), LLMError);
    EXPECT_THROW(integer_of("\"1\""), LLMError);
}

TEST(JsonReaderTest, ReadsNumbersToTheLastBit) {
    EXPECT_EQ(number_of("0.1"), 0.1);
    EXPECT_EQ(number_of("-1.7976931348623157e308"), -std::numeric_limits<double>::max());
    EXPECT_EQ(number_of("5e-324"), std::numeric_limits<double>::denorm_min());
    EXPECT_EQ(number_of("123"), 123.0);
    EXPECT_EQ(number_of("1E+2"), 100.0);
}

TEST(JsonReaderTest, RefusesNumbersBeyondDoubleAndRoundsTinyOnesToZero) {
    EXPECT_THROW(number_of("1e309"), LLMError);
    EXPECT_THROW(number_of("-1e309"), LLMError);
    EXPECT_THROW(number_of("1e99999999999999999999"), LLMError);
    EXPECT_THROW(number_of(std::string(400, '9')), LLMError);
    EXPECT_EQ(number_of("1e-400"), 0.0);
    EXPECT_THROW(number_of("10e9223372036854775807"), LLMError);
    EXPECT_EQ(number_of("0.01e-9223372036854775808"), 0.0);
    EXPECT_EQ(number_of("-1e-400"), 0.0);
    EXPECT_EQ(number_of("1e-99999999999999999999"), 0.0);
    EXPECT_EQ(number_of("0." + std::string(400, '0') + "1"), 0.0);
    EXPECT_EQ(number_of("0e999"), 0.0);
    EXPECT_EQ(number_of("0e99999999999999999999"), 0.0);
}

TEST(JsonReaderTest, BoundsTheDepth) {
    const std::string at_limit = std::string(512, '[') + std::string(512, ']');
    EXPECT_TRUE(accepts(at_limit));
    EXPECT_FALSE(accepts('[' + at_limit + ']'));
    EXPECT_FALSE(accepts(std::string(5'000'000, '[')));
    JsonReader shallow("[{}]", 1);
    EXPECT_THROW(shallow.skip(), LLMError);
    // Depth is what is open now, not what was opened in all.
    std::string wide = "[";
    for (int i = 0; i < 2000; ++i) {
        wide += "[],{},";
    }
    EXPECT_TRUE(accepts(wide + "0]"));
}

TEST(JsonReaderTest, NamesOffsetExpectationAndFinding) {
    EXPECT_EQ(error_of("{\"a\" 1}"), "invalid JSON at offset 5: expected ':', found '1'");
    EXPECT_EQ(error_of("[1 2]"), "invalid JSON at offset 3: expected ',' or ']', found '2'");
    EXPECT_EQ(
        error_of("[1,"),
        "invalid JSON at offset 3: expected a value, found the end of the text"
    );
    EXPECT_EQ(error_of("1 x"), "invalid JSON at offset 2: expected the end of the text, found 'x'");
    EXPECT_EQ(
        error_of("\"\xff\""),
        "invalid JSON at offset 1: expected valid UTF-8, found byte 0xff"
    );
    EXPECT_EQ(
        error_of("\"\\u12x\""),
        "invalid JSON at offset 5: expected four hexadecimal digits after '\\u', found 'x'"
    );
}

TEST(JsonReaderTest, RefusesAValueOfAnotherKind) {
    EXPECT_THROW(JsonReader("1").begin_object(), LLMError);
    EXPECT_THROW(JsonReader("{}").begin_array(), LLMError);
    EXPECT_THROW(JsonReader("1").string(), LLMError);
    EXPECT_THROW(JsonReader("null").number(), LLMError);
    EXPECT_THROW(JsonReader("1").boolean(), LLMError);
    EXPECT_THROW(JsonReader("1").null(), LLMError);
    EXPECT_THROW(JsonReader("").peek(), LLMError);
    EXPECT_THROW(JsonReader("").consume_null(), LLMError);
}

TEST(JsonReaderTest, NeverReadsBehindTheView) {
    const std::string whole = "12345\"tail";
    EXPECT_EQ(number_of(std::string_view(whole).substr(0, 3)), 123.0);
    const std::string text = "\"abcdefgh\"";
    EXPECT_FALSE(accepts(std::string_view(text).substr(0, text.size() - 1)));
}

}  // namespace
}  // namespace llmproc
