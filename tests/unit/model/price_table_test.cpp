#include <llmproc/cost.hpp>

#include <gtest/gtest.h>

namespace llmproc {
namespace {

Usage used(std::int64_t input, std::int64_t output) {
    Usage usage;
    usage.input_tokens = input;
    usage.output_tokens = output;
    usage.reported = true;
    return usage;
}

/// The input rate of the price that counts, or -1.
double rate(const PriceTable& table, std::string_view provider, std::string_view model) {
    const ModelPrice* const price = table.find(provider, model);
    return price == nullptr ? -1 : price->rates.input;
}

TEST(ModelPriceTest, EachKindOfTokenHasItsRate) {
    TokenRates rates(2, 10);
    rates.cached_input = 0.2;
    rates.cache_write = 2.5;
    Usage usage = used(1'000'000, 200'000);
    usage.cached_input_tokens = 600'000;
    usage.cache_write_tokens = 100'000;
    usage.reasoning_tokens = 150'000;  // Part of the output: it costs nothing of its own.
    EXPECT_DOUBLE_EQ(ModelPrice(rates).cost_of(usage).usd, 0.6 + 0.12 + 0.25 + 2.0);
}

TEST(ModelPriceTest, CachedInputWithoutARateCostsWhatInputCosts) {
    Usage usage = used(1'000'000, 0);
    usage.cached_input_tokens = 400'000;
    usage.cache_write_tokens = 100'000;
    EXPECT_DOUBLE_EQ(ModelPrice(TokenRates(3, 15)).cost_of(usage).usd, 3.0);
}

TEST(ModelPriceTest, ALongRequestCostsTheLongRatesForAllItsTokens) {
    ModelPrice price(TokenRates(1, 5));
    price.long_above = 200'000;
    price.long_rates = TokenRates(2, 7.5);
    EXPECT_DOUBLE_EQ(price.cost_of(used(200'000, 100'000)).usd, 0.2 + 0.5);
    EXPECT_DOUBLE_EQ(price.cost_of(used(200'001, 100'000)).usd, 0.400002 + 0.75);
}

TEST(ModelPriceTest, CountsThatContradictEachOtherNeverGiveMoneyBack) {
    Usage usage = used(10, 0);
    usage.cached_input_tokens = 1'000'000;
    EXPECT_DOUBLE_EQ(ModelPrice(TokenRates(1, 1)).cost_of(usage).usd, 1.0);
}

TEST(PriceTableTest, ANameCountsForItselfAndItsSnapshotsOnly) {
    PriceTable table;
    table.set("openai", "gpt-5", ModelPrice(TokenRates(1, 1)));
    EXPECT_EQ(rate(table, "openai", "gpt-5"), 1);
    EXPECT_EQ(rate(table, "openai", "gpt-5-2026-11-05"), 1);
    EXPECT_EQ(rate(table, "openai", "gpt-5-20261105"), 1);
    EXPECT_EQ(rate(table, "openai", "gpt-5@20261105"), 1);
    for (const char* const other :
         {"gpt-5-mini",
          "gpt-5.5",
          "gpt-50",
          "gpt-",
          "gpt-5-2026-11-0x",
          "gpt-5-2026111",
          "gpt-5_20261105",
          "GPT-5",
          ""}) {
        EXPECT_EQ(table.find("openai", other), nullptr) << other;
    }
    EXPECT_EQ(table.find("azure", "gpt-5"), nullptr);
    EXPECT_EQ(table.find("", "gpt-5"), nullptr);
}

TEST(PriceTableTest, TheLongestBeginningWins) {
    PriceTable table;
    table.set("x", "*", ModelPrice(TokenRates(1, 1)));
    table.set("x", "a-mini*", ModelPrice(TokenRates(3, 1)));
    table.set("x", "a*", ModelPrice(TokenRates(2, 1)));
    table.set("x", "a", ModelPrice(TokenRates(4, 1)));
    EXPECT_EQ(rate(table, "x", "b"), 1);
    EXPECT_EQ(rate(table, "x", "ab"), 2);
    EXPECT_EQ(rate(table, "x", "a-mini-2"), 3);
    EXPECT_EQ(rate(table, "x", "a"), 4);  // The name itself, not what begins with it.
}

TEST(PriceTableTest, AnUnknownPriceIsNotZero) {
    PriceTable table;
    EXPECT_EQ(table.cost_of("ollama", "llama3.2", used(1, 1)), std::nullopt);
    table.set("ollama", "*", ModelPrice(TokenRates(0, 0)));
    EXPECT_EQ(table.cost_of("ollama", "llama3.2", used(1, 1)), Cost{0});
    EXPECT_EQ(table.cost_of("ollama", "llama3.2", Usage()), std::nullopt) << "nothing reported";
}

TEST(PriceTableTest, SettingAgainReplaces) {
    PriceTable table;
    table.set("x", "m", ModelPrice(TokenRates(1, 1))).set("x", "m", ModelPrice(TokenRates(2, 1)));
    EXPECT_EQ(table.size(), 1U);
    EXPECT_EQ(rate(table, "x", "m"), 2);
    EXPECT_EQ(table.as_of(), "");
    EXPECT_EQ(table.as_of("2026-11-21").as_of(), "2026-11-21");
}

}  // namespace
}  // namespace llmproc
