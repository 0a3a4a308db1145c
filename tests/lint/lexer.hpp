/// @file
/// Source text to tokens: comments vanish, literals keep only their place.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::lint {

enum class Kind { word, number, text, mark };

struct Token {
    Kind kind{};
    std::string text;
    std::size_t line = 0;
};

struct Directive {
    std::string text;
    std::size_t line = 0;
};

inline bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

class Lexer {
public:
    explicit Lexer(std::string_view text) : text_(text) {}

    void run() {
        while (at_ < text_.size()) {
            step();
        }
    }

    std::vector<Token> tokens;
    std::vector<Directive> directives;

private:
    char peek(std::size_t ahead = 0) const {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }

    bool starts(std::string_view what) const { return text_.substr(at_, what.size()) == what; }

    void advance(std::size_t count) {
        for (; count > 0 && at_ < text_.size(); --count, ++at_) {
            if (text_[at_] == '\n') {
                ++line_;
                line_is_blank_ = true;
            }
        }
    }

    void step() {
        const char c = peek();
        if (std::isspace(static_cast<unsigned char>(c)) != 0) {
            advance(1);
        } else if (starts("//")) {
            advance(length_until("\n"));
        } else if (starts("/*")) {
            advance(length_until("*/") + 2);
        } else if (c == '#' && line_is_blank_) {
            directive();
        } else {
            line_is_blank_ = false;
            token();
        }
    }

    std::size_t length_until(std::string_view end) const {
        const std::size_t found = text_.find(end, at_);
        return (found == std::string_view::npos ? text_.size() : found) - at_;
    }

    void directive() {
        Directive result{{}, line_};
        while (at_ < text_.size() && peek() != '\n') {
            if (starts("\\\n")) {
                advance(1);
            } else if (starts("//")) {
                advance(length_until("\n"));
                break;
            } else {
                result.text += peek();
            }
            advance(1);
        }
        directives.push_back(std::move(result));
    }

    void token() {
        const char c = peek();
        if (is_raw_string()) {
            raw_string();
        } else if (c == '"' || c == '\'') {
            quoted(c);
        } else if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
            number();
        } else if (is_word(c)) {
            word();
        } else {
            mark();
        }
    }

    bool is_raw_string() const {
        constexpr std::array<std::string_view, 5> openings{"R\"", "LR\"", "uR\"", "UR\"", "u8R\""};
        return std::any_of(openings.begin(), openings.end(), [this](std::string_view opening) {
            return starts(opening);
        });
    }

    void raw_string() {
        const std::size_t first_line = line_;
        advance(length_until("\"") + 1);
        const std::string end = ")" + std::string(text_.substr(at_, length_until("("))) + "\"";
        advance(length_until(end) + end.size());
        tokens.push_back({Kind::text, "\"\"", first_line});
    }

    void quoted(char quote) {
        const std::size_t first_line = line_;
        advance(1);
        while (at_ < text_.size() && peek() != quote && peek() != '\n') {
            advance(peek() == '\\' ? 2 : 1);
        }
        advance(1);
        tokens.push_back({Kind::text, "\"\"", first_line});
    }

    void number() {
        std::string text;
        while (is_word(peek()) || peek() == '.' || (peek() == '\'' && is_word(peek(1)))) {
            text += peek();
            advance(1);
        }
        tokens.push_back({Kind::number, std::move(text), line_});
    }

    void word() {
        std::string text;
        while (is_word(peek())) {
            text += peek();
            advance(1);
        }
        if (peek() == '"' || peek() == '\'') {
            return;  // the prefix of a literal
        }
        tokens.push_back({Kind::word, std::move(text), line_});
    }

    void mark() {
        // '>>' stays two marks: here it closes templates far more often than it shifts.
        constexpr std::array<std::string_view, 19> longer{
            "...",
            "->*",
            "<=>",
            "->",
            "::",
            "&&",
            "||",
            "==",
            "!=",
            "<=",
            "+=",
            "-=",
            "*=",
            "/=",
            "|=",
            "&=",
            "++",
            "--",
            "<<"};
        std::string text(1, peek());
        for (const std::string_view candidate : longer) {
            if (starts(candidate)) {
                text = candidate;
                break;
            }
        }
        const std::size_t size = text.size();
        tokens.push_back({Kind::mark, std::move(text), line_});
        advance(size);
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t line_ = 1;
    bool line_is_blank_ = true;
};

}  // namespace llmproc::lint
