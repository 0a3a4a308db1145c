/// @file
/// Program files: text to checked settings.
#pragma once

#include "program/program_settings.hpp"

#include <filesystem>
#include <string>
#include <string_view>

namespace llmproc {

/// Reads a program. `name` stands for the file in errors; relative paths in it are relative to
/// `base_dir`. The files it names are read now, but for keys and certificates.
/// Throws ConfigError: invalid_config, insecure_url; with file, line, column and dotted key.
ProgramSettings read_program(
    std::string_view text,
    const std::string& name,
    const std::filesystem::path& base_dir
);

/// Reads the program file at `path`, which errors name as it is given.
/// Throws ConfigError as `read_program`, and if the file cannot be read.
ProgramSettings load_program(const std::filesystem::path& path);

}  // namespace llmproc
