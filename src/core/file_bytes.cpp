#include "core/file_bytes.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace llmproc {

namespace {

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};

}  // namespace

std::string read_file_bytes(const std::string& path, std::size_t limit, std::string& problem) {
    constexpr std::size_t mebibyte = 1024UL * 1024;
    const std::string failure = "cannot read " + path + ": ";
    const auto fail = [&](int error) {
        problem = failure + std::generic_category().message(error);
        if (path.find('~') != std::string::npos) {
            problem += " ('~' is not expanded)";
        }
        return std::string();
    };
    errno = 0;
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
    if (!file) {
        return fail(errno);
    }
    std::string bytes;
    std::array<char, 16384> buffer{};
    std::size_t count = 0;
    while ((count = std::fread(buffer.data(), 1, buffer.size(), file.get())) > 0) {
        bytes.append(buffer.data(), count);
        if (bytes.size() > limit) {
            problem = failure + "it is larger than " + std::to_string(limit / mebibyte) + " MiB";
            return {};
        }
    }
    if (std::ferror(file.get()) != 0) {
        return fail(errno);
    }
    problem.clear();
    return bytes;
}

}  // namespace llmproc
