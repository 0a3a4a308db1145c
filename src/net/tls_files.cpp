#include "net/tls_files.hpp"

#include <llmproc/error.hpp>

#include <boost/system/error_code.hpp>
#include <openssl/x509.h>

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

constexpr const char* name_ca_dir =
    "; name a folder of PEM certificates that `openssl rehash` has prepared";

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

}  // namespace llmproc::net
