#include "program/price_file.hpp"

#include <llmproc/error.hpp>
#include "support/local_server.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace llmproc {
namespace {

const std::string good = "as_of = 2026-11-05\n[[price]]\nprovider = \"p\"\nmodel = \"m\"\n"
                         "input = 1\noutput = 2.5\n";

TEST(PriceFileTest, ReadsEveryKey) {
    const PriceTable table = PriceTable::from_toml_string(R"(as_of = 2026-11-05
[[price]]
provider = ["openai", "openai_chat"]
model = ["a", "b*"]
input = 2
output = 10
cached_input = 0.1
cache_write = 2.5
long_context = { above = 1000, input = 4, output = 15, cached_input = 0.2, cache_write = 5 }
source = "https://example.com/prices"
)");
    EXPECT_EQ(table.as_of(), "2026-11-05");
    EXPECT_EQ(table.size(), 4U);
    ModelPrice expected(TokenRates(2, 10));
    expected.rates.cached_input = 0.1;
    expected.rates.cache_write = 2.5;
    expected.long_above = 1000;
    expected.long_rates = TokenRates(4, 15);
    expected.long_rates.cached_input = 0.2;
    expected.long_rates.cache_write = 5;
    ASSERT_NE(table.find("openai", "a"), nullptr);
    EXPECT_EQ(*table.find("openai", "a"), expected);
    EXPECT_EQ(*table.find("openai_chat", "b2"), expected);
}

TEST(PriceFileTest, AnEmptyFileKnowsNoPrice) {
    EXPECT_EQ(PriceTable::from_toml_string("").size(), 0U);
    EXPECT_EQ(PriceTable::from_toml_string("").as_of(), "");
}

struct BadPrices {
    const char* what;
    std::string text;
    std::uint32_t line;
    std::uint32_t column;
    const char* key;
    const char* fragment;
};

std::ostream& operator<<(std::ostream& out, const BadPrices& row) {
    return out << row.what;
}

class BadPricesTest : public ::testing::TestWithParam<BadPrices> {};

TEST_P(BadPricesTest, NamesPlaceKeyAndRemedy) {
    const BadPrices& row = GetParam();
    try {
        static_cast<void>(PriceTable::from_toml_string(row.text, "bad.toml"));
        FAIL() << "accepted";
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.file(), "bad.toml");
        EXPECT_EQ(error.line(), row.line) << error.what();
        EXPECT_EQ(error.column(), row.column) << error.what();
        EXPECT_EQ(error.key(), row.key);
        EXPECT_NE(error.message().find(row.fragment), std::string::npos) << error.message();
    }
}

std::vector<BadPrices> bad_prices() {
    return {
        {"key at the top", "prices = 1\n", 1, 1, "prices", "did you mean price?"},
        {"no array", "[price]\ninput = 1\n", 1, 1, "price", "written as [[price]], got a table"},
        {"no tables", "price = [1]\n", 1, 10, "price", "expected a table"},
        {"day as text", "as_of = \"2026-11-05\"\n", 1, 9, "as_of", "a date, for example"},
        {"day with a time", "as_of = 2026-11-05T10:00:00\n", 1, 9, "as_of", "a date"},
        {"unknown", good + "inptu = 1\n", 7, 1, "price.inptu", "did you mean input?"},
        {"no provider", "[[price]]\nmodel = \"m\"\n", 1, 1, "price.provider", "is missing"},
        {"no model", "[[price]]\nprovider = \"m\"\n", 1, 1, "price.model", "is missing"},
        {"no output",
         "[[price]]\nprovider = \"p\"\nmodel = \"m\"\ninput = 1\n",
         1,
         1,
         "price.output",
         "US dollars for a million tokens"},
        {"negative", good + "cached_input = -1\n", 7, 16, "price.cached_input", "from 0 to"},
        {"text", good + "cache_write = \"1\"\n", 7, 15, "price.cache_write", "expected a number"},
        {"nan", good + "cache_write = nan\n", 7, 15, "price.cache_write", "got nan"},
        {"tier without its begin",
         good + "long_context = { input = 1, output = 1 }\n",
         7,
         16,
         "price.long_context.above",
         "is missing"},
        {"tier with more",
         good + "long_context = { above = 1, input = 1, output = 1, outptu = 2 }\n",
         7,
         52,
         "price.long_context.outptu",
         "did you mean output?"},
        {"star inside",
         "[[price]]\nprovider = \"p\"\nmodel = \"a*b\"\ninput = 1\noutput = 1\n",
         3,
         9,
         "price.model",
         "one * at its end"},
        {"no model in the array",
         "[[price]]\nprovider = \"p\"\nmodel = []\ninput = 1\noutput = 1\n",
         3,
         9,
         "price.model",
         "an empty array"},
        {"no provider in the array",
         "[[price]]\nprovider = []\nmodel = \"m\"\ninput = 1\noutput = 1\n",
         2,
         12,
         "price.provider",
         "an empty array"},
        {"star in a provider",
         "[[price]]\nprovider = \"openai*\"\nmodel = \"m\"\ninput = 1\noutput = 1\n",
         2,
         12,
         "price.provider",
         "only names of models may end in *"},
        {"twice", good + good.substr(19), 9, 9, "price.model", "'m' at 'p' is given twice"},
    };
}

INSTANTIATE_TEST_SUITE_P(All, BadPricesTest, ::testing::ValuesIn(bad_prices()));

TEST(PriceFileTest, AFileThatCannotBeReadIsNamed) {
    try {
        static_cast<void>(PriceTable::from_toml("/no/such/prices.toml"));
        FAIL();
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.file(), "/no/such/prices.toml");
        EXPECT_NE(error.message().find("cannot read"), std::string::npos);
    }
}

TEST(PriceFileTest, TheBuiltInTableIsTheFileOfTheSource) {
    const std::string text = testing::read_file(LLMPROC_CASSETTE_DIR
                                                "/../../src/program/prices.toml");
    EXPECT_EQ(builtin_prices_text(), text);
    const PriceTable& table = PriceTable::builtin();
    EXPECT_EQ(table.size(), PriceTable::from_toml_string(text).size());
    EXPECT_EQ(table.as_of().size(), 10U);
    EXPECT_NE(table.find("anthropic", "claude-opus-5-5"), nullptr);
    EXPECT_NE(table.find("openai_responses", "gpt-6.1-sol-2026-09-29"), nullptr);
    EXPECT_NE(table.find("gemini", "gemini-3.8-flash"), nullptr);
}

TEST(PriceFileTest, TheDocumentedFormatIsAccepted) {
    const std::string text = testing::read_file(LLMPROC_CASSETTE_DIR "/../../docs/costs.md");
    const std::string open = "```toml\n";
    const std::size_t begin = text.find(open) + open.size();
    const PriceTable table = PriceTable::from_toml_string(
        text.substr(begin, text.find("```", begin) - begin)
    );
    ASSERT_NE(table.find("openai", "my-model"), nullptr);
    EXPECT_EQ(table.find("openai", "my-model")->long_above, 200'000);
    EXPECT_EQ(table.find("openai", "my-model-mini"), nullptr);
    EXPECT_NE(table.find("openai_chat", "my-family-2"), nullptr);
}

TEST(PriceFileTest, NoLocalServerHasABuiltInPrice) {
    for (const char* const local :
         {"ollama", "llamacpp", "lmstudio", "vllm", "openai_compatible"}) {
        EXPECT_EQ(PriceTable::builtin().find(local, "gpt-6.1-sol"), nullptr) << local;
    }
}

TEST(PriceFileTest, AModelOfAnotherNameHasNoPrice) {
    EXPECT_EQ(PriceTable::builtin().find("anthropic", "claude-opus-5-6"), nullptr);
    EXPECT_EQ(PriceTable::builtin().find("openai", "gpt-6.1-sol-pro"), nullptr);
}

}  // namespace
}  // namespace llmproc
