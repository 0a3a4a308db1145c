// `openssl s_server` with TLS settings that ScriptedServer and nginx do not have. It speaks no HTTP
// but sends each line back reversed, so an agreed handshake ends in Errc::malformed_http.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/peer_support.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using testing::Caller;
using testing::ChildProcess;
using testing::contains;
using testing::Interface;
using testing::peer_program;
using testing::setting;
using testing::write_file;

using Words = std::vector<std::string>;

constexpr const char* chain_config = R"([req]
distinguished_name = none
[none]
[issuer]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
subjectAltName = DNS:localhost,IP:127.0.0.1
)";

class TlsPeerTest : public ::testing::TestWithParam<Interface> {
protected:
    void SetUp() override {
        testing::require_peers("openssl s_server", testing::lack_of("openssl", "openssl"));
        if (IsSkipped() || HasFatalFailure()) {
            return;
        }
        const testing::Certificate own = authority_.issue();
        write_file(file("own.pem"), own.chain_pem);
        write_file(file("own.key"), own.key_pem);
    }

    std::string file(const std::string& name) const { return (folder_.path() / name).string(); }
    const std::string& ca_file() const { return authority_.ca_file(); }

    /// Replaces the server that ran before.
    void serve(const Words& settings, const std::string& certificate = "own") {
        name_ = "server" + std::to_string(++servers_);
        port_ = testing::start_on_free_port(server_, folder_, name_, [&](std::uint16_t port) {
            Words command{
                testing::find_program("openssl"),
                "s_server",
                "-accept",
                "127.0.0.1:" + std::to_string(port),
                "-cert",
                file(certificate + ".pem"),
                "-key",
                file(certificate + ".key"),
                "-rev"};
            command.insert(command.end(), settings.begin(), settings.end());
            return command;
        });
    }
    /// What the server says of its connections.
    std::string output() const { return testing::read_file(file(name_ + ".out")); }

    Caller caller(const std::string& connection) const {
        return Caller(
            peer_program("https://localhost:" + std::to_string(port_) + "/v1", connection),
            GetParam()
        );
    }
    Caller caller() const { return caller(setting("ca_file", ca_file())); }

    static void expect_agreed(Caller&& call) {
        const LLMError error = call.failure();
        EXPECT_EQ(error.errc(), Errc::malformed_http) << error.what();
        EXPECT_EQ(error.diagnostics().stage, Stage::first_byte);
        EXPECT_EQ(call.stats().tls_handshakes, 1U);
    }
    static LLMError expect_refused(Caller&& call, Errc code) {
        const LLMError error = call.failure();
        EXPECT_EQ(error.errc(), code) << error.what();
        EXPECT_EQ(error.diagnostics().attempts, 1);
        EXPECT_EQ(call.connections().idle, 0U);
        return error;
    }

    /// root.pem, middle.pem, leaf.pem and leaf.key, all RSA, as an operator makes them.
    void make_rsa_chain() const {
        write_file(file("chain.cnf"), chain_config);
        openssl(
            {"req",
             "-config",
             file("chain.cnf"),
             "-x509",
             "-newkey",
             "rsa:2048",
             "-nodes",
             "-keyout",
             file("root.key"),
             "-out",
             file("root.pem"),
             "-days",
             "2",
             "-subj",
             "/CN=root",
             "-extensions",
             "issuer"}
        );
        sign("middle", "root", "issuer");
        sign("leaf", "middle", "leaf");
    }

private:
    void sign(const std::string& name, const std::string& issuer, const std::string& kind) const {
        openssl(
            {"req",
             "-config",
             file("chain.cnf"),
             "-newkey",
             "rsa:2048",
             "-nodes",
             "-keyout",
             file(name + ".key"),
             "-out",
             file(name + ".csr"),
             "-subj",
             "/CN=" + name}
        );
        openssl(
            {"x509",
             "-req",
             "-in",
             file(name + ".csr"),
             "-CA",
             file(issuer + ".pem"),
             "-CAkey",
             file(issuer + ".key"),
             "-CAcreateserial",
             "-out",
             file(name + ".pem"),
             "-days",
             "2",
             "-extfile",
             file("chain.cnf"),
             "-extensions",
             kind}
        );
    }
    void openssl(Words command) const {
        command.insert(command.begin(), testing::find_program("openssl"));
        ChildProcess child(std::move(command), file("openssl.out"));
        if (child.wait(testing::watchdog) != 0) {
            throw std::runtime_error("openssl: " + testing::read_file(file("openssl.out")));
        }
    }

    testing::Folder folder_;
    testing::CertificateAuthority authority_;
    std::unique_ptr<ChildProcess> server_;
    std::string name_;
    std::uint16_t port_ = 0;
    int servers_ = 0;
};

TEST_P(TlsPeerTest, AgreesOnTheOneCipherThatTheServerKnows) {
    for (const std::string cipher :
         {"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-GCM-SHA256"}) {
        serve({"-tls1_2", "-cipher", cipher});
        expect_agreed(caller());
        EXPECT_TRUE(contains(output(), "TLSv1.2")) << output();
        EXPECT_TRUE(contains(output(), cipher)) << output();
    }
    serve({"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"});
    expect_agreed(caller());
    EXPECT_TRUE(contains(output(), "TLS_CHACHA20_POLY1305_SHA256")) << output();
}

TEST_P(TlsPeerTest, AServerWithoutTls13Gets12) {
    serve({"-no_tls1_3"});
    expect_agreed(caller());
    EXPECT_TRUE(contains(output(), "TLSv1.2")) << output();
}

TEST_P(TlsPeerTest, ASecondHelloIsSentForAnotherGroup) {
    serve({"-tls1_3", "-groups", "P-384"});
    expect_agreed(caller());
}

TEST_P(TlsPeerTest, AHandshakeInSmallRecordsIsRead) {
    serve({"-max_send_frag", "512"});
    expect_agreed(caller());
}

TEST_P(TlsPeerTest, NoCipherInCommonIsReported) {
    serve({"-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"});
    const LLMError error = expect_refused(caller(), Errc::tls_handshake_failed);
    EXPECT_EQ(error.diagnostics().stage, Stage::handshake);
    EXPECT_TRUE(contains(error.message(), "no cipher in common")) << error.what();
}

TEST_P(TlsPeerTest, OldTlsIsRefused) {
    serve({"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"});
    const LLMError error = expect_refused(caller(), Errc::tls_handshake_failed);
    EXPECT_EQ(error.diagnostics().stage, Stage::handshake);
    EXPECT_TRUE(contains(error.message(), "TLS 1.2 at least")) << error.what();
}

TEST_P(TlsPeerTest, AServerOfHttp2AloneIsReported) {
    serve({"-alpn", "h2"});
    const LLMError error = expect_refused(caller(), Errc::tls_handshake_failed);
    EXPECT_EQ(error.diagnostics().stage, Stage::handshake);
    EXPECT_TRUE(contains(error.message(), "HTTP/1.1")) << error.what();
    serve({"-alpn", "h2,http/1.1"});
    expect_agreed(caller());
}

TEST_P(TlsPeerTest, AChainNeedsItsIntermediate) {
    make_rsa_chain();
    const std::string trust = setting("ca_file", file("root.pem"));
    for (const std::string version : {"-tls1_2", "-tls1_3"}) {
        serve({version, "-cert_chain", file("middle.pem")}, "leaf");
        expect_agreed(caller(trust));
        expect_refused(caller(setting("ca_file", ca_file())), Errc::certificate_invalid);
        serve({version}, "leaf");
        const LLMError error = expect_refused(caller(trust), Errc::certificate_invalid);
        EXPECT_EQ(error.diagnostics().stage, Stage::handshake);
        EXPECT_TRUE(contains(error.message(), "issuer")) << error.what();
    }
}

TEST_P(TlsPeerTest, ADemandedClientCertificateIsReportedAndShown) {
    for (const std::string version : {"-tls1_2", "-tls1_3"}) {
        serve({version, "-Verify", "1", "-verify_return_error", "-CAfile", ca_file()});
        const LLMError error = expect_refused(caller(), Errc::tls_handshake_failed);
        EXPECT_TRUE(contains(error.message(), "connection.client_cert")) << error.what();
        expect_agreed(caller(
            setting("ca_file", ca_file()) + setting("client_cert", file("own.pem")) +
            setting("client_key", file("own.key"))
        ));
    }
}

INSTANTIATE_TEST_SUITE_P(
    Both,
    TlsPeerTest,
    ::testing::Values(Interface::blocking, Interface::awaited),
    testing::interface_name
);

}  // namespace
}  // namespace llmproc
