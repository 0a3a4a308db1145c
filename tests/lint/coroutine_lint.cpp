// Finds the coroutine forms that g++ 12 miscompiles, and the Asio names that this library bans.
//
//   coroutine_lint <root> <folder>...            reports every finding below the folders
//   coroutine_lint --self-test <snippet folder>  lines that end in "// bad" are found, no others
//
// It reads tokens, not types, so it is stricter than the compiler's faults: a co_await stands alone.

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace fs = std::filesystem;

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

struct Finding {
    std::size_t line = 0;
    std::string message;
};

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Source text to tokens; comments vanish, literals keep only their place.
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

constexpr std::size_t npos = static_cast<std::size_t>(-1);

// The tokens of one file with their brackets paired.
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
        return i < size() && tokens_[i].kind != Kind::text && texts.count(tokens_[i].text) > 0;
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

struct Ban {
    std::string_view word;
    std::string_view remedy;
};

constexpr std::array<Ban, 5> banned_words{{
    {"detached", "a coroutine nobody owns; spawn it through async/spawn.hpp"},
    {"use_future", "a bare future hangs with a dead loop; use the sync bridge"},
    {"async_resolve", "it cannot be abandoned at a deadline; use net/resolver.hpp"},
    {"verify_none", "it turns certificate checks off"},
    {"tlsv12_client", "it excludes TLS 1.3; use tls_client with a minimum version"},
}};

constexpr std::array<Ban, 3> banned_includes{{
    {"awaitable_operators.hpp", "its operators hide which side failed; use async helpers"},
    {"asio/detached.hpp", "a coroutine nobody owns; spawn it through async/spawn.hpp"},
    {"asio/use_future.hpp", "a bare future hangs with a dead loop; use the sync bridge"},
}};

void check_bans(const Lexer& lexer, std::vector<Finding>& findings) {
    for (const Directive& directive : lexer.directives) {
        for (const Ban& ban : banned_includes) {
            if (directive.text.find(ban.word) != std::string::npos) {
                findings.push_back(
                    {directive.line, std::string(ban.word) + ": " + std::string(ban.remedy)}
                );
            }
        }
    }
    for (const Token& token : lexer.tokens) {
        for (const Ban& ban : banned_words) {
            if (token.kind == Kind::word && token.text == ban.word) {
                findings.push_back({token.line, token.text + ": " + std::string(ban.remedy)});
            }
        }
    }
}

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        std::cerr << "cannot read " << path << '\n';
        std::exit(2);
    }
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Finding> check(const std::string& text, bool with_bans) {
    Lexer lexer(text);
    lexer.run();
    std::vector<Finding> findings;
    if (with_bans) {
        check_bans(lexer, findings);
    }
    const Source source(lexer.tokens);
    std::vector<Finding> awaits = CoroutineCheck(source).run();
    std::move(awaits.begin(), awaits.end(), std::back_inserter(findings));
    std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
        return a.line < b.line;
    });
    return findings;
}

std::vector<fs::path> sources_below(const fs::path& folder) {
    std::vector<fs::path> result;
    if (!fs::exists(folder)) {
        return result;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
        const std::string path = entry.path().generic_string();
        const std::string extension = entry.path().extension().string();
        const bool excluded = path.find("/tests/lint/") != std::string::npos ||
                              path.find("/node_modules/") != std::string::npos;
        if (entry.is_regular_file() && !excluded && (extension == ".cpp" || extension == ".hpp")) {
            result.push_back(entry.path());
        }
    }
    std::sort(result.begin(), result.end());
    return result;
}

int lint(const fs::path& root, const std::vector<std::string>& folders) {
    std::size_t files = 0;
    std::size_t count = 0;
    for (const std::string& folder : folders) {
        const bool with_bans = folder == "src" || folder == "include";
        for (const fs::path& path : sources_below(root / folder)) {
            ++files;
            for (const Finding& finding : check(read(path), with_bans)) {
                ++count;
                std::cout << fs::relative(path, root).generic_string() << ':' << finding.line
                          << ": " << finding.message << '\n';
            }
        }
    }
    std::cout << files << " files, " << count << " findings\n";
    if (files == 0) {
        std::cout << "nothing to check below " << root << '\n';
        return 2;
    }
    return count == 0 ? 0 : 1;
}

std::set<std::size_t> marked_lines(const std::string& text) {
    std::set<std::size_t> result;
    std::size_t line = 1;
    for (std::size_t start = 0; start < text.size(); ++line) {
        const std::size_t end = std::min(text.find('\n', start), text.size());
        const std::string_view content = std::string_view(text).substr(start, end - start);
        if (content.size() >= 6 && content.substr(content.size() - 6) == "// bad") {
            result.insert(line);
        }
        start = end + 1;
    }
    return result;
}

// The number of snippets that break what their name and marks promise.
int self_test(const fs::path& folder) {
    int wrong = 0;
    std::size_t bad = 0;
    std::size_t good = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (entry.path().extension() != ".cpp") {
            continue;
        }
        const std::string text = read(entry.path());
        const std::set<std::size_t> expected = marked_lines(text);
        std::set<std::size_t> found;
        for (const Finding& finding : check(text, true)) {
            found.insert(finding.line);
        }
        const bool is_bad = name.rfind("bad_", 0) == 0;
        ++(is_bad ? bad : good);
        if (is_bad == expected.empty()) {
            std::cout << name
                      << ": a bad_ snippet marks its lines with // bad, a good_ one has none\n";
            ++wrong;
        }
        for (const std::size_t line : expected) {
            if (found.count(line) == 0) {
                std::cout << name << ':' << line << ": not caught\n";
                ++wrong;
            }
        }
        for (const std::size_t line : found) {
            if (expected.count(line) == 0) {
                std::cout << name << ':' << line << ": caught, though it is allowed\n";
                ++wrong;
            }
        }
    }
    std::cout << bad << " bad and " << good << " good snippets, " << wrong << " wrong\n";
    return wrong == 0 && bad > 0 && bad == good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() == 2 && arguments.front() == "--self-test") {
        return self_test(arguments.back());
    }
    if (arguments.size() < 2) {
        std::cerr << "usage: coroutine_lint <root> <folder>... | --self-test <snippet folder>\n";
        return 2;
    }
    return lint(arguments.front(), {arguments.begin() + 1, arguments.end()});
}
