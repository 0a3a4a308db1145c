/// @file
/// A folder of certificates and keys for one test.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

namespace llmproc::testing {

struct PemFree {
    void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
using PemBio = std::unique_ptr<BIO, PemFree>;

inline PemBio pem_bio(const std::string& text) {
    return PemBio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// The private key of `pem` as an encrypted PKCS#8 PEM text.
inline std::string encrypted_key(const std::string& pem, const std::string& passphrase) {
    const PemBio in = pem_bio(pem);
    const std::unique_ptr<EVP_PKEY, PemFree> key(
        PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr)
    );
    const PemBio out(BIO_new(BIO_s_mem()));
    const bool written = key && PEM_write_bio_PKCS8PrivateKey(
                                    out.get(),
                                    key.get(),
                                    EVP_aes_128_cbc(),
                                    passphrase.data(),
                                    static_cast<int>(passphrase.size()),
                                    nullptr,
                                    nullptr
                                ) == 1;
    if (!written) {
        throw std::runtime_error("cannot encrypt a key");
    }
    char* data = nullptr;
    const long size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

/// The name under which OpenSSL looks for the authority `pem` in a folder.
inline std::string hashed_name(const std::string& pem) {
    const PemBio in = pem_bio(pem);
    const std::unique_ptr<X509, PemFree> certificate(
        PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)
    );
    if (!certificate) {
        throw std::runtime_error("cannot read a certificate");
    }
    std::array<char, 16> name{};
    std::snprintf(name.data(), name.size(), "%08lx.0", X509_subject_name_hash(certificate.get()));
    return name.data();
}

/// A new folder that is removed with the object.
class PemFolder {
public:
    PemFolder()
        : path_(
              std::filesystem::temp_directory_path() /
              ("llmproc-pem-" + std::to_string(::getpid()) + '-' + std::to_string(next()))
          ) {
        std::filesystem::create_directories(path_);
    }
    PemFolder(const PemFolder&) = delete;
    PemFolder& operator=(const PemFolder&) = delete;
    ~PemFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    std::string path() const { return path_.string(); }
    /// Writes a file; returns its path.
    std::string write(const std::string& name, const std::string& text) const {
        const std::filesystem::path file = path_ / name;
        std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
        return file.string();
    }

private:
    static int next() {
        static std::atomic<int> count{0};
        return ++count;
    }
    std::filesystem::path path_;
};

/// Sets an environment variable while it lives. OpenSSL reads the real environment, so no other
/// thread may read it meanwhile.
class ScopedVariable {
public:
    ScopedVariable(const char* name, const std::string& value) : name_(name) {
        if (const char* const before = std::getenv(name)) {
            before_ = std::make_unique<std::string>(before);
        }
        ::setenv(name, value.c_str(), 1);
    }
    ScopedVariable(const ScopedVariable&) = delete;
    ScopedVariable& operator=(const ScopedVariable&) = delete;
    ~ScopedVariable() {
        if (before_) {
            ::setenv(name_, before_->c_str(), 1);
        } else {
            ::unsetenv(name_);
        }
    }

private:
    const char* name_;
    std::unique_ptr<std::string> before_;
};

}  // namespace llmproc::testing
