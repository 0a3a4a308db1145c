/// @file
/// Files, whole.
#pragma once

#include <cstddef>
#include <string>

namespace llmproc {

/// The file's content, at most `limit` bytes. `problem` is empty, or says why it cannot be read:
/// "cannot read PATH: ...".
std::string read_file_bytes(const std::string& path, std::size_t limit, std::string& problem);

}  // namespace llmproc
