#include <llmproc/structured.hpp>
#include "event_loop/structured_support.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace llmproc::loop_tests {

namespace {

using namespace std::chrono_literals;

/// Ends with a value although it is cancelled.
asio::awaitable<int> stubborn(int value) {
    try {
        co_await sleep(for_ever);
    } catch (const Cancelled&) {
        co_return value;
    }
    co_return 0;
}

asio::awaitable<int> slow_value(bool& begun, bool& ended) {
    co_await slow_to_end(begun, ended);
    co_return 1;
}

}  // namespace

TEST(StructuredTest, A3_20_CancellationReachesAllPartsAndWaitsForThem) {
    struct Body {
        static asio::awaitable<void> all(int& alive, bool& begun, bool& ended) {
            co_await when_all(never(alive), slow_to_end(begun, ended), never(alive));
        }
        static asio::awaitable<void> settled(int& alive, bool& begun, bool& ended) {
            std::vector<asio::awaitable<int>> parts;
            parts.push_back(never(alive));
            parts.push_back(slow_value(begun, ended));
            co_await when_all_settled(std::move(parts));
        }
        static asio::awaitable<void> race_of(int& alive, bool& begun, bool& ended) {
            co_await with_timeout(1h, shielded_end(alive, begun, ended));
        }
        static asio::awaitable<void> shielded_end(int& alive, bool& begun, bool& ended) {
            std::vector<asio::awaitable<int>> parts;
            parts.push_back(never(alive));
            parts.push_back(never(alive));
            begun = true;
            try {
                co_await race(std::move(parts));
            } catch (const Cancelled&) {
                ended = alive == 0;
                throw;
            }
        }
    };
    using Form = asio::awaitable<void> (*)(int&, bool&, bool&);
    for (const Form form : {Form(&Body::all), Form(&Body::settled), Form(&Body::race_of)}) {
        asio::io_context io;
        int alive = 0;
        bool begun = false;
        bool ended = false;
        Spawned spawned(io.get_executor(), form(alive, begun, ended));
        run_ready(io);
        ASSERT_TRUE(begun);
        ASSERT_FALSE(spawned.ended());
        spawned.cancel();
        io.run();
        EXPECT_TRUE(spawned.ended());
        EXPECT_TRUE(ended);
        EXPECT_EQ(alive, 0);
        EXPECT_TRUE(is_cancelled(spawned.error(), CancelReason::user));
    }
}

TEST(StructuredTest, A3_20_CancelledBeforeItsFirstSuspension) {
    struct Body {
        /// Cancels its own awaiter before it has ever been suspended.
        static asio::awaitable<int> eager(std::unique_ptr<Spawned>& self) {
            self->cancel();
            co_return 5;
        }
        static asio::awaitable<void> run(std::unique_ptr<Spawned>& self, int& alive) {
            co_await checkpoint();
            co_await when_all(eager(self), never(alive), eager(self));
        }
    };
    asio::io_context io;
    int alive = 0;
    std::unique_ptr<Spawned> spawned;
    spawned = std::make_unique<Spawned>(io.get_executor(), Body::run(spawned, alive));
    io.run();
    EXPECT_TRUE(spawned->ended());
    EXPECT_EQ(alive, 0);
    EXPECT_TRUE(is_cancelled(spawned->error(), CancelReason::user));
}

TEST(StructuredTest, A3_20_DyingContextDestroysEveryFrameOnce) {
    struct Body {
        static asio::awaitable<void> inner(int& alive) {
            const Alive here(alive);
            co_await when_all(never(alive), with_timeout(1h, never(alive)), shield(never(alive)));
        }
        static asio::awaitable<void> outer(int& alive) {
            const Alive here(alive);
            co_await race(inner(alive), never(alive));
        }
    };
    int alive = 0;
    {
        asio::io_context io;
        const Spawned spawned(io.get_executor(), Body::outer(alive));
        run_ready(io);
        EXPECT_EQ(alive, 6);
        EXPECT_FALSE(spawned.ended());
    }
    EXPECT_EQ(alive, 0);
}

TEST(StructuredTest, A3_20_TimeoutCancelsAndWaits) {
    struct Body {
        static asio::awaitable<void> run(bool& begun, bool& ended) {
            co_await with_timeout(1ms, slow_to_end(begun, ended));
        }
        static asio::awaitable<void> bounded(int& alive) {
            co_await with_timeout(1ms, never(alive));
        }
    };
    // What ends with a value despite its cancellation has ended in time.
    bool begun = false;
    bool ended = false;
    EXPECT_NO_THROW(run_coroutine(Body::run(begun, ended)));
    EXPECT_TRUE(begun);
    EXPECT_TRUE(ended);
    int alive = 0;
    try {
        run_coroutine(Body::bounded(alive));
        FAIL() << "no timeout";
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::total);
        EXPECT_EQ(timeout.limit(), 1ms);
    }
    EXPECT_EQ(alive, 0);
}

TEST(StructuredTest, A3_20_ValueDespiteCancellationIsAValue) {
    struct Body {
        static asio::awaitable<void> run(int& value) {
            value = co_await with_timeout(1ms, stubborn(8));
        }
        static asio::awaitable<void> outer(int& value) {
            value = co_await with_timeout(1h, stubborn(9));
        }
    };
    int value = 0;
    run_coroutine(Body::run(value));
    EXPECT_EQ(value, 8);
    asio::io_context io;
    Spawned spawned(io.get_executor(), Body::outer(value));
    run_ready(io);
    spawned.cancel();
    io.run();
    EXPECT_EQ(value, 9);
    EXPECT_EQ(spawned.error(), nullptr);
}

TEST(StructuredTest, A3_20_ShieldDeliversTheCancellationAfterwards) {
    struct Body {
        static asio::awaitable<int> work(bool& done) {
            for (int i = 0; i < 5; ++i) {
                co_await checkpoint();
            }
            done = true;
            co_return 3;
        }
        static asio::awaitable<void> run(bool& begun, bool& done, bool& after) {
            begun = true;
            co_await shield(work(done));
            after = true;
        }
    };
    asio::io_context io;
    bool begun = false;
    bool done = false;
    bool after = false;
    Spawned spawned(io.get_executor(), Body::run(begun, done, after));
    while (!begun) {
        io.run_one();
    }
    spawned.cancel();
    EXPECT_FALSE(done);
    io.run();
    EXPECT_TRUE(done);
    EXPECT_FALSE(after);
    EXPECT_TRUE(is_cancelled(spawned.error(), CancelReason::user));
}

TEST(StructuredTest, A3_20_CheckpointGivesATurnAndSeesCancellation) {
    struct Body {
        static asio::awaitable<void> compute(long& rounds) {
            for (;;) {
                ++rounds;
                co_await checkpoint();
            }
        }
    };
    asio::io_context io;
    long first = 0;
    long second = 0;
    Spawned one(io.get_executor(), Body::compute(first));
    Spawned two(io.get_executor(), Body::compute(second));
    while (first < 100) {
        io.run_one();
    }
    EXPECT_GE(second, 99);
    one.cancel();
    two.cancel();
    io.run();
    EXPECT_TRUE(is_cancelled(one.error(), CancelReason::user));
    EXPECT_TRUE(is_cancelled(two.error(), CancelReason::user));
}

TEST(StructuredTest, A3_20_SleepEndsByCancellationOnly) {
    struct Body {
        static asio::awaitable<void> run() { co_await sleep(for_ever); }
        static asio::awaitable<void> now(int& turns) {
            co_await sleep(0ms);
            ++turns;
            co_await sleep(-5ms);
            ++turns;
            co_await sleep(1ms);
            ++turns;
        }
    };
    asio::io_context io;
    Spawned spawned(io.get_executor(), Body::run());
    run_ready(io);
    EXPECT_FALSE(spawned.ended());
    spawned.cancel();
    io.run();
    EXPECT_TRUE(is_cancelled(spawned.error(), CancelReason::user));
    int turns = 0;
    run_coroutine(Body::now(turns));
    EXPECT_EQ(turns, 3);
}

TEST(StructuredTest, A3_20_CancelledAtAnyTurn) {
    struct Body {
        static asio::awaitable<int> tree(int& alive, int depth, unsigned seed) {
            const Alive here(alive);
            if (depth == 0) {
                co_return co_await after_turns(static_cast<int>(seed % 5), 1);
            }
            if (seed % 3 == 0) {
                auto [a, b] = co_await when_all(
                    tree(alive, depth - 1, seed / 2),
                    with_timeout(1h, tree(alive, depth - 1, seed / 3))
                );
                co_return a + b;
            }
            auto first = co_await race(
                tree(alive, depth - 1, seed / 2),
                shield(tree(alive, depth - 1, seed / 5)),
                never(alive)
            );
            co_return static_cast<int>(first.index());
        }
        static asio::awaitable<void> run(int& alive, unsigned seed) {
            co_await tree(alive, 3, seed);
        }
    };
    std::mt19937 random(7);
    const auto next = [&random] { return static_cast<unsigned>(random()); };
    int cancelled = 0;
    for (int round = 0; round < 2000; ++round) {
        const unsigned seed = next();
        asio::io_context io(1);
        int alive = 0;
        Spawned spawned(io.get_executor(), Body::run(alive, seed));
        for (unsigned turns = next() % 60; turns > 0; --turns) {
            io.poll_one();
        }
        spawned.cancel();
        io.run();
        ASSERT_TRUE(spawned.ended()) << "seed " << seed;
        ASSERT_EQ(alive, 0) << "seed " << seed;
        if (spawned.error()) {
            ++cancelled;
        }
    }
    EXPECT_GT(cancelled, 100);
    EXPECT_LT(cancelled, 1900);
}

TEST(StructuredTest, F25_CancelledTaskCleansUpUnderAShield) {
    struct Body {
        static asio::awaitable<void> clean_up(std::vector<std::string>& steps) {
            for (const char* const step : {"say goodbye", "flush", "close"}) {
                co_await checkpoint();
                steps.emplace_back(step);
            }
        }
        static asio::awaitable<void> run(std::vector<std::string>& steps) {
            std::exception_ptr error;
            try {
                steps.emplace_back("work");
                co_await sleep(for_ever);
            } catch (...) {
                error = std::current_exception();
            }
            // Without this every further co_await throws at once.
            co_await asio::this_coro::throw_if_cancelled(false);
            co_await shield(with_timeout(1h, clean_up(steps)));
            std::rethrow_exception(error);
        }
    };
    asio::io_context io;
    std::vector<std::string> steps;
    Spawned spawned(io.get_executor(), Body::run(steps));
    run_ready(io);
    spawned.cancel();
    spawned.cancel();
    io.run();
    EXPECT_EQ(steps, (std::vector<std::string>{"work", "say goodbye", "flush", "close"}));
    EXPECT_TRUE(is_cancelled(spawned.error(), CancelReason::user));
}

TEST(StructuredTest, F25_CleanUpUnderAShieldHasItsLimit) {
    struct Body {
        static asio::awaitable<void> run(int& alive, bool& begun) {
            begun = true;
            co_await shield(with_timeout(1ms, never(alive)));
        }
    };
    asio::io_context io;
    int alive = 0;
    bool begun = false;
    Spawned spawned(io.get_executor(), Body::run(alive, begun));
    while (!begun) {
        io.run_one();
    }
    spawned.cancel();
    io.run();
    EXPECT_EQ(alive, 0);
    EXPECT_THROW(spawned.rethrow(), Timeout);
}

}  // namespace llmproc::loop_tests
