/// @file
/// One program that must be refused, and the check of the refusal.
#pragma once

#include <llmproc/error.hpp>
#include "program/program_file.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <ostream>
#include <string>
#include <string_view>

namespace llmproc {

struct BadProgram {
    std::string_view what;
    std::string text;
    std::uint32_t line;
    std::uint32_t column;  // 0 = it is toml++'s, and differs by its version.
    std::string_view key;
    std::string_view fragment;
    Errc code = Errc::invalid_config;
};

inline std::ostream& operator<<(std::ostream& out, const BadProgram& row) {
    return out << row.what;
}

// Three lines that make a whole program; rows add to it from line 4 on.
inline const std::string good = "[model]\nname = \"m\"\nprovider = \"ollama\"\n";

inline std::string with(const std::string& rest) {
    return good + rest;
}

/// Reads the program beside a folder of recorded files and compares the error.
inline void expect_refused(const BadProgram& row) {
    const std::filesystem::path here(LLMPROC_CASSETTE_DIR "/openai_chat");
    try {
        read_program(row.text, "bad.toml", here);
        FAIL() << "accepted: " << row.what;
    } catch (const ConfigError& error) {
        const std::string what = error.what();
        EXPECT_EQ(error.errc(), row.code) << what;
        EXPECT_EQ(error.file(), "bad.toml");
        EXPECT_EQ(error.line(), row.line) << what;
        if (row.column != 0) {
            EXPECT_EQ(error.column(), row.column) << what;
        } else {
            EXPECT_GT(error.column(), 0U) << what;
        }
        EXPECT_EQ(error.key(), row.key) << what;
        EXPECT_NE(what.find(row.fragment), std::string::npos) << what;
        EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    }
}

}  // namespace llmproc
