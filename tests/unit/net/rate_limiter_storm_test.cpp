#include "async/spawn.hpp"
#include "net/rate_limiter.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace llmproc::net {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = RateLimiter::Clock;
using Call = std::shared_ptr<async::CallContext>;

RateLimitSettings limits(std::size_t in_flight, std::int64_t requests, std::int64_t tokens) {
    RateLimitSettings made;
    made.max_in_flight = in_flight;
    made.requests_per_minute = requests;
    made.tokens_per_minute = tokens;
    return made;
}

wire::RateLimitInfo exhausted(std::chrono::microseconds reset) {
    wire::RateLimitInfo info;
    info.requests.remaining = 0;
    info.requests.reset = reset;
    return info;
}

/// Many calls on strands of a context with many threads, cancelled at random.
class Storm {
public:
    static constexpr std::size_t permits = 5;
    static constexpr std::int64_t tokens_per_minute = 6'000'000;

    Storm()
        : limiter_(RateLimiter::of(
              io_.get_executor(),
              "storm",
              limits(permits, 6'000'000, tokens_per_minute)
          )) {}

    void run(int lines, int rounds) {
        // Without what is saved up the bucket is short all the time.
        const auto all = limiter_->try_acquire(tokens_per_minute - 1000);
        std::mt19937_64 random(1);
        for (int line = 0; line < lines; ++line) {
            begin(asio::make_strand(io_), rounds, random());
        }
        std::atomic<bool> over = false;
        std::thread canceller([this, &over] {
            for (std::uint64_t i = 0; !over; ++i) {
                cancel_one(i);
                if (i % 7 == 0) {
                    limiter_->pause_until(Clock::now() + 200us);
                    limiter_->learn(exhausted(100us));
                }
                std::this_thread::yield();
            }
        });
        std::vector<std::thread> threads;
        for (int i = 0; i < 8; ++i) {
            threads.emplace_back([this] { io_.run(); });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        over = true;
        canceller.join();
    }

    void begin(asio::any_io_executor strand, int rounds, std::uint64_t seed) {
        if (rounds == 0) {
            return;
        }
        auto call = std::make_shared<async::CallContext>(strand, Timeouts().total(100s));
        {
            const std::lock_guard lock(mutex_);
            calls_.resize(64);
            calls_[seed % 64] = call;
        }
        async::start(*call, [this, call, strand, rounds, seed] {
            async::spawn(
                call,
                one(call, static_cast<std::int64_t>(seed % 50)),
                [this, strand, rounds, seed](const std::exception_ptr& error) {
                    note(error);
                    begin(strand, rounds - 1, seed * 6364136223846793005U + 1442695040888963407U);
                }
            );
        });
    }

    asio::awaitable<void> one(Call call, std::int64_t tokens) {
        RatePermit permit = co_await limiter_->acquire(*call, tokens);
        const Inside inside(*this);
        co_await call->sleep(Stage::body, 20us);
        permit.settle(tokens / 2);
    }

    void cancel_one(std::uint64_t number) {
        Call call;
        {
            const std::lock_guard lock(mutex_);
            if (!calls_.empty()) {
                call = calls_[number * 31 % 64].lock();
            }
        }
        if (call && number % 3 == 0) {
            call->cancel_from_anywhere(CancelReason::user);
        }
    }

    void note(const std::exception_ptr& error) {
        try {
            if (error) {
                std::rethrow_exception(error);
            }
            ++passed;
        } catch (const Cancelled&) {
            ++cancelled;
        } catch (...) {
            ++wrong;
        }
    }

    const RateLimiter& limiter() const { return *limiter_; }

    std::atomic<int> passed = 0;
    std::atomic<int> cancelled = 0;
    std::atomic<int> wrong = 0;
    std::atomic<int> crowded = 0;  ///< Saw more calls inside than there are permits.

private:
    /// Dies before the permit.
    class Inside {
    public:
        explicit Inside(Storm& storm) : storm_(storm) {
            if (++storm_.inside_ > permits) {
                ++storm_.crowded;
            }
        }
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;
        ~Inside() { --storm_.inside_; }

    private:
        Storm& storm_;
    };

    asio::io_context io_{8};
    std::shared_ptr<RateLimiter> limiter_;
    std::atomic<std::size_t> inside_ = 0;
    std::mutex mutex_;
    std::vector<std::weak_ptr<async::CallContext>> calls_;
};

TEST(RateLimiterStormTest, EveryCallEndsAndNoPermitIsLost) {
    Storm storm;
    storm.run(48, 60);
    EXPECT_EQ(storm.passed + storm.cancelled, 48 * 60);
    EXPECT_EQ(storm.wrong, 0);
    EXPECT_EQ(storm.crowded, 0);
    EXPECT_GT(storm.passed, 0);
    EXPECT_GT(storm.cancelled, 0);
    EXPECT_EQ(storm.limiter().in_flight(), 0U);
    EXPECT_EQ(storm.limiter().waiting(), 0U);
}

}  // namespace
}  // namespace llmproc::net
