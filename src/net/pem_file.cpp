#include "net/pem_file.hpp"

#include <llmproc/error.hpp>
#include "net/tls_errors.hpp"
#include "net/tls_files.hpp"

#include <boost/system/error_code.hpp>
#include <openssl/crypto.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <utility>

namespace llmproc::net {

namespace {

/// The world's authorities together take a quarter of a MiB.
constexpr std::size_t max_size = 16U << 20U;

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};

/// Empty, or why not.
std::string read_into(std::string& content, const std::string& path) {
    const auto reason = [] {
        return boost::system::error_code(errno, boost::system::system_category()).message();
    };
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rbe"));
    if (!file) {
        return reason();
    }
    // Room for any key, which then never moves.
    constexpr std::size_t block = 16'384;
    content.reserve(4 * block);
    std::size_t size = 0;
    do {
        content.resize(content.size() + block);
        size = std::fread(&content[content.size() - block], 1, block, file.get());
        content.resize(content.size() - block + size);
        if (content.size() > max_size) {
            return "it is larger than 16 MiB";
        }
    } while (size == block);
    return std::ferror(file.get()) != 0 ? reason() : std::string();
}

}  // namespace

PemFile::PemFile(const char* setting, const char* what, std::string path, const char* remedy)
    : path_(std::move(path)) {
    const std::string problem = read_into(content_, path_);
    if (!problem.empty()) {
        OPENSSL_cleanse(content_.data(), content_.size());
        fail_tls_file(setting, what, path_, problem + remedy);
    }
}

PemFile::~PemFile() {
    OPENSSL_cleanse(content_.data(), content_.size());
}

std::unique_ptr<BIO, PemFile::Free> PemFile::open() const {
    std::unique_ptr<BIO, Free> bio(
        BIO_new_mem_buf(content_.data(), static_cast<int>(content_.size()))
    );
    if (!bio) {
        throw LLMError(Errc::internal, "OpenSSL: cannot make a BIO: " + take_ssl_error());
    }
    return bio;
}

}  // namespace llmproc::net
