#include "program/key_suggestion.hpp"

#include <llmproc/error.hpp>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

namespace llmproc {

namespace {

constexpr std::size_t longest_word = 64;  // The distance costs the product of the lengths.
constexpr std::size_t shortest_prefix = 3;

bool share_prefix(std::string_view left, std::string_view right) {
    const std::size_t length = std::min(left.size(), right.size());
    return length >= shortest_prefix && left.substr(0, length) == right.substr(0, length);
}

}  // namespace

std::size_t edit_distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> before(right.size() + 1);
    std::vector<std::size_t> above(right.size() + 1);
    std::vector<std::size_t> row(right.size() + 1);
    std::iota(above.begin(), above.end(), std::size_t{0});
    for (std::size_t i = 1; i <= left.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t replaced = above[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
            row[j] = std::min({replaced, above[j] + 1, row[j - 1] + 1});
            const bool swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] &&
                                 left[i - 2] == right[j - 1];
            if (swapped) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, above);
        std::swap(above, row);
    }
    return above[right.size()];
}

std::string_view closest(std::string_view word, const std::vector<std::string_view>& candidates) {
    if (word.empty() || word.size() > longest_word) {
        return {};
    }
    const std::size_t limit = word.size() <= 4 ? 1 : 2;
    std::string_view best;
    std::size_t best_distance = limit + 1;
    for (const std::string_view candidate : candidates) {
        std::size_t distance = edit_distance(word, candidate);
        if (distance > limit && share_prefix(word, candidate)) {
            distance = limit;
        }
        if (distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    }
    return best;
}

void fail_unknown_key(
    const ConfigField& field,
    std::string_view name,
    const std::vector<std::string_view>& known,
    std::string_view document
) {
    std::string problem = "unknown key";
    const std::string_view close = closest(name, known);
    if (!close.empty()) {
        problem.append("; did you mean ").append(close).append("?");
    }
    throw ConfigError(field.key_place(), problem.append("; ").append(document) + " lists all keys");
}

}  // namespace llmproc
