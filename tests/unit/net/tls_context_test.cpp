#include "net/tls_context.hpp"

#include <llmproc/error.hpp>

#include <gtest/gtest.h>
#include <openssl/x509_vfy.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace llmproc::net {
namespace {

NetSettings with_ca(const std::string& path) {
    NetSettings settings;
    settings.ca_file = path;
    return settings;
}

void expect_refused(const std::string& path, const std::string& part) {
    try {
        TlsContext::shared(with_ca(path));
        FAIL() << path << " was accepted";
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.key(), "connection.ca_file");
        EXPECT_NE(error.message().find(path), std::string::npos) << error.what();
        EXPECT_NE(error.message().find(part), std::string::npos) << error.what();
    }
}

TEST(TlsContextTest, EqualSettingsShareOneContext) {
    const auto first = TlsContext::shared(NetSettings());
    const std::uint64_t made = TlsContext::created();
    NetSettings other;
    other.max_connections_per_host = 3;
    EXPECT_EQ(TlsContext::shared(other), first);
    EXPECT_EQ(TlsContext::created(), made);
}

TEST(TlsContextTest, AlwaysVerifiesAndRequiresTls12) {
    const auto context = TlsContext::shared(NetSettings());
    EXPECT_EQ(SSL_CTX_get_verify_mode(context->native()), SSL_VERIFY_PEER);
    EXPECT_EQ(SSL_CTX_get_min_proto_version(context->native()), TLS1_2_VERSION);
}

TEST(TlsContextTest, NamesTheHostToVerify) {
    const auto context = TlsContext::shared(NetSettings());
    const SslPtr named = make_ssl(*context, "api.example.com");
    EXPECT_STREQ(SSL_get_servername(named.get(), TLSEXT_NAMETYPE_host_name), "api.example.com");
    EXPECT_STREQ(X509_VERIFY_PARAM_get0_host(SSL_get0_param(named.get()), 0), "api.example.com");
    const SslPtr numeric = make_ssl(*context, "127.0.0.1");
    EXPECT_EQ(SSL_get_servername(numeric.get(), TLSEXT_NAMETYPE_host_name), nullptr);
    char* const address = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(numeric.get()));
    EXPECT_STREQ(address, "127.0.0.1");
    OPENSSL_free(address);
}

TEST(TlsContextTest, RefusesCaFilesThatCannotBeUsed) {
    const std::filesystem::path folder = std::filesystem::path(::testing::TempDir()) /
                                         "llmproc-tls-context-test";
    std::filesystem::create_directories(folder);
    const std::string text = (folder / "text.pem").string();
    std::ofstream(text) << "no certificate here\n";
    expect_refused((folder / "missing.pem").string(), "No such file");
    expect_refused(folder.string(), "directory");
    expect_refused(text, "PEM");
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace llmproc::net
