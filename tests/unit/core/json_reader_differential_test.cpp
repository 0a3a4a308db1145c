// The reader against another parser, on hand-made and on mutated texts.
#include <llmproc/error.hpp>
#include "core/json_reader.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <random>
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

/// Whether the other parser refuses the text only for what we take on purpose: a number beyond
/// double, or an escaped lone surrogate.
bool refused_on_purpose(const std::string& text) {
    try {
        const nlohmann::json document = nlohmann::json::parse(text);
    } catch (const nlohmann::json::out_of_range& error) {
        return error.id == 406;
    } catch (const nlohmann::json::parse_error& error) {
        return std::string_view(error.what()).find("surrogate") != std::string_view::npos;
    }
    return false;
}

TEST(JsonReaderDifferentialTest, AgreesWithAnotherParserOnEdgeCases) {
    const std::vector<std::string> cases = {
        "",
        " ",
        "{}",
        "[]",
        " { } ",
        " [ ] ",
        "{",
        "}",
        "[",
        "]",
        "{]",
        "[}",
        "null",
        "nul",
        "nulll",
        "null null",
        "true",
        "tru",
        "TRUE",
        "false",
        "fals",
        "0",
        "-0",
        "00",
        "01",
        "-01",
        "-",
        "--1",
        "+1",
        "1.",
        ".5",
        "0.5",
        "1.50",
        "1..2",
        "-1.25",
        "123456789012345678901234",
        "0x10",
        "1_000",
        "NaN",
        "Infinity",
        "\"\"",
        "\"",
        "\"a",
        "\"a\"b",
        "'a'",
        "\"\\\"",
        "\"\\\"\"",
        "\"\\\\\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "\"\\x\"",
        "\"\\v\"",
        "\"\\0\"",
        "\"\\u0041\"",
        "\"\\u004\"",
        "\"\\u00g0\"",
        "\"\\u00Ff\"",
        "\"\\U0041\"",
        "\"\t\"",
        "\"\n\"",
        "\"\x1f\"",
        "\"\x7f\"",
        "\"\xc3\xa9\"",
        "\"\xc3\"",
        "\"\xc3(\"",
        "\"\xa9\"",
        "\"\xc0\x80\"",
        "\"\xc1\xbf\"",
        "\"\xe0\x80\x80\"",
        "\"\xe0\xa0\x80\"",
        "\"\xed\x9f\xbf\"",
        "\"\xed\xa0\x80\"",
        "\"\xef\xbf\xbf\"",
        "\"\xf0\x8f\xbf\xbf\"",
        "\"\xf0\x90\x80\x80\"",
        "\"\xf4\x8f\xbf\xbf\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\"",
        "\"\xf0\x9f\x98\x80\"",
        "\"\xf0\x9f\x98\"",
        "\"1234567\xe2\x82\xac 12345\"",
        "[1,2,3]",
        "[1,2,3,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "[[]]",
        "[[],[]]",
        "[1]]",
        "{\"a\":1}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":[{}]}}",
        "{\"\":0}",
        "// c\n1",
        "/* c */ 1",
        "[1] // c",
        "\t\n\r 1 \t\n\r",
        "\v1",
        "\f1",
        "\xc2\xa0 1",
        "1\x01"};
    for (const std::string& text : cases) {
        EXPECT_EQ(accepts(text), nlohmann::json::accept(text)) << "text: <" << text << ">";
    }
    EXPECT_GT(cases.size(), 100U);
}

TEST(JsonReaderDifferentialTest, DiffersFromTheOtherParserOnlyWhereItMeansTo) {
    EXPECT_TRUE(accepts("\"\\ud800\""));
    EXPECT_TRUE(accepts("1e999"));
    EXPECT_FALSE(accepts("\xef\xbb\xbf{}"));
    EXPECT_FALSE(accepts(std::string_view("1\0", 2)));
    EXPECT_FALSE(accepts(std::string_view("\"a\0b\"", 5)));
    EXPECT_FALSE(accepts(std::string_view("\"\\\0\"", 4)));
}

std::string mutated(std::string text, std::mt19937& random) {
    constexpr std::string_view alphabet =
        "{}[]\":,\\ntrufalse0123456789.-+eE \xc3\xa9\x80\xf0/\x01";
    const auto below = [&](std::size_t bound) { return random() % bound; };
    for (std::size_t edits = 1 + below(3); edits > 0 && !text.empty(); --edits) {
        const std::size_t at = below(text.size());
        switch (below(4)) {
            case 0: text[at] = alphabet[below(alphabet.size())]; break;
            case 1: text.erase(at, 1 + below(4)); break;
            case 2: text.insert(at, 1, alphabet[below(alphabet.size())]); break;
            default: text.insert(at, text.substr(below(text.size()), below(6))); break;
        }
    }
    return text;
}

TEST(JsonReaderDifferentialTest, AgreesWithAnotherParserOnMutatedDocuments) {
    const std::vector<std::string> seeds = {
        R"({"id":"c-1","choices":[{"delta":{"content":"h\u00e9 \"x\" \n"},"index":0}],"n":null})",
        R"([1,-2,3.5,0,true,false,null,"",[],{},[[[]]],{"a":{"b":{"c":[]}}}])",
        R"({"usage":{"prompt_tokens":12,"total":3.25,"d":[{"x":"é€😀"},{"y":"\\\/\b\f"}]}})",
        "  {\"k\" : [ \"v\" , 1 ] , \"other key\":\t\"tab\" }  ",
        R"("a plain string that is longer than eight bytes, with \u20ac and 日本語 in it")"};
    std::mt19937 random(20240611);
    int accepted = 0;
    int rejected = 0;
    for (int i = 0; i < 100'000; ++i) {
        const std::string text = mutated(seeds[random() % seeds.size()], random);
        if (text.find('\0') != std::string::npos) {
            continue;
        }
        const bool ours = accepts(text);
        const bool theirs = nlohmann::json::accept(text);
        ASSERT_TRUE(ours == theirs || (ours && refused_on_purpose(text)))
            << "text: <" << text << ">";
        (ours ? accepted : rejected) += 1;
    }
    EXPECT_GT(accepted, 10'000);
    EXPECT_GT(rejected, 10'000);
}

}  // namespace
}  // namespace llmproc
