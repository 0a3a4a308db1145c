#include "process/spending.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

Usage used(std::int64_t input, std::int64_t output) {
    Usage usage;
    usage.input_tokens = input;
    usage.output_tokens = output;
    usage.total_tokens = input + output;
    usage.reported = true;
    return usage;
}

class SpendingTest : public ::testing::Test {
protected:
    SpendingTest() {
        auto prices = std::make_shared<PriceTable>();
        prices->set("vendor", "known", ModelPrice(TokenRates(1, 10)));
        settings.prices = std::move(prices);
        plan.provider = "vendor";
        plan.model = "known";
        plan.input_tokens = 100;
        plan.max_tokens = 100;
    }

    Spending& account() {
        if (!spending) {
            spending.emplace(std::make_shared<const SpendingSettings>(settings));
        }
        return *spending;
    }

    void exchange(RunSpending& run, const Usage& usage, std::int64_t tool_calls = 0) {
        Exchange one(run, plan);
        one.succeeded(usage, tool_calls);
    }

    /// The text of the refusal; empty = it was let through.
    std::string refused(RunSpending& run) {
        try {
            const Exchange one(run, plan);
            return "";
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::budget_exhausted);
            return error.message();
        }
    }

    SpendingSettings settings;
    ExchangePlan plan;
    std::optional<Spending> spending;
};

TEST_F(SpendingTest, WithoutLimitsEverythingPassesAndIsSummed) {
    RunSpending first(account());
    RunSpending second(account());
    exchange(first, used(1'000, 100), 2);
    exchange(first, used(2'000, 200));
    exchange(second, used(4'000, 400), 1);
    EXPECT_EQ(first.totals().usage.input_tokens, 3'000);
    EXPECT_EQ(first.totals().exchanges, 2U);
    EXPECT_EQ(first.totals().tool_calls, 2);
    ASSERT_TRUE(first.totals().complete_cost().has_value());
    EXPECT_DOUBLE_EQ(first.totals().complete_cost()->usd, 0.003 + 0.003);
    EXPECT_EQ(account().totals().usage.total_tokens, 7'700);
    EXPECT_EQ(account().totals().exchanges, 3U);
    EXPECT_EQ(account().totals().tool_calls, 3);
    EXPECT_DOUBLE_EQ(account().totals().cost->usd, 0.007 + 0.007);
}

TEST_F(SpendingTest, EachLimitOfARunIsNamedWithItsValueAndWhatWasUsed) {
    struct Row {
        SpendingLimits limits;
        std::string text;
    };
    std::vector<Row> rows(4);
    rows[0].limits.max_requests = 1;
    rows[0].text = "limits.run.max_requests = 1 leaves nothing: 1 used";
    rows[1].limits.max_tokens = 1'100;
    rows[1].text = "limits.run.max_tokens = 1100 leaves nothing: 1100 used";
    rows[2].limits.max_cost_usd = 0.002;
    rows[2].text = "limits.run.max_cost_usd = 0.002 leaves nothing: 0.002 USD used";
    rows[3].limits.max_tool_calls = 2;
    rows[3].text = "limits.run.max_tool_calls = 2 leaves nothing: 3 used";
    for (const Row& row : rows) {
        settings.run = row.limits;
        Spending process(std::make_shared<const SpendingSettings>(settings));
        RunSpending run(process);
        exchange(run, used(1'000, 100), 3);
        const std::string message = refused(run);
        EXPECT_NE(message.find(row.text), std::string::npos) << message;
        EXPECT_NE(message.find("raise it in the program file"), std::string::npos) << message;
        RunSpending next(process);
        EXPECT_EQ(refused(next), "") << "a new run has its own budget";
    }
}

TEST_F(SpendingTest, TheLimitsOfAProcessCountAllItsRuns) {
    settings.process.max_requests = 2;
    RunSpending first(account());
    RunSpending second(account());
    exchange(first, used(1, 1));
    exchange(second, used(1, 1));
    RunSpending third(account());
    const std::string message = refused(third);
    EXPECT_NE(message.find("limits.process.max_requests = 2"), std::string::npos) << message;
    EXPECT_NE(message.find("start a new process"), std::string::npos) << message;
}

TEST_F(SpendingTest, TheLastExchangeMayTakeMoreThanWasLeft) {
    settings.process.max_tokens = 1'000;
    RunSpending run(account());
    exchange(run, used(999, 0));
    exchange(run, used(5'000, 5'000));
    EXPECT_NE(refused(run), "");
    EXPECT_EQ(run.totals().exchanges, 2U);
}

TEST_F(SpendingTest, CallsInProgressHoldWhatTheyMayNeed) {
    settings.process.max_tokens = 1'000;
    std::vector<std::unique_ptr<RunSpending>> runs;
    std::vector<std::unique_ptr<Exchange>> open;
    int refusals = 0;
    for (int i = 0; i < 64; ++i) {
        runs.push_back(std::make_unique<RunSpending>(account()));
        try {
            open.push_back(std::make_unique<Exchange>(*runs.back(), plan));
        } catch (const LLMError& error) {
            EXPECT_NE(error.message().find("reserved by calls in progress"), std::string::npos);
            ++refusals;
        }
    }
    EXPECT_EQ(open.size(), 5U) << "200 tokens each";
    EXPECT_EQ(refusals, 59);
    open.back()->succeeded(used(1, 1));
    open.pop_back();
    EXPECT_EQ(refused(*runs.back()), "") << "what was not needed is free again";
    open.clear();
    EXPECT_EQ(refused(*runs.back()), "") << "calls that failed have used nothing";
}

TEST_F(SpendingTest, AnAnswerWithoutALimitIsTakenForAUsualOne) {
    settings.process.max_tokens = 2'000;
    plan.max_tokens.reset();
    RunSpending run(account());
    const Exchange first(run, plan);
    const Exchange second(run, plan);
    EXPECT_NE(refused(run), "");
}

TEST_F(SpendingTest, CallsInProgressHoldWhatTheyMayCost) {
    // 100 tokens read and 100 written: 0.0001 + 0.001 dollars.
    settings.process.max_cost_usd = 0.002;
    RunSpending run(account());
    std::optional<Exchange> first(std::in_place, run, plan);
    const Exchange second(run, plan);
    const std::string message = refused(run);
    EXPECT_NE(message.find("0 USD used, 0.0022 USD reserved"), std::string::npos) << message;
    first.reset();
    EXPECT_EQ(refused(run), "") << "what was not needed is free again";
}

TEST_F(SpendingTest, AnAnswerWithoutUsageCostsItsEstimateOfTheLimit) {
    settings.run.max_cost_usd = 0.002;
    RunSpending run(account());
    exchange(run, Usage());
    EXPECT_EQ(refused(run), "");
    exchange(run, Usage());
    EXPECT_NE(refused(run).find("0.0022 USD used"), std::string::npos);
    EXPECT_EQ(run.totals().complete_cost(), std::nullopt) << "an estimate is no cost";
}

TEST_F(SpendingTest, AnEnormousLimitOfAnswersDoesNotOverflow) {
    settings.process.max_tokens = 1'000;
    plan.max_tokens = std::numeric_limits<std::int64_t>::max();
    RunSpending run(account());
    const Exchange first(run, plan);
    EXPECT_NE(refused(run), "");
}

TEST_F(SpendingTest, ManyThreadsNeverSendMoreThanTheLimit) {
    settings.process.max_requests = 100;
    Spending& process = account();
    std::atomic<int> sent{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 64; ++i) {
                RunSpending run(process);
                try {
                    Exchange one(run, plan);
                    sent.fetch_add(1);
                    one.succeeded(used(1, 1));
                } catch (const LLMError&) {
                    continue;
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(sent.load(), 100);
    EXPECT_EQ(process.totals().exchanges, 100U);
}

TEST_F(SpendingTest, WhatAFailedAttemptReportedIsSpent) {
    settings.run.max_tokens = 1'000;
    RunSpending run(account());
    {
        Exchange one(run, plan);
        one.failed(used(500, 100));
        one.failed(used(500, 100));
    }
    EXPECT_EQ(run.totals().usage.input_tokens, 1'000);
    EXPECT_EQ(run.totals().exchanges, 0U);
    EXPECT_DOUBLE_EQ(account().totals().cost->usd, 0.003);
    EXPECT_NE(refused(run).find("1200 used"), std::string::npos);
}

TEST_F(SpendingTest, AnAnswerWithoutUsageCountsWithItsEstimateAndHasNoCost) {
    settings.run.max_tokens = 200;
    RunSpending run(account());
    exchange(run, Usage());
    EXPECT_EQ(run.totals().unpriced, 1U);
    EXPECT_EQ(run.totals().complete_cost(), std::nullopt);
    EXPECT_NE(refused(run).find("200 used"), std::string::npos);
}

TEST_F(SpendingTest, AModelWithoutAPriceHasNoCostInsteadOfNone) {
    plan.model = "unknown";
    RunSpending run(account());
    exchange(run, used(10, 10));
    EXPECT_EQ(run.totals().complete_cost(), std::nullopt);
    EXPECT_EQ(account().totals().unpriced, 1U);
    EXPECT_EQ(account().totals().cost, std::nullopt);
    plan.model = "known";
    exchange(run, used(1'000'000, 0));
    EXPECT_EQ(run.totals().complete_cost(), std::nullopt) << "a part of a sum is no sum";
    EXPECT_EQ(account().totals().cost, Cost{1});
}

TEST_F(SpendingTest, ALimitOfCostsRefusesAModelWithoutAPrice) {
    settings.process.max_cost_usd = 1;
    plan.model = "unknown";
    RunSpending run(account());
    try {
        const Exchange one(run, plan);
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_config);
        EXPECT_NE(error.message().find("\"unknown\""), std::string::npos);
        EXPECT_NE(error.message().find("model.prices_file"), std::string::npos);
    }
    EXPECT_EQ(account().totals().exchanges, 0U);
}

}  // namespace
}  // namespace llmproc
