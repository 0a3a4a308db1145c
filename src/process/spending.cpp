#include "process/spending.hpp"

#include "process/token_estimate.hpp"

#include <array>
#include <cstdio>
#include <string>
#include <type_traits>
#include <utility>

namespace llmproc {

namespace {

/// What an answer without a limit of its own is taken for while it is in progress.
constexpr std::int64_t usual_answer = 1'024;

std::string dollars(double usd) {
    std::array<char, 64> text{};
    const int length = std::snprintf(text.data(), text.size(), "%.6g", usd);
    return {text.data(), static_cast<std::size_t>(length)};
}

std::string text_of(std::int64_t count) {
    return std::to_string(count);
}
std::string text_of(double usd) {
    return dollars(usd) + " USD";
}

/// Whose limits are checked: texts for its errors.
struct Scope {
    const char* table;
    const char* remedy;
};
constexpr Scope of_run{"limits.run", "raise it in the program file or ask for less in one run"};
constexpr Scope of_process{"limits.process", "raise it in the program file or start a new process"};

template <typename T>
void check_limit(
    const Scope& scope,
    std::string_view key,
    const std::optional<T>& limit,
    T used,
    T in_progress
) {
    if (!limit || used + in_progress < *limit) {
        return;
    }
    std::string text = "the limit ";
    text.append(scope.table).append(".").append(key).append(" = ");
    text += std::is_same_v<T, double> ? dollars(static_cast<double>(*limit)) : text_of(*limit);
    text += " leaves nothing: " + text_of(used) + " used";
    if (in_progress > T()) {
        text += ", " + text_of(in_progress) + " reserved by calls in progress";
    }
    throw LLMError(
        Errc::budget_exhausted,
        text + "; nothing more was sent, the conversation is as it was; " + scope.remedy
    );
}

void check_limits(
    const Scope& scope,
    const SpendingLimits& limits,
    const Spent& used,
    const Spent& in_progress,
    std::int64_t tool_calls
) {
    check_limit(scope, "max_requests", limits.max_requests, used.requests, in_progress.requests);
    check_limit(scope, "max_tokens", limits.max_tokens, used.tokens, in_progress.tokens);
    check_limit(scope, "max_cost_usd", limits.max_cost_usd, used.usd, in_progress.usd);
    check_limit(scope, "max_tool_calls", limits.max_tool_calls, tool_calls, std::int64_t{0});
}

Spent reserved_for(const ExchangePlan& plan, const ModelPrice* price) {
    Usage expected;
    expected.input_tokens = plan.input_tokens;
    expected.output_tokens = summable_tokens(plan.max_tokens.value_or(usual_answer));
    Spent reserved;
    reserved.requests = 1;
    reserved.tokens = expected.input_tokens + expected.output_tokens;
    reserved.usd = price != nullptr ? price->cost_of(expected).usd : 0;
    return reserved;
}

void count(SpendingTotals& totals, const Usage& usage, const std::optional<Cost>& cost) noexcept {
    totals.usage += usage;
    if (cost) {
        totals.cost = Cost{totals.cost.value_or(Cost()).usd + cost->usd};
    } else {
        ++totals.unpriced;
    }
}

}  // namespace

Spent& Spent::operator+=(const Spent& other) noexcept {
    requests += other.requests;
    tokens += other.tokens;
    usd += other.usd;
    return *this;
}

Spent& Spent::operator-=(const Spent& other) noexcept {
    requests -= other.requests;
    tokens -= other.tokens;
    usd -= other.usd;
    return *this;
}

std::optional<Cost> SpendingTotals::complete_cost() const noexcept {
    return unpriced == 0 ? cost : std::nullopt;
}

Spending::Spending(std::shared_ptr<const SpendingSettings> settings)
    : settings_(std::move(settings)) {}

SpendingTotals Spending::totals() const {
    const std::lock_guard lock(mutex_);
    return totals_;
}

Exchange::Exchange(RunSpending& run, const ExchangePlan& plan)
    : run_(run),
      process_(*run.process_),
      price_(
          process_.settings().prices ? process_.settings().prices->find(plan.provider, plan.model)
                                     : nullptr
      ),
      reserved_(reserved_for(plan, price_)) {
    const SpendingSettings& settings = process_.settings();
    if (price_ == nullptr && (settings.run.max_cost_usd || settings.process.max_cost_usd)) {
        throw LLMError(
            Errc::invalid_config,
            "max_cost_usd of [limits] cannot be kept: the price of the model \"" +
                std::string(plan.model) + "\" of the provider \"" + std::string(plan.provider) +
                "\" is not known; add it to the file of model.prices_file, or remove the limit"
        );
    }
    const std::lock_guard lock(process_.mutex_);
    check_limits(of_run, settings.run, run_.used_, Spent(), run_.totals_.tool_calls);
    check_limits(
        of_process,
        settings.process,
        process_.used_,
        process_.in_progress_,
        process_.totals_.tool_calls
    );
    // The exchange counts from now on; its tokens and costs, when they are known.
    Spent request;
    request.requests = 1;
    reserved_ -= request;
    run_.used_ += request;
    process_.used_ += request;
    process_.in_progress_ += reserved_;
    ++process_.exchanges_in_progress_;
}

Exchange::~Exchange() {
    if (inherited(process_.generation_)) {
        return;  // A thread of the parent may have held the lock at the fork.
    }
    const std::lock_guard lock(process_.mutex_);
    process_.in_progress_ -= reserved_;
    if (--process_.exchanges_in_progress_ == 0) {
        process_.in_progress_ = Spent();  // Sums of floating point numbers leave crumbs.
    }
}

std::optional<Cost> Exchange::cost_of(const Usage& usage) const noexcept {
    if (price_ == nullptr || !usage.reported) {
        return std::nullopt;
    }
    return price_->cost_of(usage);
}

void Exchange::failed(const Usage& usage) noexcept {
    const std::optional<Cost> cost = cost_of(usage);
    Spent spent;
    spent.tokens = usage.input_tokens + usage.output_tokens;
    spent.usd = cost.value_or(Cost()).usd;
    run_.used_ += spent;
    count(run_.totals_, usage, cost);
    const std::lock_guard lock(process_.mutex_);
    process_.used_ += spent;
    count(process_.totals_, usage, cost);
}

void Exchange::succeeded(const Usage& usage, std::int64_t tool_calls) noexcept {
    const std::optional<Cost> cost = cost_of(usage);
    Spent spent;
    spent.tokens = usage.reported ? usage.input_tokens + usage.output_tokens : reserved_.tokens;
    spent.usd = cost ? cost->usd : reserved_.usd;
    const auto add = [&](SpendingTotals& totals) {
        count(totals, usage, cost);
        ++totals.exchanges;
        totals.tool_calls += tool_calls;
    };
    run_.used_ += spent;
    add(run_.totals_);
    const std::lock_guard lock(process_.mutex_);
    process_.used_ += spent;
    add(process_.totals_);
}

}  // namespace llmproc
