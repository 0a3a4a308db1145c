#include "program/file_text.hpp"

#include "core/file_bytes.hpp"

namespace llmproc {

std::string read_file_text(const std::filesystem::path& path, std::string& problem) {
    // Nobody writes a prompt of this size; a device or a wrong path is more likely.
    constexpr std::size_t max_text_bytes = 16UL * 1024 * 1024;
    return read_file_bytes(path.string(), max_text_bytes, problem);
}

std::filesystem::path resolve_path(
    const std::filesystem::path& base,
    const std::filesystem::path& path
) {
    return (base / path).lexically_normal();
}

}  // namespace llmproc
