/// @file
/// The coroutine forms that g++ 12 miscompiles.
#pragma once

#include "finding.hpp"
#include "source.hpp"

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::lint {

class CoroutineCheck {
public:
    explicit CoroutineCheck(const Source& source) : source_(source) {}

    std::vector<Finding> run() {
        for (std::size_t i = 0; i < source_.size(); ++i) {
            if (source_.is(i, "co_await") && !source_.is(i - 1, "operator")) {
                check_await(i);
            } else if (source_.is(i, "co_return") && source_.is(i + 1, "{")) {
                report(i, "co_return of a braced list; name the type: co_return Pair{a, b};");
            } else if (source_.is(i, "template")) {
                check_template(i);
            }
        }
        return std::move(findings_);
    }

private:
    enum class Place { statement, loop_condition, wrong };

    void report(std::size_t token, std::string message) {
        findings_.push_back({source_.line(token), std::move(message)});
    }

    void check_await(std::size_t await) {
        const Place place = place_of(await);
        if (place == Place::wrong) {
            report(
                await,
                "co_await inside an expression; write `co_await x;`, `auto v = co_await x;`, "
                "`co_return co_await x;` or `while (auto v = co_await x)`"
            );
            return;
        }
        check_operand(await, place);
    }

    Place place_of(std::size_t await) const {
        std::size_t start = await;
        if (await > 0 && source_.is(await - 1, "co_return")) {
            start = await - 1;
        } else if (await > 0 && source_.is(await - 1, "=")) {
            start = start_of_target(await - 1);
            if (start == npos) {
                return Place::wrong;
            }
            if (source_.is(start - 1, "(") && source_.is(start - 2, "while")) {
                return Place::loop_condition;
            }
        }
        return starts_statement(start) ? Place::statement : Place::wrong;
    }

    // First token of what is left of '='; npos when that holds more than a name to assign.
    std::size_t start_of_target(std::size_t assign) const {
        std::size_t i = assign;
        while (i > 0 && !source_.is_any(i - 1, {";", "{", "}", "("})) {
            if (source_
                    .is_any(i - 1, {"?", "co_await", "=", "&&=", "co_return", "return", "throw"})) {
                return npos;
            }
            if (ends_label(i - 1)) {
                break;
            }
            const std::size_t open = source_.partner(i - 1);
            i = (open != npos && open < i - 1) ? open : i - 1;
            if (is_header_end(i, open)) {
                return open_statement_after_header(assign, i);
            }
        }
        return i == assign ? npos : i;
    }

    // A ')' that was just skipped belonged to `if (...)`: the target starts behind it.
    bool is_header_end(std::size_t i, std::size_t open) const {
        return open == i && source_.is(i, "(") && is_control(i);
    }

    std::size_t open_statement_after_header(std::size_t assign, std::size_t header) const {
        const std::size_t first = source_.partner(header) + 1;
        return first < assign ? first : npos;
    }

    // True for the '(' of if, while, for or switch.
    bool is_control(std::size_t open) const {
        return open > 0 && (source_.is_any(open - 1, {"if", "while", "for", "switch"}) ||
                            (source_.is(open - 1, "constexpr") && source_.is(open - 2, "if")));
    }

    // True for the ':' of `case x:`, `default:` or a label.
    bool ends_label(std::size_t colon) const {
        if (!source_.is(colon, ":")) {
            return false;
        }
        for (std::size_t i = colon; i > 0; --i) {
            if (source_.is_any(i - 1, {"case", "default"})) {
                return true;
            }
            if (source_.is_any(i - 1, {";", "{", "}", "?", "(", ")", "="})) {
                return false;
            }
        }
        return false;
    }

    bool starts_statement(std::size_t i) const {
        if (i == 0 || source_.is_any(i - 1, {";", "else", "do"}) || ends_label(i - 1)) {
            return !in_parentheses(i);
        }
        if (source_.is(i - 1, ")")) {
            const std::size_t open = source_.partner(i - 1);
            return open != npos && is_control(open) && !in_parentheses(i);
        }
        if (source_.is(i - 1, "]") && source_.is(source_.partner(i - 1) + 1, "[")) {
            return starts_statement(source_.partner(i - 1));  // [[attributes]]
        }
        // A brace of an initialiser is found by its end: no ';' follows there.
        return source_.is_any(i - 1, {"{", "}"}) && !in_parentheses(i);
    }

    bool in_parentheses(std::size_t i) const {
        const std::size_t parent = source_.parent(i);
        return parent != npos && !source_.is(parent, "{");
    }

    void check_operand(std::size_t await, Place place) {
        std::size_t i = await + 1;
        for (; i < source_.size() && !source_.is(i, ";"); ++i) {
            if (source_.is_any(i, {")", "]", "}"}) && source_.partner(i) < await) {
                break;
            }
            if (source_.opens_lambda(i)) {
                i = check_lambda(i);
            } else if (is_operator(await, i)) {
                report(i, "an operator in a co_await expression; await into a name first");
                return;
            } else if (!check_token(i)) {
                return;
            } else if (source_.is(i, "<") && source_.is_name(i - 1)) {
                const std::size_t end = source_.template_end(i);
                i = end == npos ? i : end;
            }
        }
        const bool ended = place == Place::loop_condition ? source_.is(i, ")") : source_.is(i, ";");
        if (!ended) {
            report(await, "co_await inside a braced list or a condition; await into a name first");
        }
    }

    // Reports what no operand may contain, at any depth.
    bool check_token(std::size_t i) {
        if (source_.is(i, "co_await")) {
            return false;  // reported on its own
        }
        if (source_.is(i, "?")) {
            report(
                i,
                "?: in a co_await expression; choose with if and else, or name the value first"
            );
            return false;
        }
        if (source_.is(i, "{")) {
            report(
                i,
                "a braced value in a co_await expression; name it first, or call a declared "
                "constructor with parentheses"
            );
            return false;
        }
        return true;
    }

    // True for an operator beside the awaited operand, outside its argument lists.
    bool is_operator(std::size_t await, std::size_t i) const {
        if (source_.parent(i) != source_.parent(await)) {
            return false;
        }
        static const std::set<std::string_view> always{
            "&&",
            "||",
            "==",
            "!=",
            "<=",
            "<=>",
            "+",
            "/",
            "%",
            "<<",
            "|",
            "^",
            ",",
            "=",
            "+=",
            "-="};
        if (source_.is_any(i, always)) {
            return true;
        }
        if (i == await + 1) {
            return false;  // unary
        }
        return source_.is_any(i, {"-", "*", "&"}) ||
               (source_.is_any(i, {"<"}) && source_.template_end(i) == npos);
    }

    // Reports captures; goes on behind the body, whose statements are checked as their own.
    std::size_t check_lambda(std::size_t open) {
        if (source_.partner(open) != open + 1) {
            report(open, "a capturing lambda in a co_await expression; name it and std::move it");
        }
        const std::size_t body = source_.lambda_body(open);
        return body == npos ? source_.partner(open) : source_.partner(body);
    }

    // A template coroutine: g++ 12 stops at a braced temporary whose type has braced defaults.
    void check_template(std::size_t keyword) {
        if (!source_.is(keyword + 1, "<")) {
            return;
        }
        const std::size_t end = source_.template_end(keyword + 1);
        const std::size_t body = end == npos ? npos : function_body(end + 1);
        if (body == npos || !is_coroutine(body)) {
            return;
        }
        for (std::size_t i = body + 1; i < source_.partner(body); ++i) {
            if (is_braced_temporary(i)) {
                report(
                    i,
                    "a braced temporary in a template coroutine; declare a named object, or build "
                    "it in a plain function"
                );
            }
        }
    }

    std::size_t function_body(std::size_t i) const {
        bool parameters = false;
        for (; i < source_.size() && !source_.is(i, ";"); ++i) {
            if (source_.is_any(i, {"class", "struct", "union", "concept", "using"}) &&
                !parameters) {
                return npos;
            }
            if (source_.is(i, "{")) {
                return parameters ? i : npos;
            }
            if (source_.is(i, "(") || source_.is(i, "[")) {
                parameters = parameters || source_.is(i, "(");
                i = source_.partner(i);
            }
            if (i == npos) {
                return npos;
            }
        }
        return npos;
    }

    bool is_coroutine(std::size_t body) const {
        for (std::size_t i = body; i < source_.partner(body) && i < source_.size(); ++i) {
            if (source_.is_any(i, {"co_await", "co_return", "co_yield"})) {
                return true;
            }
        }
        return false;
    }

    bool is_braced_temporary(std::size_t brace) const {
        if (!source_.is(brace, "{") || brace < 2) {
            return false;
        }
        static const std::set<std::string_view> before_value{
            "(",
            ",",
            "=",
            "return",
            "co_return",
            "co_await",
            "co_yield",
            "throw",
            "?",
            ":"};
        std::size_t name = brace;
        if (source_.is(name - 1, ">")) {
            for (--name; name > 0 && source_.template_end(name) != brace - 1; --name) {}
        }
        if (source_.is_any(brace - 1, {"(", ",", "="})) {
            return !source_.is(brace - 1, "=");
        }
        if (!source_.is_name(name - 1) || source_.is_any(name - 1, {"else", "do", "try"})) {
            return false;
        }
        std::size_t first = name - 1;
        while (first >= 2 && source_.is(first - 1, "::") && source_.is_name(first - 2)) {
            first -= 2;
        }
        return first > 0 && source_.is_any(first - 1, before_value);
    }

    const Source& source_;
    std::vector<Finding> findings_;
};

}  // namespace llmproc::lint
