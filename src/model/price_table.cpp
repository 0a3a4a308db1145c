#include <llmproc/cost.hpp>

#include <algorithm>
#include <utility>

namespace llmproc {

namespace {

bool all_digits(std::string_view text) noexcept {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "-20261105", "@20261105" or "-2026-11-05": another name of the same model.
bool is_snapshot(std::string_view rest) noexcept {
    constexpr std::size_t compact = 9;
    constexpr std::size_t dashed = 11;
    if (rest.empty() || (rest.front() != '-' && rest.front() != '@')) {
        return false;
    }
    if (rest.size() == compact) {
        return all_digits(rest.substr(1));
    }
    return rest.size() == dashed && rest[5] == '-' && rest[8] == '-' &&
           all_digits(rest.substr(1, 4)) && all_digits(rest.substr(6, 2)) &&
           all_digits(rest.substr(9));
}

bool names(std::string_view row, std::string_view model) noexcept {
    if (row.ends_with('*')) {
        return model.starts_with(row.substr(0, row.size() - 1));
    }
    return model.starts_with(row) &&
           (model.size() == row.size() || is_snapshot(model.substr(row.size())));
}

/// The longest name wins; of equal ones, the one that says no more than itself.
std::size_t weight(std::string_view row) noexcept {
    return row.ends_with('*') ? 2 * (row.size() - 1) : 2 * row.size() + 1;
}

double dollars(std::int64_t tokens, double rate) noexcept {
    return static_cast<double>(tokens) * rate / 1e6;
}

}  // namespace

Cost ModelPrice::cost_of(const Usage& usage) const noexcept {
    const bool is_long = long_above > 0 && usage.input_tokens > long_above;
    const TokenRates& now = is_long ? long_rates : rates;
    const std::int64_t plain = std::max<std::int64_t>(
        0,
        usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens
    );
    return Cost{
        dollars(plain, now.input) + dollars(usage.output_tokens, now.output) +
        dollars(usage.cached_input_tokens, now.cached_input.value_or(now.input)) +
        dollars(usage.cache_write_tokens, now.cache_write.value_or(now.input))};
}

const ModelPrice* PriceTable::find(std::string_view provider, std::string_view model)
    const noexcept {
    const Row* best = nullptr;
    for (const Row& row : rows_) {
        const bool better = best == nullptr || weight(row.model) > weight(best->model);
        if (better && row.provider == provider && names(row.model, model)) {
            best = &row;
        }
    }
    return best == nullptr ? nullptr : &best->price;
}

std::optional<Cost> PriceTable::cost_of(
    std::string_view provider,
    std::string_view model,
    const Usage& usage
) const noexcept {
    const ModelPrice* const price = find(provider, model);
    if (price == nullptr || !usage.reported) {
        return std::nullopt;
    }
    return price->cost_of(usage);
}

PriceTable& PriceTable::set(std::string provider, std::string model, const ModelPrice& price) {
    const auto same = std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) {
        return row.provider == provider && row.model == model;
    });
    if (same != rows_.end()) {
        same->price = price;
    } else {
        rows_.push_back(Row{std::move(provider), std::move(model), price});
    }
    return *this;
}

PriceTable& PriceTable::as_of(std::string day) {
    as_of_ = std::move(day);
    return *this;
}

}  // namespace llmproc
