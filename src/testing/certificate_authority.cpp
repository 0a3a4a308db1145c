#include <llmproc/testing/certificate_authority.hpp>
#include "core/fork_hold.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

namespace llmproc::testing {

namespace {

template <auto Free>
struct Freer {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};

using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using X509Cert = std::unique_ptr<X509, Freer<X509_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;

[[noreturn]] void fail(const char* what) {
    std::array<char, 256> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    ERR_clear_error();
    throw std::runtime_error(
        std::string("llmproc::testing::CertificateAuthority: ") + what + " failed: " + reason.data()
    );
}

void check(bool ok, const char* what) {
    if (!ok) {
        fail(what);
    }
}

std::string text_of(const Bio& bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

Bio memory_bio() {
    Bio bio(BIO_new(BIO_s_mem()));
    check(bio != nullptr, "BIO_new");
    return bio;
}

std::string pem_of(const X509Cert& certificate) {
    const Bio bio = memory_bio();
    check(PEM_write_bio_X509(bio.get(), certificate.get()) == 1, "writing a certificate");
    return text_of(bio);
}

std::string pem_of(const Key& key) {
    const Bio bio = memory_bio();
    check(
        PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
        "writing a private key"
    );
    return text_of(bio);
}

Key new_key() {
    Key key(EVP_EC_gen("P-256"));
    check(key != nullptr, "making a P-256 key");
    return key;
}

std::string random_hex() {
    std::array<unsigned char, 12> bytes{};
    check(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "RAND_bytes");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text += digits[byte >> 4U];
        text += digits[byte & 15U];
    }
    return text;
}

void set_serial(X509* certificate) {
    std::array<unsigned char, 16> bytes{};
    check(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "RAND_bytes");
    bytes.front() &= 0x7F;  // a serial number is positive
    BIGNUM* number = BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr);
    const bool ok = number != nullptr &&
                    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
    BN_free(number);
    check(ok, "making a serial number");
}

void set_common_name(X509* certificate, const std::string& text) {
    const std::string name = text.substr(0, 64);  // the limit of X.520
    X509_NAME* subject = X509_get_subject_name(certificate);
    check(
        X509_NAME_add_entry_by_txt(
            subject,
            "CN",
            MBSTRING_UTF8,
            reinterpret_cast<const unsigned char*>(name.data()),
            static_cast<int>(name.size()),
            -1,
            0
        ) == 1,
        "setting the subject"
    );
}

void set_validity(
    X509* certificate,
    std::chrono::seconds not_before,
    std::chrono::seconds not_after
) {
    check(
        X509_gmtime_adj(X509_getm_notBefore(certificate), static_cast<long>(not_before.count())) !=
                nullptr &&
            X509_gmtime_adj(
                X509_getm_notAfter(certificate),
                static_cast<long>(not_after.count())
            ) != nullptr,
        "setting the validity"
    );
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
    check(extension != nullptr, ("making the extension '" + value + "'").c_str());
    check(X509_add_ext(certificate, extension.get(), -1) == 1, "adding an extension");
}

X509Cert new_certificate(const Key& key) {
    X509Cert certificate(X509_new());
    check(certificate != nullptr, "X509_new");
    check(X509_set_version(certificate.get(), X509_VERSION_3) == 1, "X509_set_version");
    set_serial(certificate.get());
    check(X509_set_pubkey(certificate.get(), key.get()) == 1, "X509_set_pubkey");
    return certificate;
}

void sign(X509* certificate, const Key& key) {
    check(X509_sign(certificate, key.get(), EVP_sha256()) > 0, "signing a certificate");
}

X509Cert make_root(const Key& key) {
    X509Cert root = new_certificate(key);
    set_common_name(root.get(), "llmproc test authority " + random_hex());
    check(
        X509_set_issuer_name(root.get(), X509_get_subject_name(root.get())) == 1,
        "setting the issuer"
    );
    set_validity(root.get(), std::chrono::hours(-48), std::chrono::hours(48));
    add_extension(root.get(), root.get(), NID_basic_constraints, "critical,CA:TRUE");
    add_extension(root.get(), root.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(root.get(), root.get(), NID_subject_key_identifier, "hash");
    sign(root.get(), key);
    return root;
}

std::string alternative_names(const CertificateOptions& options) {
    std::string names;
    for (const std::string& name : options.dns_names()) {
        names += (names.empty() ? "DNS:" : ",DNS:") + name;
    }
    for (const std::string& address : options.ip_addresses()) {
        names += (names.empty() ? "IP:" : ",IP:") + address;
    }
    return names;
}

/// Exclusive creation, so that nobody else's file or link of that name is written to.
std::string write_private_file(const std::string& content) {
    namespace fs = std::filesystem;
    const fs::path path = fs::temp_directory_path() / ("llmproc-test-ca-" + random_hex() + ".pem");
    std::string name = path.string();
    std::FILE* file = std::fopen(name.c_str(), "wx");
    if (file == nullptr) {
        throw std::runtime_error(
            "llmproc::testing::CertificateAuthority: cannot create " + name +
            "; make the temporary directory (TMPDIR) writable"
        );
    }
    const bool written = std::fwrite(content.data(), 1, content.size(), file) == content.size();
    if (std::fclose(file) != 0 || !written) {
        std::error_code ignored;
        fs::remove(path, ignored);
        throw std::runtime_error(
            "llmproc::testing::CertificateAuthority: cannot write " + name + "; is the disk full?"
        );
    }
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    return name;
}

}  // namespace

CertificateOptions::CertificateOptions() = default;

void CertificateOptions::drop_default_names() {
    if (default_names_) {
        dns_names_.clear();
        ip_addresses_.clear();
        default_names_ = false;
    }
}

CertificateOptions& CertificateOptions::dns_name(std::string name) {
    drop_default_names();
    dns_names_.push_back(std::move(name));
    return *this;
}

CertificateOptions& CertificateOptions::ip_address(std::string address) {
    drop_default_names();
    ip_addresses_.push_back(std::move(address));
    return *this;
}

CertificateOptions& CertificateOptions::not_before(std::chrono::seconds offset) {
    not_before_ = offset;
    return *this;
}

CertificateOptions& CertificateOptions::not_after(std::chrono::seconds offset) {
    not_after_ = offset;
    return *this;
}

CertificateOptions& CertificateOptions::expired() {
    not_before_ = std::chrono::hours(-24);
    not_after_ = std::chrono::hours(-1);
    return *this;
}

CertificateOptions& CertificateOptions::self_signed(bool value) {
    self_signed_ = value;
    return *this;
}

struct CertificateAuthority::Impl {
    Key key;
    X509Cert root;
    std::string pem;
    std::string file;
};

CertificateAuthority::CertificateAuthority() : impl_(std::make_unique<Impl>()) {
    const ForkHold uses_openssl;
    impl_->key = new_key();
    impl_->root = make_root(impl_->key);
    impl_->pem = pem_of(impl_->root);
    impl_->file = write_private_file(impl_->pem);
}

CertificateAuthority::~CertificateAuthority() {
    std::error_code ignored;
    std::filesystem::remove(impl_->file, ignored);
}

const std::string& CertificateAuthority::ca_pem() const {
    return impl_->pem;
}

const std::string& CertificateAuthority::ca_file() const {
    return impl_->file;
}

Certificate CertificateAuthority::issue(const CertificateOptions& options) const {
    const ForkHold uses_openssl;
    const Key key = new_key();
    const X509Cert leaf = new_certificate(key);
    X509* issuer = options.self_signed() ? leaf.get() : impl_->root.get();
    const std::string names = alternative_names(options);
    set_common_name(
        leaf.get(),
        options.dns_names().empty() ? "llmproc test" : options.dns_names().front()
    );
    check(
        X509_set_issuer_name(leaf.get(), X509_get_subject_name(issuer)) == 1,
        "setting the issuer"
    );
    set_validity(leaf.get(), options.not_before(), options.not_after());
    add_extension(leaf.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(leaf.get(), issuer, NID_key_usage, "critical,digitalSignature");
    add_extension(leaf.get(), issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(leaf.get(), issuer, NID_subject_key_identifier, "hash");
    add_extension(leaf.get(), issuer, NID_authority_key_identifier, "keyid:always");
    if (!names.empty()) {
        add_extension(leaf.get(), issuer, NID_subject_alt_name, names);
    }
    sign(leaf.get(), options.self_signed() ? key : impl_->key);
    return {pem_of(leaf), pem_of(key)};
}

}  // namespace llmproc::testing
