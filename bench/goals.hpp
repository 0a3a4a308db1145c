/// @file
/// Figures beside what they must and should be.
#pragma once

#include <filesystem>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace llmproc::bench {

/// A bound of a figure: `at_least(0.8)`, `at_most(30)`, or none.
struct Bound {
    enum class Kind { none, at_least, at_most };
    Kind kind = Kind::none;
    double limit = 0;

    bool met_by(double value) const;
};

Bound at_least(double limit);
Bound at_most(double limit);

/// One figure beside its goals.
struct Goal {
    std::string what;
    std::optional<double> value;  ///< None: it could not be measured, see `note`.
    Bound must = {};
    Bound aim = {};
    std::string note = {};
};

/// What `measure` finds. What cannot be measured is a row that says so, not the end of the report.
std::vector<Goal> or_say_why(
    const std::string& what,
    const std::function<std::vector<Goal>()>& measure
);

/// The program of all clients, and the one that counts its mallocs.
std::string client_of(const std::filesystem::path& programs);
std::string counted_client_of(const std::filesystem::path& programs);

/// "met", "must met" (but not the aim), "MISSED", "NOT MEASURED"; "" without bounds.
std::string verdict(const Goal& goal);
void print_goals(std::ostream& out, const std::string& title, const std::vector<Goal>& goals);

}  // namespace llmproc::bench
