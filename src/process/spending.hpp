/// @file
/// What the calls of a process have used, and the limits that stop them.
#pragma once

#include <llmproc/cost.hpp>
#include <llmproc/error.hpp>
#include <llmproc/usage.hpp>
#include "core/fork_guard.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

namespace llmproc {

/// `[limits.run]` or `[limits.process]`; unset = no limit.
struct SpendingLimits {
    std::optional<std::int64_t> max_requests;
    std::optional<std::int64_t> max_tokens;  ///< Input and output together.
    std::optional<double> max_cost_usd;
    std::optional<std::int64_t> max_tool_calls;
};

struct SpendingSettings {
    SpendingLimits run;
    SpendingLimits process;
    std::shared_ptr<const PriceTable> prices;  ///< Null = no price is known.
};

/// What counts against the limits.
struct Spent {
    std::int64_t requests = 0;
    std::int64_t tokens = 0;
    double usd = 0;

    Spent& operator+=(const Spent& other) noexcept;
    Spent& operator-=(const Spent& other) noexcept;
};

/// Sums of what was reported.
struct SpendingTotals {
    Usage usage;
    std::optional<Cost> cost;  ///< Of what has a known price.
    std::uint64_t exchanges = 0;
    std::uint64_t unpriced = 0;
    std::int64_t tool_calls = 0;

    /// The cost if every exchange had a known price.
    std::optional<Cost> complete_cost() const noexcept;
};

/// Who is asked for what, as far as it is known before.
struct ExchangePlan {
    std::string_view provider;
    std::string_view model;
    std::int64_t input_tokens = 0;           ///< An estimate.
    std::optional<std::int64_t> max_tokens;  ///< The answer's limit.
};

/// The account of one process. Thread-safe.
///
/// What is in progress counts with an estimate, so that calls side by side cannot all pass where
/// one more may. A call is let through while anything is left: the last one may take more.
class Spending {
public:
    explicit Spending(std::shared_ptr<const SpendingSettings> settings);

    SpendingTotals totals() const;
    const SpendingSettings& settings() const noexcept { return *settings_; }

private:
    friend class RunSpending;
    friend class Exchange;

    const unsigned generation_ = fork_generation();
    const std::shared_ptr<const SpendingSettings> settings_;
    mutable std::mutex mutex_;
    SpendingTotals totals_;
    Spent used_;
    Spent in_progress_;
    std::int64_t exchanges_in_progress_ = 0;
};

/// The account of one run, part of its process's. Used by that run alone.
/// Lifetime: the process's account must outlive it.
class RunSpending {
public:
    explicit RunSpending(Spending& process) noexcept : process_(&process) {}

    const SpendingTotals& totals() const noexcept { return totals_; }

private:
    friend class Exchange;

    Spending* process_;
    SpendingTotals totals_;
    Spent used_;
};

/// One exchange with a model, retries included: made before it, told what it brought after it.
/// One that dies untold has failed: only what `failed` was told counts.
/// Lifetime: the run's account must outlive it.
class Exchange {
public:
    /// Throws LLMError{budget_exhausted} if a limit leaves nothing, {invalid_config} if a limit of
    /// costs cannot be kept since the model has no price.
    Exchange(RunSpending& run, const ExchangePlan& plan);
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    ~Exchange();

    /// An attempt has failed after its provider had counted `usage`.
    void failed(const Usage& usage) noexcept;
    /// The answer has come. Without reported usage the estimate counts against the limits.
    void succeeded(const Usage& usage, std::int64_t tool_calls = 0) noexcept;

private:
    std::optional<Cost> cost_of(const Usage& usage) const noexcept;

    RunSpending& run_;
    Spending& process_;
    const ModelPrice* price_;  ///< Null = not known.
    Spent reserved_;
};

}  // namespace llmproc
