/// @file
/// The files that TLS settings name: what tells them apart and what is wrong with them.
#pragma once

#include "net/net_settings.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace llmproc::net {

/// What tells one file or folder from another, and from its own earlier content.
struct FileStamp {
    std::string path;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    bool operator==(const FileStamp&) const = default;
};

/// A callback's identity; keeps its address taken, not the callback alive.
struct CallbackIdentity {
    std::weak_ptr<const std::function<std::string()>> callback;
    bool operator==(const CallbackIdentity& other) const noexcept {
        return !callback.owner_before(other.callback) && !other.callback.owner_before(callback);
    }
};

/// Equal for settings that lead to the same SSL_CTX.
struct TlsKey {
    FileStamp ca_file;
    FileStamp ca_dir;
    FileStamp client_cert;
    FileStamp client_key;
    std::optional<FileStamp> default_file;   ///< SSL_CERT_FILE, unless `only_ca`.
    std::optional<std::string> default_dir;  ///< SSL_CERT_DIR, unless `only_ca`.
    CallbackIdentity key_passphrase;
    bool only_ca = false;
    TlsMinimum min_version = TlsMinimum::v1_2;
    bool operator==(const TlsKey&) const = default;
};

/// The remedies in errors about files.
inline constexpr const char* name_ca_file = "; name a readable file with PEM certificates";
inline constexpr const char* name_cert = "; name a PEM file with the certificate, leaf first";
inline constexpr const char* name_key = "; name a PEM file with the private key";

/// Throws ConfigError (connection.ca_file, ca_dir, only_ca, client_cert, client_key) for what
/// cannot be used as it is.
TlsKey tls_key(const TlsSettings& settings);

/// A ConfigError of the key "connection.<name>": cannot use `what` "<path>": <problem>.
[[noreturn]] void fail_tls_file(
    const char* name,
    const char* what,
    const std::string& path,
    const std::string& problem
);

}  // namespace llmproc::net
