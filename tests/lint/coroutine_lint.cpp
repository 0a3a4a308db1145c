/// @file
/// Finds the coroutine forms that g++ 12 miscompiles, and the Asio names that this library bans.
///
///   coroutine_lint <root> <folder>...            reports every finding below the folders
///   coroutine_lint --self-test <snippet folder>  lines that end in "// bad" are found, no others
///
/// It reads tokens, not types, so it is stricter than the compiler's faults: a co_await stands
/// alone.

#include "bans.hpp"
#include "coroutine_check.hpp"
#include "finding.hpp"
#include "lexer.hpp"
#include "source.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::lint {
namespace {

namespace fs = std::filesystem;

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

// Says which of `lines` are not among `others`, and counts them.
int report_missing(
    const std::string& name,
    const std::set<std::size_t>& lines,
    const std::set<std::size_t>& others,
    std::string_view what
) {
    int missing = 0;
    for (const std::size_t line : lines) {
        if (!others.contains(line)) {
            std::cout << name << ':' << line << ": " << what << '\n';
            ++missing;
        }
    }
    return missing;
}

// Fails when a snippet breaks what its name and marks promise.
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
        wrong += report_missing(name, expected, found, "not caught");
        wrong += report_missing(name, found, expected, "caught, though it is allowed");
    }
    std::cout << bad << " bad and " << good << " good snippets, " << wrong << " wrong\n";
    return wrong == 0 && bad > 0 && bad == good ? 0 : 1;
}

}  // namespace
}  // namespace llmproc::lint

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() == 2 && arguments.front() == "--self-test") {
        return llmproc::lint::self_test(arguments.back());
    }
    if (arguments.size() < 2) {
        std::cerr << "usage: coroutine_lint <root> <folder>... | --self-test <snippet folder>\n";
        return 2;
    }
    return llmproc::lint::lint(arguments.front(), {arguments.begin() + 1, arguments.end()});
}
