/// @file
/// Files with PEM texts that TLS settings name.
#pragma once

#include <openssl/bio.h>

#include <memory>
#include <string>

namespace llmproc::net {

/// A file's content for OpenSSL's readers; wiped at the end. Read before OpenSSL is entered: a file
/// may be slow, and a fork() waits for OpenSSL.
class PemFile {
public:
    /// `setting`, `what` and `remedy` are for the error: see `fail_tls_file`.
    /// Throws ConfigError.
    PemFile(const char* setting, const char* what, std::string path, const char* remedy);
    PemFile(const PemFile&) = delete;
    PemFile& operator=(const PemFile&) = delete;
    ~PemFile();

    const std::string& path() const noexcept { return path_; }

    struct Free {
        void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
    };
    /// Reads the content from its begin; valid as long as the file. Throws LLMError{internal}.
    std::unique_ptr<BIO, Free> open() const;

private:
    const std::string path_;
    std::string content_;
};

}  // namespace llmproc::net
