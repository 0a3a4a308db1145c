#include "net/caching_resolver.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::net {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = CachingResolver::Clock;

/// Keeps the handlers until the test answers.
class HeldResolver final : public Resolver {
public:
    void resolve(std::string host, std::uint16_t port, ResolveHandler handler) override {
        hosts.push_back(std::move(host));
        ports.push_back(port);
        handlers.push_back(std::move(handler));
    }
    std::vector<std::string> hosts;
    std::vector<std::uint16_t> ports;
    std::vector<ResolveHandler> handlers;
};

/// What a caller was told.
struct Answer {
    int times = 0;
    boost::system::error_code error;
    Addresses addresses;
};

Addresses address(std::uint16_t port = 0) {
    return Addresses(1, {asio::ip::make_address("192.0.2.1"), port});
}

class CachingResolverTest : public ::testing::Test {
protected:
    LookupSource ask(Answer& answer, std::uint16_t port = 443, const std::string& host = "a.test") {
        return resolver
            ->look_up(host, port, [&answer](boost::system::error_code error, Addresses addresses) {
                ++answer.times;
                answer.error = error;
                answer.addresses = std::move(addresses);
            });
    }
    /// Asks for a host that is then known.
    void learn(const std::string& host = "a.test") {
        Answer& answer = answers.emplace_back();
        ASSERT_EQ(ask(answer, 1, host), LookupSource::query);
        inner->handlers.back()({}, address());
        ASSERT_EQ(answer.times, 1);
    }

    std::deque<Answer> answers;  // Queries that die unanswered tell them.
    Clock::time_point now{1000s};
    std::shared_ptr<HeldResolver> inner = std::make_shared<HeldResolver>();
    std::shared_ptr<CachingResolver> resolver = std::make_shared<CachingResolver>(inner, [this] {
        return now;
    });
};

TEST_F(CachingResolverTest, AllWhoWaitForAHostShareOneLookUp) {
    Answer& first = answers.emplace_back();
    Answer& second = answers.emplace_back();
    Answer& third = answers.emplace_back();
    EXPECT_EQ(ask(first, 1), LookupSource::query);
    EXPECT_EQ(ask(second, 2), LookupSource::shared);
    EXPECT_EQ(ask(third, 3), LookupSource::shared);
    Answer& other = answers.emplace_back();
    EXPECT_EQ(ask(other, 4, "b.test"), LookupSource::query);
    ASSERT_EQ(inner->hosts, (std::vector<std::string>{"a.test", "b.test"}));
    EXPECT_EQ(inner->ports[0], 0);
    inner->handlers[0]({}, address());
    EXPECT_EQ(first.addresses, address(1));
    EXPECT_EQ(second.addresses, address(2));
    EXPECT_EQ(third.addresses, address(3));
    EXPECT_EQ(other.times, 0);
    inner->handlers[0]({}, address());
    EXPECT_EQ(first.times + second.times + third.times, 3);
}

TEST_F(CachingResolverTest, RemembersAnAnswerForItsLifetime) {
    learn();
    now += CachingResolver::lifetime - 1ns;
    Answer& answer = answers.emplace_back();
    EXPECT_EQ(ask(answer, 8080), LookupSource::known);
    EXPECT_EQ(answer.addresses, address(8080));
    now += 1ns;
    Answer& late = answers.emplace_back();
    EXPECT_EQ(ask(late), LookupSource::query);
    EXPECT_EQ(late.times, 0);
    EXPECT_EQ(inner->hosts.size(), 2U);
}

TEST_F(CachingResolverTest, DoesNotRememberFailuresAndEmptyAnswers) {
    Answer& failed = answers.emplace_back();
    Answer& shared = answers.emplace_back();
    ask(failed);
    ask(shared);
    inner->handlers[0](asio::error::host_not_found, Addresses());
    EXPECT_EQ(failed.error, asio::error::host_not_found);
    EXPECT_EQ(shared.error, asio::error::host_not_found);
    Answer& empty = answers.emplace_back();
    EXPECT_EQ(ask(empty), LookupSource::query);
    inner->handlers[1]({}, Addresses());
    EXPECT_EQ(empty.times, 1);
    EXPECT_EQ(resolver->size(), 0U);
    EXPECT_EQ(ask(empty), LookupSource::query);
}

TEST_F(CachingResolverTest, AsksAgainForWhatItHadToForget) {
    learn();
    learn("b.test");
    resolver->forget("a.test");
    resolver->forget("never.test");
    Answer& answer = answers.emplace_back();
    EXPECT_EQ(ask(answer), LookupSource::query);
    EXPECT_EQ(ask(answer, 1, "b.test"), LookupSource::known);
}

TEST_F(CachingResolverTest, DropsTheOldestAnswerBeyondItsBound) {
    for (std::size_t i = 0; i <= CachingResolver::max_hosts; ++i) {
        now += 1ms;
        learn("host" + std::to_string(i) + ".test");
    }
    EXPECT_EQ(resolver->size(), CachingResolver::max_hosts);
    Answer& answer = answers.emplace_back();
    EXPECT_EQ(ask(answer, 1, "host1.test"), LookupSource::known);
    EXPECT_EQ(ask(answer, 1, "host0.test"), LookupSource::query);
}

TEST_F(CachingResolverTest, AnswersNumbersAndLocalhostItself) {
    for (const char* const host : {"127.0.0.1", "::1", "localhost"}) {
        Answer& answer = answers.emplace_back();
        EXPECT_EQ(ask(answer, 80, host), LookupSource::known) << host;
        ASSERT_FALSE(answer.addresses.empty()) << host;
        EXPECT_TRUE(answer.addresses[0].address().is_loopback());
        EXPECT_EQ(answer.addresses[0].port(), 80);
    }
    EXPECT_TRUE(inner->hosts.empty());
    EXPECT_EQ(resolver->size(), 0U);
}

TEST_F(CachingResolverTest, NobodyWaitsForAResolverThatThrows) {
    class Throwing final : public Resolver {
    public:
        void resolve(std::string, std::uint16_t, ResolveHandler handler) override {
            if (keep) {
                kept = std::move(handler);
            }
            throw std::runtime_error("no resolver");
        }
        bool keep = false;
        ResolveHandler kept;
    };
    const auto throwing = std::make_shared<Throwing>();
    resolver = std::make_shared<CachingResolver>(throwing);
    for (const bool keep : {false, true}) {
        throwing->keep = keep;
        Answer& answer = answers.emplace_back();
        EXPECT_NO_THROW(ask(answer));
        EXPECT_EQ(answer.times, 1);
        EXPECT_EQ(answer.error, asio::error::no_recovery);
    }
    throwing->kept({}, address());
    EXPECT_EQ(resolver->size(), 0U);
}

TEST_F(CachingResolverTest, NobodyWaitsForAHandlerThatWasDropped) {
    Answer& first = answers.emplace_back();
    Answer& second = answers.emplace_back();
    ask(first);
    ask(second);
    inner->handlers.clear();
    EXPECT_EQ(first.error, asio::error::no_recovery);
    EXPECT_EQ(second.error, asio::error::no_recovery);
    EXPECT_EQ(ask(first), LookupSource::query);
}

TEST_F(CachingResolverTest, AHandlerThatThrowsDoesNotHurtTheOthers) {
    resolver->look_up("a.test", 1, [](const auto&, const auto&) {
        throw std::runtime_error("no");
    });
    Answer& answer = answers.emplace_back();
    ask(answer);
    EXPECT_NO_THROW(inner->handlers[0]({}, address()));
    EXPECT_EQ(answer.times, 1);
}

TEST_F(CachingResolverTest, AHandlerMayAskAgain) {
    Answer& again = answers.emplace_back();
    std::optional<LookupSource> source;
    resolver->look_up("a.test", 1, [&](const auto&, const auto&) { source = ask(again, 2); });
    inner->handlers[0]({}, address());
    EXPECT_EQ(source, LookupSource::known);
    EXPECT_EQ(again.addresses, address(2));
}

TEST_F(CachingResolverTest, AnswersMayOutliveIt) {
    Answer& answer = answers.emplace_back();
    ask(answer);
    resolver.reset();
    inner->handlers[0]({}, address());
    EXPECT_EQ(answer.addresses, address(443));
}

TEST_F(CachingResolverTest, AForkedChildBeginsAnew) {
    learn();
    Answer& running = answers.emplace_back();
    ask(running, 1, "b.test");
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        Answer& answer = answers.emplace_back();
        const bool anew = ask(answer) == LookupSource::query &&
                          ask(answer, 1, "b.test") == LookupSource::query;
        ::_exit(anew && resolver->size() == 0 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST_F(CachingResolverTest, AForkWhileItsMutexIsHeldIsHarmless) {
    // The clock is read with the mutex held.
    std::function<void()> meanwhile;
    resolver = std::make_shared<CachingResolver>(inner, [&] {
        if (meanwhile) {
            std::exchange(meanwhile, nullptr)();
        }
        return now;
    });
    learn();
    int status = -1;
    meanwhile = [&] {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            ::alarm(60);  // A deadlock ends here.
            Answer& answer = answers.emplace_back();
            ::_exit(ask(answer) == LookupSource::query ? 0 : 1);
        }
        ASSERT_EQ(::waitpid(child, &status, 0), child);
    };
    Answer& answer = answers.emplace_back();
    EXPECT_EQ(ask(answer), LookupSource::known);
    EXPECT_EQ(status, 0);
}

/// Answers on threads of its own.
class ThreadedResolver final : public Resolver {
public:
    ~ThreadedResolver() override {
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }
    void resolve(std::string, std::uint16_t, ResolveHandler handler) override {
        const std::lock_guard lock(mutex_);
        ++asked;
        threads_.emplace_back([handler = std::move(handler)] { handler({}, address()); });
    }
    std::atomic<int> asked{0};

private:
    std::mutex mutex_;
    std::vector<std::thread> threads_;
};

TEST(CachingResolverThreadsTest, EveryCallerOnEveryThreadIsAnsweredOnce) {
    constexpr int callers = 4;
    constexpr int rounds = 200;
    std::atomic<int> answers{0};
    std::atomic<int> queries{0};
    std::atomic<int> asked{0};
    {
        const auto inner = std::make_shared<ThreadedResolver>();
        CachingResolver resolver(inner);
        std::vector<std::thread> threads;
        for (int i = 0; i < callers; ++i) {
            threads.emplace_back([&, i] {
                for (int round = 0; round < rounds; ++round) {
                    const std::string host = "host" + std::to_string(round % 3) + ".test";
                    const auto port = static_cast<std::uint16_t>(1 + i);
                    ResolveHandler count = [&answers, port](const auto&, const Addresses& found) {
                        answers += found.at(0).port() == port ? 1 : 0;
                    };
                    const LookupSource source = resolver.look_up(host, port, std::move(count));
                    queries += source == LookupSource::query ? 1 : 0;
                    if (round % 10 == 0) {
                        resolver.forget(host);
                    }
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        asked = inner->asked.load();
    }
    EXPECT_EQ(answers, callers * rounds);
    EXPECT_EQ(queries, asked);
    EXPECT_LT(asked, callers * rounds);
}

}  // namespace
}  // namespace llmproc::net
