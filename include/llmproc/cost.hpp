/// @file
/// What tokens cost: a table of prices that users can read, replace and ask.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/usage.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc {

/// US dollars for a million tokens.
struct LLMPROC_API TokenRates {
    TokenRates() = default;
    TokenRates(double input_rate, double output_rate) : input(input_rate), output(output_rate) {}

    double input = 0;   ///< Input that is neither read from nor written to a cache.
    double output = 0;  ///< Reasoning included.
    std::optional<double> cached_input;  ///< Input read from the cache; none = as `input`.
    std::optional<double> cache_write;   ///< Input written to the cache; none = as `input`.
    friend bool operator==(const TokenRates&, const TokenRates&) = default;
};

/// What a model costs.
struct LLMPROC_API ModelPrice {
    ModelPrice() = default;
    explicit ModelPrice(TokenRates flat) : rates(flat) {}

    /// Of one exchange; a sum over several would be taken for one long request.
    Cost cost_of(const Usage& usage) const noexcept;

    TokenRates rates;
    /// Requests with more input than this cost `long_rates` for all their tokens; 0 = none do.
    std::int64_t long_above = 0;
    TokenRates long_rates;
    friend bool operator==(const ModelPrice&, const ModelPrice&) = default;
};

/// Prices by provider and model. A value; const members may be used by several threads.
class LLMPROC_API PriceTable {
public:
    /// Knows no price.
    PriceTable() = default;
    /// The table that this version comes with (share/llmproc/prices.toml).
    static const PriceTable& builtin();
    /// Reads a file as docs/costs.md describes it.
    /// Throws ConfigError with file, line, column and key.
    static PriceTable from_toml(const std::filesystem::path& path);
    /// Reads a table from memory; `name` stands for the file in errors.
    static PriceTable from_toml_string(std::string_view text, std::string name = "prices");

    /// The price of `model` at `provider` (a profile's name, e.g. "openai"), or nullptr if there is
    /// none. Valid until the next `set`.
    /// A name that stands in the table counts for its dated snapshots too ("-2026-11-05",
    /// "-20261105", "@20261105"); one that ends in '*' for all that begin so. The longest wins.
    const ModelPrice* find(std::string_view provider, std::string_view model) const noexcept;
    /// The cost of one exchange; none = the price or the usage is not known, which is not 0.
    std::optional<Cost> cost_of(
        std::string_view provider,
        std::string_view model,
        const Usage& usage
    ) const noexcept;

    /// Adds a price, or replaces the one of the same name. Both must not be empty.
    PriceTable& set(std::string provider, std::string model, const ModelPrice& price);
    /// The day on which the prices were read at their sources, e.g. "2026-11-21"; empty = unknown.
    const std::string& as_of() const noexcept { return as_of_; }
    PriceTable& as_of(std::string day);
    std::size_t size() const noexcept { return rows_.size(); }

private:
    struct Row {
        std::string provider;
        std::string model;
        ModelPrice price;
    };
    std::vector<Row> rows_;
    std::string as_of_;
};

}  // namespace llmproc
