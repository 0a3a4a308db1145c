#include "net/tls_resumption.hpp"

#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "net/tls_context.hpp"
#include "support/tls_pair.hpp"
#include "testing/tls_engine.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

namespace llmproc::net {
namespace {

using llmproc::testing::CertificateAuthority;
using llmproc::testing::CertificateOptions;
using llmproc::testing::ServerOptions;
using llmproc::testing::TlsPair;
using llmproc::testing::TlsVersion;
using ServerTls = llmproc::testing::TlsContext;
using namespace std::chrono_literals;

constexpr std::time_t hour = 3600;

class TlsResumptionTest : public ::testing::Test {
protected:
    std::shared_ptr<TlsContext> context(TlsMinimum minimum = TlsMinimum::v1_2) {
        TlsSettings settings;
        settings.ca_file = authority.ca_file();
        settings.min_version = minimum;
        return TlsContext::shared(settings);
    }
    ServerTls server(
        const ServerOptions& options = ServerOptions(),
        const CertificateOptions& certificate = CertificateOptions()
    ) {
        return ServerTls(options, authority.issue(certificate));
    }
    /// A session as a server of that version gives it.
    SslSessionPtr session(
        TlsVersion version = TlsVersion::tls1_3,
        const CertificateOptions& certificate = CertificateOptions()
    ) {
        const auto own = context();
        const ServerTls peer = server(ServerOptions().max_tls(version), certificate);
        TlsPair pair(*own, peer, "localhost", "fresh");
        EXPECT_TRUE(pair.shake());
        return own->sessions()->take("localhost\nfresh", std::time(nullptr));
    }

    CertificateAuthority authority;
};

TEST_F(TlsResumptionTest, ATls13TicketServesOnce) {
    const auto own = context();
    const ServerTls peer = server();
    TlsPair first(*own, peer, "localhost", "key");
    ASSERT_TRUE(first.shake());
    EXPECT_FALSE(first.resumed());
    const std::size_t given = own->sessions()->size();
    ASSERT_GE(given, 1U);
    TlsPair second(*own, peer, "localhost", "key");
    EXPECT_EQ(own->sessions()->size(), given - 1);
    ASSERT_TRUE(second.shake());
    EXPECT_TRUE(second.resumed());
    EXPECT_TRUE(second.server().resumed());
    EXPECT_STREQ(SSL_get_version(second.client()), "TLSv1.3");
    EXPECT_EQ(second.verified(), X509_V_OK);
}

TEST_F(TlsResumptionTest, ATls12SessionServesAgainOnceItHasServed) {
    const auto own = context();
    const ServerTls peer = server(ServerOptions().max_tls(TlsVersion::tls1_2));
    TlsPair first(*own, peer, "localhost", "key");
    ASSERT_TRUE(first.shake());
    EXPECT_EQ(own->sessions()->size(), 1U);
    for (int round = 0; round < 3; ++round) {
        TlsPair next(*own, peer, "localhost", "key");
        EXPECT_EQ(own->sessions()->size(), 0U) << "a server that chokes on it would see it again";
        ASSERT_TRUE(next.shake());
        EXPECT_TRUE(next.resumed());
        EXPECT_EQ(own->sessions()->size(), 1U);
    }
}

TEST_F(TlsResumptionTest, IsOnlyOfferedToTheSameHostAndKeyUnderTheSameSettings) {
    const auto own = context();
    const ServerTls peer = server(
        ServerOptions(),
        CertificateOptions().dns_name("localhost").dns_name("other.example")
    );
    TlsPair first(*own, peer, "localhost", "key");
    ASSERT_TRUE(first.shake());
    TlsPair other_host(*own, peer, "other.example", "key");
    ASSERT_TRUE(other_host.shake());
    EXPECT_FALSE(other_host.resumed());
    TlsPair other_key(*own, peer, "localhost", "key 2");
    ASSERT_TRUE(other_key.shake());
    EXPECT_FALSE(other_key.resumed());
    const auto strict = context(TlsMinimum::v1_3);
    TlsPair other_settings(*strict, peer, "localhost", "key");
    ASSERT_TRUE(other_settings.shake());
    EXPECT_FALSE(other_settings.resumed());
    TlsPair same(*own, peer, "localhost", "key");
    ASSERT_TRUE(same.shake());
    EXPECT_TRUE(same.resumed());
}

TEST_F(TlsResumptionTest, AnEmptyKeyNeverResumes) {
    const auto own = context();
    const ServerTls peer = server();
    for (int round = 0; round < 2; ++round) {
        TlsPair pair(*own, peer);
        ASSERT_TRUE(pair.shake());
        EXPECT_FALSE(pair.resumed());
    }
    EXPECT_EQ(own->sessions()->size(), 0U);
}

TEST_F(TlsResumptionTest, AServerThatHasForgottenMakesAFullHandshake) {
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        const auto own = context();
        const ServerTls before = server(ServerOptions().max_tls(version));
        const ServerTls after = server(ServerOptions().max_tls(version));
        TlsPair first(*own, before, "localhost", "forgotten");
        ASSERT_TRUE(first.shake());
        TlsPair second(*own, after, "localhost", "forgotten");
        ASSERT_TRUE(second.shake());
        EXPECT_FALSE(second.resumed());
        EXPECT_EQ(second.verified(), X509_V_OK);
    }
}

TEST_F(TlsResumptionTest, AServerThatHasForgottenIsVerifiedAgain) {
    const auto own = context();
    const ServerTls before = server();
    TlsPair first(*own, before, "localhost", "key");
    ASSERT_TRUE(first.shake());
    const ServerTls impostor(ServerOptions(), CertificateAuthority().issue());
    TlsPair second(*own, impostor, "localhost", "key");
    EXPECT_FALSE(second.shake());
    EXPECT_NE(second.verified(), X509_V_OK);
}

TEST_F(TlsResumptionTest, ASessionOutlivesAConnectionThatWasCut) {
    const auto own = context();
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        const ServerTls peer = server(ServerOptions().max_tls(version));
        const std::string key = version == TlsVersion::tls1_2 ? "old" : "new";
        {
            TlsPair cut(*own, peer, "localhost", key);
            ASSERT_TRUE(cut.shake());  // Freed without SSL_shutdown: OpenSSL spoils its session.
        }
        TlsPair next(*own, peer, "localhost", key);
        ASSERT_TRUE(next.shake());
        EXPECT_TRUE(next.resumed()) << key;
    }
}

TEST_F(TlsResumptionTest, SessionsEndWithTheirLifetime) {
    const std::time_t now = std::time(nullptr);
    for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
        const SslSessionPtr fresh = session(version);
        ASSERT_NE(fresh, nullptr);
        EXPECT_TRUE(is_resumable(fresh.get(), now + hour));
        EXPECT_FALSE(is_resumable(fresh.get(), now + 3 * hour));
        EXPECT_FALSE(is_resumable(fresh.get(), now - hour)) << "the clock was set back";
        SSL_SESSION_set_timeout(fresh.get(), 30L * 24 * hour);
        EXPECT_FALSE(is_resumable(fresh.get(), now + 8 * 24 * hour)) << "a week is the most";
    }
}

TEST_F(TlsResumptionTest, SessionsEndWithTheirCertificate) {
    const std::time_t now = std::time(nullptr);
    const SslSessionPtr brief =
        session(TlsVersion::tls1_3, CertificateOptions().not_after(std::chrono::minutes(30)));
    ASSERT_NE(brief, nullptr);
    EXPECT_TRUE(is_resumable(brief.get(), now + 60));
    EXPECT_FALSE(is_resumable(brief.get(), now + hour));
}

TEST_F(TlsResumptionTest, TakesTheNewestThatIsStillGood) {
    TlsSessionCache cache;
    SslSessionPtr good = session();
    SSL_SESSION* const expected = good.get();
    SslSessionPtr expired = session();
    const std::time_t now = std::time(nullptr);
    SSL_SESSION_set_timeout(expired.get(), 30);
    cache.add("key", std::move(good));
    cache.add("key", std::move(expired));
    EXPECT_EQ(cache.take("key", now + 60).get(), expected);
    EXPECT_EQ(cache.take("key", now + 60), nullptr);
    EXPECT_EQ(cache.size(), 0U);
}

TEST_F(TlsResumptionTest, IsBounded) {
    const SslSessionPtr model = session();
    const auto copy = [&model] { return SslSessionPtr(SSL_SESSION_dup(model.get())); };
    const std::time_t now = std::time(nullptr);
    TlsSessionCache cache(3, 2);
    SslSessionPtr oldest = copy();
    SSL_SESSION* const dropped = oldest.get();
    cache.add("a", std::move(oldest));
    cache.add("a", copy());
    SslSessionPtr newest = copy();
    SSL_SESSION* const kept = newest.get();
    cache.add("a", std::move(newest));
    EXPECT_EQ(cache.size(), 2U);
    EXPECT_EQ(cache.take("a", now).get(), kept);
    cache.add("b", copy());
    cache.add("c", copy());
    EXPECT_NE(cache.take("a", now).get(), dropped);
    cache.add("a", copy());
    cache.add("d", copy());
    EXPECT_EQ(cache.take("b", now), nullptr) << "used least recently";
    EXPECT_NE(cache.take("a", now), nullptr);
    EXPECT_NE(cache.take("c", now), nullptr);
    EXPECT_NE(cache.take("d", now), nullptr);
    EXPECT_EQ(cache.size(), 0U);
}

TEST_F(TlsResumptionTest, ManyThreadsMayResumeAtOnce) {
    const auto own = context();
    const ServerTls old_peer = server(ServerOptions().max_tls(TlsVersion::tls1_2));
    const ServerTls new_peer = server();
    constexpr int rounds = 25;
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int number = 0; number < 4; ++number) {
        threads.emplace_back([&, number] {
            const ServerTls& peer = number % 2 == 0 ? old_peer : new_peer;
            const std::string key = number % 2 == 0 ? "old" : "new";
            for (int round = 0; round < rounds; ++round) {
                TlsPair pair(*own, peer, "localhost", key);
                EXPECT_TRUE(pair.shake());
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    TlsPair last(*own, new_peer, "localhost", "new");
    ASSERT_TRUE(last.shake());
    EXPECT_TRUE(last.resumed());
}

}  // namespace
}  // namespace llmproc::net
