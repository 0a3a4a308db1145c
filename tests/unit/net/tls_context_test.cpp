#include "net/tls_context.hpp"

#include <llmproc/error.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/pem_files.hpp"
#include "support/tls_pair.hpp"
#include "testing/tls_engine.hpp"

#include <gtest/gtest.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace llmproc::net {
namespace {

using llmproc::testing::Certificate;
using llmproc::testing::CertificateAuthority;
using llmproc::testing::CertificateOptions;
using llmproc::testing::encrypted_key;
using llmproc::testing::hashed_name;
using llmproc::testing::PemFolder;
using llmproc::testing::ScopedVariable;
using llmproc::testing::ServerOptions;
using llmproc::testing::TlsPair;
using llmproc::testing::TlsVersion;
using ServerTls = llmproc::testing::TlsContext;

TlsSettings with_ca(const std::string& path) {
    TlsSettings settings;
    settings.ca_file = path;
    return settings;
}

std::shared_ptr<const std::function<std::string()>> says(const std::string& passphrase) {
    return std::make_shared<const std::function<std::string()>>([passphrase] { return passphrase; }
    );
}

/// The message of the ConfigError that the settings lead to.
std::string refusal(const TlsSettings& settings, const std::string& key) {
    try {
        TlsContext::shared(settings);
        ADD_FAILURE() << "accepted, without an error for " << key;
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.key(), key) << error.what();
        return error.message();
    }
    return "";
}

void expect_refused(const TlsSettings& settings, const std::string& key, const std::string& part) {
    const std::string message = refusal(settings, key);
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

class TlsContextTest : public ::testing::Test {
protected:
    bool trusts(const TlsSettings& settings, const ServerTls& server) {
        return TlsPair(*TlsContext::shared(settings), server).shake();
    }
    ServerTls server(const ServerOptions& options = ServerOptions()) const {
        return ServerTls(options, authority.issue(options.certificate_options()));
    }
    TlsSettings with_client(const std::string& key_pem) const {
        TlsSettings settings = with_ca(authority.ca_file());
        settings.client_cert = folder.write("client.pem", client.chain_pem);
        settings.client_key = folder.write("client.key", key_pem);
        return settings;
    }

    CertificateAuthority authority;
    Certificate client = authority.issue();
    PemFolder folder;
};

TEST_F(TlsContextTest, EqualSettingsShareOneContext) {
    TlsSettings settings = with_client(client.key_pem);
    const auto first = TlsContext::shared(settings);
    const std::uint64_t made = TlsContext::created();
    EXPECT_EQ(TlsContext::shared(settings), first);
    EXPECT_EQ(TlsContext::shared(TlsSettings(settings)), first);
    EXPECT_EQ(TlsContext::created(), made);
}

TEST_F(TlsContextTest, EveryOtherSettingHasAContextOfItsOwn) {
    const CertificateAuthority second;
    const TlsSettings base = with_client(client.key_pem);
    const auto first = TlsContext::shared(base);
    const auto differs = [&](const std::function<void(TlsSettings&)>& change) {
        TlsSettings other = base;
        change(other);
        const std::uint64_t made = TlsContext::created();
        EXPECT_NE(TlsContext::shared(other), first);
        EXPECT_EQ(TlsContext::created(), made + 1);
    };
    folder.write(hashed_name(second.ca_pem()), second.ca_pem());
    differs([&](TlsSettings& other) { other.ca_file = second.ca_file(); });
    differs([&](TlsSettings& other) { other.ca_dir = folder.path(); });
    differs([](TlsSettings& other) { other.only_ca = true; });
    differs([](TlsSettings& other) { other.client_cert = other.client_key = ""; });
    differs([](TlsSettings& other) { other.key_passphrase = says("a"); });
    differs([](TlsSettings& other) { other.key_passphrase = says("a"); });
    differs([](TlsSettings& other) { other.min_version = TlsMinimum::v1_3; });
    differs([&](TlsSettings& other) {
        other.client_key = folder.write("other.key", client.key_pem);
    });
    {
        const ScopedVariable variable("SSL_CERT_FILE", second.ca_file());
        differs([](TlsSettings&) {});
    }
    const ScopedVariable variable("SSL_CERT_DIR", folder.path());
    differs([](TlsSettings&) {});
}

TEST_F(TlsContextTest, AChangedFileHasANewContext) {
    const CertificateAuthority second;
    const std::string file = folder.write("ca.pem", authority.ca_pem());
    const auto first = TlsContext::shared(with_ca(file));
    EXPECT_TRUE(trusts(with_ca(file), server()));
    folder.write("ca.pem", second.ca_pem() + "\n");
    EXPECT_NE(TlsContext::shared(with_ca(file)), first);
    EXPECT_FALSE(trusts(with_ca(file), server()));
}

TEST_F(TlsContextTest, AlwaysVerifiesChainAndNames) {
    const auto context = TlsContext::shared(TlsSettings());
    EXPECT_EQ(SSL_CTX_get_verify_mode(context->native()), SSL_VERIFY_PEER);
    EXPECT_GE(SSL_CTX_get_min_proto_version(context->native()), TLS1_2_VERSION);
    const SslPtr ssl = make_ssl(*context, "localhost", "");
    const unsigned flags = X509_VERIFY_PARAM_get_hostflags(SSL_get0_param(ssl.get()));
    EXPECT_NE(flags & X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, 0U);
    EXPECT_NE(flags & X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, 0U);
}

TEST_F(TlsContextTest, NamesTheHostToVerify) {
    const auto context = TlsContext::shared(TlsSettings());
    for (const char* const host : {"api.example.com", "api.example.com."}) {
        const SslPtr named = make_ssl(*context, host, "");
        EXPECT_STREQ(SSL_get_servername(named.get(), TLSEXT_NAMETYPE_host_name), "api.example.com");
        EXPECT_STREQ(
            X509_VERIFY_PARAM_get0_host(SSL_get0_param(named.get()), 0),
            "api.example.com"
        );
    }
    const SslPtr numeric = make_ssl(*context, "127.0.0.1", "");
    EXPECT_EQ(SSL_get_servername(numeric.get(), TLSEXT_NAMETYPE_host_name), nullptr);
    char* const address = X509_VERIFY_PARAM_get1_ip_asc(SSL_get0_param(numeric.get()));
    EXPECT_STREQ(address, "127.0.0.1");
    OPENSSL_free(address);
}

TEST_F(TlsContextTest, TrustsTheFileTheFolderAndTheSystemsStore) {
    const ServerTls peer = server();
    EXPECT_FALSE(trusts(TlsSettings(), peer));
    EXPECT_TRUE(trusts(with_ca(authority.ca_file()), peer));
    TlsSettings by_folder;
    by_folder.ca_dir = folder.path();
    folder.write(hashed_name(authority.ca_pem()), authority.ca_pem());
    EXPECT_TRUE(trusts(by_folder, peer));
    by_folder.only_ca = true;
    EXPECT_TRUE(trusts(by_folder, peer));
    {
        const ScopedVariable store("SSL_CERT_FILE", authority.ca_file());
        EXPECT_TRUE(trusts(TlsSettings(), peer));
        EXPECT_TRUE(trusts(with_ca(CertificateAuthority().ca_file()), peer)) << "beside the store";
    }
    const ScopedVariable store("SSL_CERT_DIR", folder.path());
    EXPECT_TRUE(trusts(TlsSettings(), peer));
}

TEST_F(TlsContextTest, OnlyCaRefusesTheSystemsStore) {
    const CertificateAuthority mine;
    TlsSettings settings = with_ca(mine.ca_file());
    settings.only_ca = true;
    const ScopedVariable file("SSL_CERT_FILE", authority.ca_file());
    folder.write(hashed_name(authority.ca_pem()), authority.ca_pem());
    const ScopedVariable store("SSL_CERT_DIR", folder.path());
    EXPECT_FALSE(trusts(settings, server()));
    EXPECT_TRUE(trusts(settings, ServerTls(ServerOptions(), mine.issue())));
    settings.only_ca = false;
    EXPECT_TRUE(trusts(settings, server()));
}

TEST_F(TlsContextTest, AnUnusableStoreIsNoErrorByItself) {
    const ScopedVariable store("SSL_CERT_FILE", folder.path() + "/missing.pem");
    EXPECT_TRUE(trusts(with_ca(authority.ca_file()), server()));
    EXPECT_FALSE(trusts(TlsSettings(), server()));
}

TEST_F(TlsContextTest, ASelfSignedCertificateIsTrustedByItsFile) {
    const Certificate own = authority.issue(CertificateOptions().self_signed());
    const ServerTls peer(ServerOptions(), own);
    EXPECT_FALSE(trusts(with_ca(authority.ca_file()), peer));
    EXPECT_TRUE(trusts(with_ca(folder.write("own.pem", own.chain_pem)), peer));
}

TEST_F(TlsContextTest, TheOldestVersionCanBeRaised) {
    const ServerTls old = server(ServerOptions().max_tls(TlsVersion::tls1_2));
    TlsSettings settings = with_ca(authority.ca_file());
    EXPECT_TRUE(trusts(settings, old));
    settings.min_version = TlsMinimum::v1_3;
    EXPECT_TRUE(trusts(settings, server()));
    TlsPair pair(*TlsContext::shared(settings), old);
    EXPECT_FALSE(pair.shake());
    EXPECT_NE(pair.failure().text.find("connection.min_tls"), std::string::npos);
}

TEST_F(TlsContextTest, ShowsItsCertificateToServersThatAsk) {
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        const ServerTls peer = server(ServerOptions().client_ca(authority.ca_pem()).max_tls(version)
        );
        EXPECT_TRUE(trusts(with_client(client.key_pem), peer));
        TlsSettings one_file = with_ca(authority.ca_file());
        one_file.client_cert = folder.write("both.pem", client.chain_pem + client.key_pem);
        EXPECT_TRUE(trusts(one_file, peer));
        one_file.client_cert = folder.write("turned.pem", client.key_pem + client.chain_pem);
        EXPECT_TRUE(trusts(one_file, peer));
        TlsPair bare(*TlsContext::shared(with_ca(authority.ca_file())), peer);
        EXPECT_FALSE(bare.shake());
        EXPECT_TRUE(bare.failure().refused);
        EXPECT_NE(bare.failure().text.find("set connection.client_cert"), std::string::npos)
            << bare.failure().text;
    }
}

TEST_F(TlsContextTest, ExplainsThatItsCertificateIsRefused) {
    const CertificateAuthority unknown;
    TlsSettings settings = with_client(client.key_pem);
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        TlsPair pair(
            *TlsContext::shared(settings),
            server(ServerOptions().client_ca(unknown.ca_pem()).max_tls(version))
        );
        EXPECT_FALSE(pair.shake());
        EXPECT_TRUE(pair.failure().refused);
        EXPECT_NE(pair.failure().text.find("connection.client_cert"), std::string::npos)
            << pair.failure().text;
    }
}

TEST_F(TlsContextTest, AsksOnceForThePassphraseOfAnEncryptedKey) {
    const ServerTls peer = server(ServerOptions().client_ca(authority.ca_pem()));
    TlsSettings settings = with_client(encrypted_key(client.key_pem, "open sesame"));
    int asked = 0;
    settings.key_passphrase = std::make_shared<const std::function<std::string()>>([&asked] {
        ++asked;
        return std::string("open sesame");
    });
    EXPECT_TRUE(trusts(settings, peer));
    EXPECT_TRUE(trusts(settings, peer));
    EXPECT_EQ(asked, 1);
    settings.client_key = "";
    settings.client_cert =
        folder.write("both.pem", client.chain_pem + encrypted_key(client.key_pem, "open sesame"));
    EXPECT_TRUE(trusts(settings, peer));
    EXPECT_EQ(asked, 2);
    settings = with_client(client.key_pem);
    settings.key_passphrase = std::make_shared<const std::function<std::string()>>(
        []() -> std::string { throw std::logic_error("the key is not encrypted"); }
    );
    EXPECT_TRUE(trusts(settings, peer));
}

TEST_F(TlsContextTest, RefusesPassphrasesThatDoNotFitAndShowsNone) {
    TlsSettings settings = with_client(encrypted_key(client.key_pem, "open sesame"));
    expect_refused(settings, "connection.client_key", "client_key_passphrase_env");
    expect_refused(settings, "connection.client_key", "encrypted");
    settings.key_passphrase = std::make_shared<const std::function<std::string()>>();
    expect_refused(settings, "connection.client_key", "encrypted");
    for (const std::string& wrong :
         {std::string("open barley"), std::string(), std::string(5000, 'x')}) {
        settings.key_passphrase = says(wrong);
        const std::string message = refusal(settings, "connection.client_key");
        EXPECT_NE(message.find("does not fit"), std::string::npos) << message;
        EXPECT_NE(message.find(settings.client_key), std::string::npos) << message;
        EXPECT_EQ(message.find("open"), std::string::npos) << message;
        EXPECT_EQ(message.find("xxx"), std::string::npos) << message;
    }
    settings.key_passphrase = std::make_shared<const std::function<std::string()>>(
        []() -> std::string { throw std::runtime_error("the vault is closed"); }
    );
    EXPECT_THROW(TlsContext::shared(settings), std::runtime_error);
}

TEST_F(TlsContextTest, ThePassphraseCallbackMayMakeContextsItself) {
    TlsSettings settings = with_client(encrypted_key(client.key_pem, "open sesame"));
    settings.key_passphrase = std::make_shared<const std::function<std::string()>>([this] {
        TlsContext::shared(with_ca(authority.ca_file()));
        return std::string("open sesame");
    });
    EXPECT_NE(TlsContext::shared(settings), nullptr);
}

TEST_F(TlsContextTest, RefusesClientCertificatesAndKeysThatCannotBeUsed) {
    const Certificate other = authority.issue();
    expect_refused(with_client(other.key_pem), "connection.client_key", "does not belong");
    expect_refused(with_client("no key here\n"), "connection.client_key", "no private key");
    TlsSettings settings = with_client(client.key_pem);
    settings.client_key = folder.path() + "/missing.key";
    expect_refused(settings, "connection.client_key", "No such file");
    settings = with_client(client.key_pem);
    settings.client_key = "";
    expect_refused(settings, "connection.client_key", "no private key");
    settings = with_client(client.key_pem);
    settings.client_cert = folder.write("text.pem", "no certificate here\n");
    expect_refused(settings, "connection.client_cert", "no certificate in it");
    std::string broken = client.chain_pem;
    broken.replace(100, 4, "!!!!");
    settings.client_cert = folder.write("broken.pem", broken);
    EXPECT_NE(refusal(settings, "connection.client_cert"), "");
    settings.client_cert = folder.path() + "/missing.pem";
    expect_refused(settings, "connection.client_cert", "No such file");
    settings.client_cert = folder.path();
    expect_refused(settings, "connection.client_cert", "directory");
    settings.client_cert = "";
    expect_refused(settings, "connection.client_key", "connection.client_cert");
}

TEST_F(TlsContextTest, IsRefusedInAChildWhoseForkDidNotWaitForOpenssl) {
    const TlsSettings settings = with_ca(authority.ca_file());
    TlsContext::shared(settings);
    pid_t child = -1;
    {
        const OpensslUse inside;
        child = ::fork();
        if (child == 0) {
            ::alarm(60);
            try {
                TlsContext::shared(settings);
            } catch (const LLMError& error) {
                ::_exit(error.errc() == Errc::forked_process ? 0 : 2);
            }
            ::_exit(1);
        }
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_NE(TlsContext::shared(settings), nullptr);
}

TEST_F(TlsContextTest, RefusesCaFilesAndFoldersThatCannotBeUsed) {
    const std::string missing = folder.path() + "/missing.pem";
    expect_refused(with_ca(missing), "connection.ca_file", "No such file");
    expect_refused(with_ca(missing), "connection.ca_file", missing);
    expect_refused(with_ca(folder.path()), "connection.ca_file", "directory");
    const std::string endless(17U << 20U, 'x');
    expect_refused(with_ca(folder.write("big.pem", endless)), "connection.ca_file", "16 MiB");
    const std::string text = folder.write("text.pem", "no certificate here\n");
    expect_refused(with_ca(text), "connection.ca_file", "PEM");
    TlsSettings settings;
    settings.ca_dir = text;
    expect_refused(settings, "connection.ca_dir", "not a directory");
    settings.ca_dir = folder.path() + "/missing";
    expect_refused(settings, "connection.ca_dir", "No such file");
    settings.ca_dir = folder.path();
    expect_refused(settings, "connection.ca_dir", "openssl rehash");
    settings = TlsSettings();
    settings.only_ca = true;
    expect_refused(settings, "connection.only_ca", "connection.ca_file");
}

}  // namespace
}  // namespace llmproc::net
