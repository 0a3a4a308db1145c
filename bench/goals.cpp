#include "goals.hpp"

#include <exception>
#include <iomanip>
#include <iostream>
#include <sstream>

namespace llmproc::bench {

namespace {

std::string number(double value) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(value >= 100 ? 0 : value >= 10 ? 1 : 2) << value;
    return text.str();
}

std::string text_of(const Bound& bound) {
    if (bound.kind == Bound::Kind::none) {
        return "";
    }
    return (bound.kind == Bound::Kind::at_least ? ">= " : "<= ") + number(bound.limit);
}

}  // namespace

bool Bound::met_by(double value) const {
    switch (kind) {
        case Kind::none: return true;
        case Kind::at_least: return value >= limit;
        case Kind::at_most: return value <= limit;
    }
    return false;
}

Bound at_least(double limit) {
    return {Bound::Kind::at_least, limit};
}

Bound at_most(double limit) {
    return {Bound::Kind::at_most, limit};
}

std::vector<Goal> or_say_why(
    const std::string& what,
    const std::function<std::vector<Goal>()>& measure
) {
    std::cerr << what << '\n';
    try {
        return measure();
    } catch (const std::exception& error) {
        return {{what, std::nullopt, {}, {}, error.what()}};
    }
}

std::string client_of(const std::filesystem::path& programs) {
    return (programs / "llmproc-bench-client").string();
}

std::string counted_client_of(const std::filesystem::path& programs) {
    return (programs / "llmproc-bench-counted-client").string();
}

std::string verdict(const Goal& goal) {
    if (!goal.value) {
        return "NOT MEASURED";
    }
    if (goal.must.kind == Bound::Kind::none && goal.aim.kind == Bound::Kind::none) {
        return "";
    }
    if (!goal.must.met_by(*goal.value)) {
        return "MISSED";
    }
    if (goal.aim.met_by(*goal.value)) {
        return "met";
    }
    return goal.must.kind == Bound::Kind::none ? "aim missed" : "must met";
}

void print_goals(std::ostream& out, const std::string& title, const std::vector<Goal>& goals) {
    out << '\n'
        << std::left << std::setw(54) << title << std::right << std::setw(9) << "measured"
        << std::setw(9) << "must" << std::setw(9) << "aim"
        << "  verdict\n";
    for (const Goal& goal : goals) {
        out << std::left << std::setw(54) << goal.what << std::right << std::setw(9)
            << (goal.value ? number(*goal.value) : "-") << std::setw(9) << text_of(goal.must)
            << std::setw(9) << text_of(goal.aim) << "  " << verdict(goal);
        if (!goal.note.empty()) {
            out << (verdict(goal).empty() ? "" : ": ") << goal.note;
        }
        out << '\n';
    }
}

}  // namespace llmproc::bench
