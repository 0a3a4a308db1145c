#include "program/file_text.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <memory>
#include <system_error>

namespace llmproc {

namespace {

// Nobody writes a prompt of this size; a device or a wrong path is more likely.
constexpr std::size_t max_file_bytes = 16UL * 1024 * 1024;

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};

}  // namespace

std::string read_file_text(const std::filesystem::path& path, std::string& problem) {
    const std::string failure = "cannot read " + path.string() + ": ";
    const auto fail = [&](int error) {
        problem = failure + std::generic_category().message(error);
        if (path.string().find('~') != std::string::npos) {
            problem += " ('~' is not expanded)";
        }
        return std::string();
    };
    errno = 0;
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
    if (!file) {
        return fail(errno);
    }
    std::string text;
    std::array<char, 16384> buffer{};
    std::size_t count = 0;
    while ((count = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0) {
        text.append(buffer.data(), count);
        if (text.size() > max_file_bytes) {
            problem = failure + "it is larger than 16 MiB";
            return {};
        }
    }
    if (std::ferror(file.get()) != 0) {
        return fail(errno);
    }
    problem.clear();
    return text;
}

std::filesystem::path resolve_path(
    const std::filesystem::path& base,
    const std::filesystem::path& path
) {
    return (base / path).lexically_normal();
}

}  // namespace llmproc
