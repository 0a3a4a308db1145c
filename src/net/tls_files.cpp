#include "net/tls_files.hpp"

#include <llmproc/error.hpp>
#include "net/tls_errors.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace llmproc::net {

namespace {

constexpr const char* name_ca_file = "; name a readable file with PEM certificates";
constexpr const char* name_ca_dir =
    "; name a folder of PEM certificates that `openssl rehash` has prepared";
constexpr const char* name_cert = "; name a PEM file with the certificate, leaf first";
constexpr const char* name_key = "; name a PEM file with the private key";

struct BioFree {
    void operator()(BIO* bio) const noexcept { BIO_free_all(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioFree>;

[[noreturn]] void fail_setting(const char* name, const std::string& problem) {
    ConfigPlace place;
    place.key = std::string("connection.") + name;
    throw ConfigError(std::move(place), problem);
}

std::string system_text(int error) {
    return boost::system::error_code(error, boost::system::system_category()).message();
}

/// 0 or the error number.
int read_stamp(const std::string& path, FileStamp& stamp, bool& is_folder) {
    stamp.path = path;
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) {
        return errno;
    }
    is_folder = S_ISDIR(info.st_mode);
    stamp.device = info.st_dev;
    stamp.inode = info.st_ino;
    stamp.size = info.st_size;
    stamp.seconds = info.st_mtim.tv_sec;
    stamp.nanoseconds = info.st_mtim.tv_nsec;
    return 0;
}

FileStamp file_stamp(
    const char* name,
    const char* what,
    const std::string& path,
    const char* remedy
) {
    FileStamp stamp;
    if (path.empty()) {
        return stamp;
    }
    bool is_folder = false;
    if (const int error = read_stamp(path, stamp, is_folder); error != 0) {
        fail_tls_file(name, what, path, system_text(error) + remedy);
    }
    if (is_folder) {
        fail_tls_file(name, what, path, std::string("it is a directory") + remedy);
    }
    return stamp;
}

/// "12ab34cd.0", as `openssl rehash` names its links.
bool is_hashed_name(std::string_view name) {
    constexpr std::size_t digits = 8;
    return name.size() > digits + 1 && name[digits] == '.' &&
           name.substr(0, digits).find_first_not_of("0123456789abcdef") == std::string_view::npos &&
           name.substr(digits + 1).find_first_not_of("0123456789") == std::string_view::npos;
}

FileStamp folder_stamp(const std::string& path) {
    FileStamp stamp;
    if (path.empty()) {
        return stamp;
    }
    const auto fail = [&path](const std::string& problem) {
        fail_tls_file("ca_dir", "CA folder", path, problem + name_ca_dir);
    };
    bool is_folder = false;
    if (const int error = read_stamp(path, stamp, is_folder); error != 0) {
        fail(system_text(error));
    }
    if (!is_folder) {
        fail("it is not a directory");
    }
    if (path.find(':') != std::string::npos) {
        fail("OpenSSL takes the ':' in its path for a separator");
    }
    // A folder that is not prepared would be accepted and then trust nobody.
    std::error_code error;
    std::filesystem::directory_iterator entry(path, error);
    bool hashed = false;
    for (; !error && !hashed && entry != std::filesystem::directory_iterator();
         entry.increment(error)) {
        hashed = is_hashed_name(entry->path().filename().string());
    }
    if (error) {
        fail(error.message());
    }
    if (!hashed) {
        fail("it has no hashed certificates");
    }
    return stamp;
}

/// An unusable SSL_CERT_FILE is no error: OpenSSL then trusts what else there is.
std::optional<FileStamp> default_file_stamp() {
    const char* const path = std::getenv(X509_get_default_cert_file_env());
    if (path == nullptr) {
        return std::nullopt;
    }
    FileStamp stamp;
    bool is_folder = false;
    (void)read_stamp(path, stamp, is_folder);
    return stamp;
}

/// Gives OpenSSL the passphrase of a key file. Without a callback of its own OpenSSL would ask on
/// the terminal.
class Passphrase {
public:
    explicit Passphrase(const std::function<std::string()>* ask) : ask_(ask) {}
    Passphrase(const Passphrase&) = delete;
    Passphrase& operator=(const Passphrase&) = delete;
    ~Passphrase() { OPENSSL_cleanse(answer_.data(), answer_.size()); }

    static int give(char* buffer, int size, int /*writing*/, void* self) noexcept {
        return static_cast<Passphrase*>(self)->fill(buffer, size);
    }
    /// The key is encrypted.
    bool wanted() const noexcept { return wanted_; }
    bool can_ask() const noexcept { return ask_ != nullptr && *ask_; }
    void rethrow() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

private:
    int fill(char* buffer, int size) noexcept {
        try {
            // OpenSSL may try several readers on one file, each with a question.
            if (!std::exchange(wanted_, true) && can_ask()) {
                answer_ = (*ask_)();
                answered_ = true;
            }
        } catch (...) {
            failure_ = std::current_exception();
        }
        if (!answered_ || answer_.size() > static_cast<std::size_t>(size)) {
            return -1;
        }
        std::memcpy(buffer, answer_.data(), answer_.size());
        return static_cast<int>(answer_.size());
    }

    const std::function<std::string()>* ask_;
    std::string answer_;
    std::exception_ptr failure_;
    bool wanted_ = false;
    bool answered_ = false;
};

BioPtr open_file(const char* name, const char* what, const std::string& path, const char* remedy) {
    ERR_clear_error();
    BioPtr file(BIO_new_file(path.c_str(), "r"));
    if (!file) {
        fail_tls_file(name, what, path, take_ssl_error() + remedy);
    }
    return file;
}

bool at_end_of_pem() {
    const unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/// The next certificate, or null at the end of the file.
X509* next_certificate(BIO* file, const std::string& path) {
    Passphrase nobody(nullptr);
    X509* const certificate = PEM_read_bio_X509(file, nullptr, &Passphrase::give, &nobody);
    if (certificate == nullptr && !at_end_of_pem()) {
        fail_tls_file("client_cert", "client certificate", path, take_ssl_error() + name_cert);
    }
    ERR_clear_error();
    return certificate;
}

void read_chain(ClientIdentity& identity, const std::string& path) {
    const BioPtr file = open_file("client_cert", "client certificate", path, name_cert);
    identity.leaf.reset(next_certificate(file.get(), path));
    if (!identity.leaf) {
        const std::string problem = "no certificate in it";
        fail_tls_file("client_cert", "client certificate", path, problem + name_cert);
    }
    identity.chain.reset(sk_X509_new_null());
    while (X509* const next = next_certificate(file.get(), path)) {
        if (sk_X509_push(identity.chain.get(), next) == 0) {
            X509_free(next);
            throw LLMError(Errc::internal, "OpenSSL: cannot keep a certificate");
        }
    }
}

void read_key(ClientIdentity& identity, const TlsSettings& settings) {
    const std::string& path = settings.client_key.empty() ? settings.client_cert
                                                          : settings.client_key;
    const auto fail = [&path](const std::string& problem) {
        fail_tls_file("client_key", "client key", path, problem);
    };
    const BioPtr file = open_file("client_key", "client key", path, name_key);
    Passphrase passphrase(settings.key_passphrase.get());
    identity.key.reset(PEM_read_bio_PrivateKey(file.get(), nullptr, &Passphrase::give, &passphrase)
    );
    if (identity.key) {
        ERR_clear_error();
        return;
    }
    const std::string reason = take_ssl_error();
    passphrase.rethrow();
    if (passphrase.wanted() && !passphrase.can_ask()) {
        fail("it is encrypted and there is no passphrase; set "
             "connection.client_key_passphrase_env, or name an unencrypted key");
    }
    if (passphrase.wanted()) {
        fail("the passphrase does not fit or the file is damaged; check the variable that "
             "connection.client_key_passphrase_env names");
    }
    fail("no private key in it that can be read (" + reason + ")" + name_key);
}

}  // namespace

void fail_tls_file(
    const char* name,
    const char* what,
    const std::string& path,
    const std::string& problem
) {
    fail_setting(name, std::string("cannot use ") + what + " \"" + path + "\": " + problem);
}

TlsKey tls_key(const TlsSettings& settings) {
    if (settings.only_ca && settings.ca_file.empty() && settings.ca_dir.empty()) {
        fail_setting(
            "only_ca",
            "nobody would be trusted; set connection.ca_file or connection.ca_dir"
        );
    }
    if (settings.client_cert.empty() && !settings.client_key.empty()) {
        fail_setting(
            "client_key",
            "a key without its certificate is of no use; set connection.client_cert"
        );
    }
    TlsKey key;
    key.ca_file = file_stamp("ca_file", "CA file", settings.ca_file, name_ca_file);
    key.ca_dir = folder_stamp(settings.ca_dir);
    key.client_cert =
        file_stamp("client_cert", "client certificate", settings.client_cert, name_cert);
    key.client_key = file_stamp("client_key", "client key", settings.client_key, name_key);
    if (!settings.only_ca) {
        key.default_file = default_file_stamp();
        if (const char* const folder = std::getenv(X509_get_default_cert_dir_env())) {
            key.default_dir = folder;
        }
    }
    key.key_passphrase.callback = settings.key_passphrase;
    key.only_ca = settings.only_ca;
    key.min_version = settings.min_version;
    return key;
}

ClientIdentity read_identity(const TlsSettings& settings) {
    ClientIdentity identity;
    if (settings.client_cert.empty()) {
        return identity;
    }
    read_chain(identity, settings.client_cert);
    read_key(identity, settings);
    if (X509_check_private_key(identity.leaf.get(), identity.key.get()) != 1) {
        const std::string reason = take_ssl_error();
        fail_tls_file(
            "client_key",
            "client key",
            settings.client_key.empty() ? settings.client_cert : settings.client_key,
            "it does not belong to the first certificate of \"" + settings.client_cert + "\" (" +
                reason + "); name the key of that certificate"
        );
    }
    return identity;
}

}  // namespace llmproc::net
