#include <llmproc/log.hpp>
#include <llmproc/structured.hpp>
#include "event_loop/structured_support.hpp"

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace llmproc::loop_tests {

namespace {

using namespace std::chrono_literals;

asio::awaitable<void> note(std::vector<int>& order, int turns, int number) {
    for (int i = 0; i < turns; ++i) {
        co_await checkpoint();
    }
    order.push_back(number);
}

asio::awaitable<std::unique_ptr<int>> boxed(int value) {
    co_await checkpoint();
    co_return std::make_unique<int>(value);
}

/// Lines of the log while it lives.
class LogCapture {
public:
    LogCapture() {
        set_log_sink(LogLevel::warning, [this](LogLevel, std::string_view text) {
            lines.emplace_back(text);
        });
    }
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;
    ~LogCapture() { set_log_sink(LogLevel::warning, nullptr); }

    std::vector<std::string> lines;
};

}  // namespace

TEST(StructuredTest, A3_20_ResultsKeepTheOrderOfTheArguments) {
    struct Body {
        static asio::awaitable<void> run(std::vector<int>& order) {
            auto [first, second, third, fourth] = co_await when_all(
                after_turns(5, 1),
                note(order, 3, 2),
                boxed(3),
                after_turns(0, 4)
            );
            static_assert(std::is_same_v<decltype(second), std::monostate>);
            EXPECT_EQ(first, 1);
            EXPECT_EQ(*third, 3);
            EXPECT_EQ(fourth, 4);
        }
    };
    std::vector<int> order;
    run_coroutine(Body::run(order));
    EXPECT_EQ(order, std::vector<int>{2});
}

TEST(StructuredTest, A3_20_PartsRunAtTheSameTime) {
    struct Body {
        static asio::awaitable<void> run(std::vector<int>& order) {
            std::vector<asio::awaitable<void>> parts;
            for (int i = 0; i < 5; ++i) {
                parts.push_back(note(order, 5 - i, i));
            }
            const auto ends = co_await when_all(std::move(parts));
            EXPECT_EQ(ends.size(), 5U);
        }
    };
    std::vector<int> order;
    run_coroutine(Body::run(order));
    EXPECT_EQ(order, (std::vector<int>{4, 3, 2, 1, 0}));
}

TEST(StructuredTest, A3_20_VectorsOfAnySize) {
    struct Body {
        static asio::awaitable<void> run(int size) {
            std::vector<asio::awaitable<int>> parts;
            for (int i = 0; i < size; ++i) {
                parts.push_back(after_turns(i % 3, i));
            }
            const std::vector<int> values = co_await when_all(std::move(parts));
            EXPECT_EQ(values.size(), static_cast<std::size_t>(size));
            for (int i = 0; i < size; ++i) {
                EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
            }
        }
    };
    for (const int size : {0, 1, 1000}) {
        run_coroutine(Body::run(size));
    }
}

TEST(StructuredTest, A3_20_RaceOfNoPartsIsRefused) {
    struct Body {
        static asio::awaitable<void> run() {
            std::vector<asio::awaitable<int>> none;
            co_await race(std::move(none));
        }
    };
    try {
        run_coroutine(Body::run());
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
    }
}

TEST(StructuredTest, A3_20_LaterErrorsAreLoggedAndTheFirstIsThrown) {
    struct Body {
        /// Answers its cancellation with an error of its own.
        static asio::awaitable<int> sore_loser() {
            try {
                co_await sleep(for_ever);
            } catch (const Cancelled&) {
                throw std::runtime_error("could not clean up");
            }
            co_return 0;
        }
        static asio::awaitable<void> run() { co_await when_all(sore_loser(), fail_after(2, 7)); }
    };
    const LogCapture log;
    try {
        run_coroutine(Body::run());
        FAIL() << "no error";
    } catch (const Oddity& error) {
        EXPECT_EQ(error.number, 7);
    }
    ASSERT_EQ(log.lines.size(), 1U);
    EXPECT_NE(log.lines.front().find("could not clean up"), std::string::npos);
}

TEST(StructuredTest, A3_20_SettledCancelsNothing) {
    struct Body {
        static asio::awaitable<void> run() {
            std::vector<asio::awaitable<int>> parts;
            parts.push_back(fail_after(0, 1));
            parts.push_back(after_turns(4, 2));
            parts.push_back(fail_after(2, 3));
            auto results = co_await when_all_settled(std::move(parts));
            EXPECT_EQ(results.size(), 3U);
            EXPECT_FALSE(results.at(0).ok());
            EXPECT_EQ(results.at(1).value(), 2);
            EXPECT_THROW(results.at(2).value(), Oddity);
        }
    };
    const LogCapture log;
    run_coroutine(Body::run());
    EXPECT_TRUE(log.lines.empty());
}

TEST(StructuredTest, A3_20_RaceEndsWithTheFirstAndWaitsForTheOthers) {
    struct Body {
        static asio::awaitable<void> run(int& alive, bool& ended) {
            bool begun = false;
            auto winner =
                co_await race(never(alive), slow_to_end(begun, ended), after_turns(3, 42));
            EXPECT_EQ(winner.index(), 2U);
            EXPECT_EQ(std::get<2>(winner), 42);
            EXPECT_TRUE(begun);
            EXPECT_TRUE(ended);
            EXPECT_EQ(alive, 0);
        }
    };
    int alive = 0;
    bool ended = false;
    run_coroutine(Body::run(alive, ended));
}

TEST(StructuredTest, A3_20_RaceEndsWithTheFirstError) {
    struct Body {
        static asio::awaitable<void> run(int& alive) {
            std::vector<asio::awaitable<int>> parts;
            parts.push_back(never(alive));
            parts.push_back(fail_after(2, 9));
            parts.push_back(after_turns(3, 1));
            co_await race(std::move(parts));
        }
    };
    int alive = 0;
    EXPECT_THROW(run_coroutine(Body::run(alive)), Oddity);
    EXPECT_EQ(alive, 0);
}

TEST(StructuredTest, A3_20_ReadyErrorKeepsLaterPartsFromBeginning) {
    struct Body {
        static asio::awaitable<int> mark(bool& begun) {
            begun = true;
            co_return 1;
        }
        static asio::awaitable<void> run(bool& begun) {
            co_await when_all(fail_after(0, 1), mark(begun));
        }
    };
    bool begun = false;
    EXPECT_THROW(run_coroutine(Body::run(begun)), Oddity);
    EXPECT_FALSE(begun);
}

TEST(StructuredTest, A3_20_LimitsAtTheEdges) {
    struct Body {
        static asio::awaitable<int> mark(bool& begun) {
            begun = true;
            co_return 1;
        }
        static asio::awaitable<void> run(std::chrono::milliseconds limit, bool& begun) {
            co_await with_timeout(limit, mark(begun));
        }
    };
    for (const auto limit : {0ms, -1ms, std::chrono::milliseconds::min()}) {
        bool begun = false;
        EXPECT_THROW(run_coroutine(Body::run(limit, begun)), Timeout);
        EXPECT_FALSE(begun);
    }
    for (const std::chrono::milliseconds limit : {for_ever, for_ever - 1ms, for_ever / 1000}) {
        bool begun = false;
        EXPECT_NO_THROW(run_coroutine(Body::run(limit, begun)));
        EXPECT_TRUE(begun);
    }
}

TEST(StructuredTest, A3_20_OnStrandsOfSeveralThreads) {
    struct Body {
        static asio::awaitable<void> run(std::atomic<int>& done) {
            int sum = 0;  // Only the strand keeps it whole.
            for (int round = 0; round < 20; ++round) {
                int alive = 0;
                auto winner = co_await race(never(alive), after_turns(round % 4, 1));
                sum += std::get<1>(winner);
                auto [a, b] = co_await when_all(after_turns(2, 1), after_turns(1, 1));
                sum += a + b;
            }
            done += sum;
        }
    };
    asio::thread_pool pool(4);
    std::atomic<int> done = 0;
    std::vector<Spawned> all;
    for (int i = 0; i < 16; ++i) {
        all.emplace_back(asio::make_strand(pool), Body::run(done));
    }
    pool.join();
    for (const Spawned& each : all) {
        EXPECT_NO_THROW(each.rethrow());
    }
    EXPECT_EQ(done, 16 * 20 * 3);
}

TEST(StructuredTest, F27_EarlyFailureIsReportedAtOnceAndAsItIs) {
    struct Body {
        static asio::awaitable<void> run(int turns) {
            co_await with_timeout(1h, fail_after(turns, 11));
        }
    };
    for (const int turns : {0, 3}) {
        try {
            run_coroutine(Body::run(turns));  // The watchdog would end a wait for the limit.
            FAIL() << "no error";
        } catch (const Oddity& error) {
            EXPECT_EQ(error.number, 11);
        }
    }
}

TEST(StructuredTest, F28_FirstErrorKeepsItsTypeAndSiblingsAreJoined) {
    struct Body {
        static asio::awaitable<void> run(bool& begun, bool& ended, bool& joined, int& alive) {
            try {
                co_await when_all(
                    slow_to_end(begun, ended),
                    fail_after(2, 3),
                    never(alive),
                    after_turns(1, 1)
                );
            } catch (const Oddity& error) {
                joined = error.number == 3 && ended && alive == 0;
                throw;
            }
        }
    };
    bool begun = false;
    bool ended = false;
    bool joined = false;
    int alive = 0;
    EXPECT_THROW(run_coroutine(Body::run(begun, ended, joined, alive)), Oddity);
    EXPECT_TRUE(begun);
    EXPECT_TRUE(joined);
}

}  // namespace llmproc::loop_tests
