/// @file
/// The tokens of one file with their brackets paired.
#pragma once

#include "lexer.hpp"

#include <cstddef>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::lint {

inline constexpr std::size_t npos = static_cast<std::size_t>(-1);

class Source {
public:
    explicit Source(std::vector<Token> tokens)
        : tokens_(std::move(tokens)),
          partner_(tokens_.size(), npos),
          parent_(tokens_.size(), npos) {
        std::vector<std::size_t> open;
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            parent_[i] = open.empty() ? npos : open.back();
            if (is(i, "(") || is(i, "[") || is(i, "{")) {
                open.push_back(i);
            } else if ((is(i, ")") || is(i, "]") || is(i, "}")) && !open.empty()) {
                partner_[i] = open.back();
                partner_[open.back()] = i;
                open.pop_back();
                parent_[i] = open.empty() ? npos : open.back();
            }
        }
    }

    std::size_t size() const { return tokens_.size(); }
    std::size_t line(std::size_t i) const { return tokens_[i].line; }
    std::size_t partner(std::size_t i) const { return i < size() ? partner_[i] : npos; }
    // The bracket that the token stands directly in, or npos.
    std::size_t parent(std::size_t i) const { return i < size() ? parent_[i] : npos; }
    bool is(std::size_t i, std::string_view text) const {
        return i < size() && tokens_[i].kind != Kind::text && tokens_[i].text == text;
    }
    bool is_any(std::size_t i, const std::set<std::string_view>& texts) const {
        return i < size() && tokens_[i].kind != Kind::text && texts.contains(tokens_[i].text);
    }
    bool is_name(std::size_t i) const { return i < size() && tokens_[i].kind == Kind::word; }

    // True for the '[' of a lambda.
    bool opens_lambda(std::size_t i) const {
        if (!is(i, "[") || is(i + 1, "[") || i == 0 || is(i - 1, "[")) {
            return false;
        }
        static const std::set<std::string_view>
            keywords{"return", "co_return", "co_await", "co_yield", "throw", "else", "do", "case"};
        if (is_any(i - 1, keywords)) {
            return true;
        }
        const bool subscript = is_name(i - 1) || is(i - 1, ")") || is(i - 1, "]") ||
                               is(i - 1, "&") || is(i - 1, "&&") || is(i - 1, ">");
        return !subscript && tokens_[i - 1].kind != Kind::text;
    }

    // For the '[' of a lambda: the '{' of its body, or npos.
    std::size_t lambda_body(std::size_t open) const {
        std::size_t i = partner(open);
        while (i != npos && ++i < size()) {
            if (is(i, "{")) {
                return i;
            }
            if (is(i, "(") || is(i, "[")) {
                i = partner(i);
            } else if (is(i, ";") || is(i, ")") || is(i, "}")) {
                break;
            }
        }
        return npos;
    }

    // For an opening '<' behind a name: the '>' that ends the template arguments, or npos.
    std::size_t template_end(std::size_t open) const {
        int depth = 0;
        for (std::size_t i = open; i < size(); ++i) {
            if (is(i, "<")) {
                ++depth;
            } else if (is(i, ">") && --depth == 0) {
                return i;
            } else if (is(i, "(") || is(i, "[") || is(i, "{")) {
                i = partner(i);
            } else if (is_any(i, {";", "&&", "||", ")", "]", "}", "?", "<<"})) {
                return npos;
            }
        }
        return npos;
    }

private:
    std::vector<Token> tokens_;
    std::vector<std::size_t> partner_;
    std::vector<std::size_t> parent_;
};

}  // namespace llmproc::lint
