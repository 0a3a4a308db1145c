#pragma once

#include <llmproc/export.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {

/// What a certificate issued by CertificateAuthority says; the default is valid for localhost.
class LLMPROC_API CertificateOptions {
public:
    CertificateOptions();

    /// Adds a DNS name; the first name given replaces the default localhost, 127.0.0.1 and ::1.
    CertificateOptions& dns_name(std::string name);
    /// Adds an IP address, in text form; replaces the defaults like dns_name().
    CertificateOptions& ip_address(std::string address);
    /// Start of validity, relative to now.
    CertificateOptions& not_before(std::chrono::seconds offset);
    /// End of validity, relative to now.
    CertificateOptions& not_after(std::chrono::seconds offset);
    /// Shorthand: the validity ended an hour ago.
    CertificateOptions& expired();
    /// Signed by its own key instead of by the authority.
    CertificateOptions& self_signed(bool value = true);

    const std::vector<std::string>& dns_names() const { return dns_names_; }
    const std::vector<std::string>& ip_addresses() const { return ip_addresses_; }
    std::chrono::seconds not_before() const { return not_before_; }
    std::chrono::seconds not_after() const { return not_after_; }
    bool self_signed() const { return self_signed_; }

private:
    void drop_default_names();

    std::vector<std::string> dns_names_{"localhost"};
    std::vector<std::string> ip_addresses_{"127.0.0.1", "::1"};
    std::chrono::seconds not_before_ = std::chrono::hours(-1);
    std::chrono::seconds not_after_ = std::chrono::hours(24);
    bool default_names_ = true;
    bool self_signed_ = false;
};

/// A certificate with its private key, both as PEM text.
class Certificate {
public:
    Certificate() = default;
    Certificate(std::string chain, std::string key)
        : chain_pem(std::move(chain)),
          key_pem(std::move(key)) {}

    std::string chain_pem;  ///< leaf first
    std::string key_pem;
};

/// A throw-away certificate authority (EC P-256), made when constructed.
/// Lifetime: the file behind ca_file() is removed with the object.
/// Thread safety: const members may be called from any thread.
/// Throws std::runtime_error with OpenSSL's reason.
class LLMPROC_API CertificateAuthority {
public:
    CertificateAuthority();
    ~CertificateAuthority();
    CertificateAuthority(const CertificateAuthority&) = delete;
    CertificateAuthority& operator=(const CertificateAuthority&) = delete;

    /// The authority's own certificate.
    const std::string& ca_pem() const;
    /// Path of a private temporary file that holds ca_pem(), for `ca_file` settings.
    const std::string& ca_file() const;
    /// Makes a key and a certificate for it, good for servers and for clients.
    Certificate issue(const CertificateOptions& options = CertificateOptions()) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace llmproc::testing
