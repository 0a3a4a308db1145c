// docs/program_file.md says what is accepted: its examples are read, its list of keys is complete.
#include "program/program_file.hpp"
#include "program/program_schema.hpp"
#include "support/local_server.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

namespace llmproc {
namespace {

using std::chrono::milliseconds;

const std::string& document() {
    static const std::string text = testing::read_file(LLMPROC_CASSETTE_DIR
                                                       "/../../docs/program_file.md");
    return text;
}

/// The text of the section with this header, up to the next of its level.
std::string section(const std::string& header) {
    const std::size_t start = document().find("\n## " + header + "\n");
    if (start == std::string::npos) {
        return {};
    }
    return document().substr(start, document().find("\n## ", start + 1) - start);
}

/// The first TOML text in a part of the document.
std::string toml_in(const std::string& text) {
    const std::string open = "```toml\n";
    const std::size_t start = text.find(open);
    if (start == std::string::npos) {
        return {};
    }
    const std::size_t begin = start + open.size();
    return text.substr(begin, text.find("```", begin) - begin);
}

TEST(ProgramDocumentTest, TheShortestFileIsAccepted) {
    EXPECT_EQ(read_program(toml_in(document()), "p.toml", "/base").model, "llama3.2");
}

TEST(ProgramDocumentTest, TheFileWithEverythingIsAccepted) {
    const testing::Folder folder;
    std::filesystem::create_directory(folder.path() / "prompts");
    testing::write_file(folder.path() / "prompts" / "assistant.txt", "Be brief.\n");
    testing::write_file(
        folder.path() / "prices.toml",
        "[[price]]\nprovider = \"openai_chat\"\n"
        "model = [\"gpt-4.1-mini\", \"gpt-4.1-nano\"]\ninput = 1\noutput = 2\n"
    );
    const ProgramSettings program =
        read_program(toml_in(section("A file with everything")), "p.toml", folder.path());
    EXPECT_EQ(program.model, "gpt-4.1-mini");
    EXPECT_EQ(program.system_prompt, "Be brief.\n");
    EXPECT_EQ(program.timeouts.limit(Stage::total), milliseconds(120'000));
    EXPECT_EQ(program.timeouts.limit(Stage::body), milliseconds(60'000));
    EXPECT_EQ(program.connection.max_connections, 200U);
    EXPECT_EQ(program.connection.tls.min_version, net::TlsMinimum::v1_3);
    EXPECT_EQ(program.connection.proxy.url, "http://proxy.intern.example:3128");
    EXPECT_EQ(program.retry.max_attempts, 5);
    EXPECT_EQ(program.rate_limit.requests_per_minute, 500);
    EXPECT_EQ(program.spending.process.max_cost_usd, 100);
    EXPECT_EQ(program.fallbacks.size(), 1U);
}

TEST(ProgramDocumentTest, TheFileWithEverythingHasEveryKeyButThoseItNames) {
    const std::string part = section("A file with everything");
    const std::string words = part.substr(0, part.find("```"));
    for (const KeyRow& row : key_rows()) {
        const auto dot = row.key.find('.');
        if (row.set == nullptr || dot == std::string_view::npos) {
            continue;
        }
        const std::string table(row.key.substr(0, dot));
        const std::string name(row.key.substr(dot + 1));
        const std::string text = toml_in(part);
        const std::size_t begin = std::min(text.find("[" + table + "]\n"), text.size());
        const std::string own = text.substr(begin, text.find("\n\n[", begin) - begin);
        const bool there = own.find("\n" + name + " = ") != std::string::npos ||
                           text.find("[" + std::string(row.key) + "]") != std::string::npos;
        EXPECT_NE(there, words.find("`" + name + "`") != std::string::npos) << row.key;
    }
}

TEST(ProgramDocumentTest, TheFallbacksAreAccepted) {
    const std::size_t start = document().find("\n### `[[model.fallback]]`\n");
    ASSERT_NE(start, std::string::npos);
    const ProgramSettings program =
        read_program(toml_in(document().substr(start)), "p.toml", "/base");
    ASSERT_EQ(program.fallbacks.size(), 2U);
    EXPECT_EQ(program.fallbacks[0].profile->name, "openai");
    EXPECT_EQ(program.fallbacks[1].params.max_tokens, 4096);
}

TEST(ProgramDocumentTest, EveryKeyStandsInItsTable) {
    for (const KeyRow& row : key_rows()) {
        const auto dot = row.key.find('.');
        if (dot == std::string_view::npos) {
            const std::string table = "`[" + std::string(row.key) + "]`";
            EXPECT_NE(document().find(table), std::string::npos) << row.key;
            continue;
        }
        const std::string table(row.key.substr(0, dot));
        const std::string name = "`" + std::string(row.key.substr(dot + 1)) + "`";
        const std::string header = table == "model" ? "`[model]` (required)" : "`[" + table + "]`";
        const std::string text = section(header);
        ASSERT_FALSE(text.empty()) << header;
        // A key that can be set has a row of its own; other names and later keys share one.
        const std::string wanted = row.set != nullptr ? "\n| " + name + " |" : name;
        EXPECT_NE(text.find(wanted), std::string::npos) << row.key;
    }
}

}  // namespace
}  // namespace llmproc
