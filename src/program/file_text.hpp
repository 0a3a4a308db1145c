/// @file
/// Small text files, whole.
#pragma once

#include <filesystem>
#include <string>

namespace llmproc {

/// The file's content. `problem` is empty, or says why it cannot be read: "cannot read PATH: ...".
std::string read_file_text(const std::filesystem::path& path, std::string& problem);

/// `path` below `base`, unless it is absolute; without "." and "..".
std::filesystem::path resolve_path(
    const std::filesystem::path& base,
    const std::filesystem::path& path
);

}  // namespace llmproc
