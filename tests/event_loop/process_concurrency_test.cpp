#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/process_support.hpp"
#include "support/resources.hpp"
#include "support/sanitizers.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using testing::expect_whole_exchanges;
using testing::Resources;
using testing::settled;
using testing::wait_for_none_pending;
using testing::watchdog;

constexpr int callers = 64;
constexpr int calls_each = 20;

/// Requests stop of what it is given, on its own thread and at its own pace.
class Stopper {
public:
    Stopper() : thread_([this] { work(); }) {}
    Stopper(const Stopper&) = delete;
    Stopper& operator=(const Stopper&) = delete;
    ~Stopper() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    void soon(std::stop_source stop) {
        {
            const std::lock_guard lock(mutex_);
            waiting_.push_back(std::move(stop));
        }
        changed_.notify_all();
    }

private:
    void work() {
        std::unique_lock lock(mutex_);
        while (!ended_ || !waiting_.empty()) {
            if (waiting_.empty()) {
                changed_.wait(lock);
                continue;
            }
            std::stop_source stop = std::move(waiting_.back());
            waiting_.pop_back();
            lock.unlock();
            stop.request_stop();
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::stop_source> waiting_;
    bool ended_ = false;
    std::thread thread_;
};

/// How calls ended, counted by all threads.
struct Tally {
    std::atomic<int> values{0};
    std::atomic<int> wrong_values{0};
    std::atomic<int> cancelled{0};
    std::atomic<int> timeouts{0};
    std::atomic<int> closed{0};
    std::mutex mutex;
    std::vector<std::string> others;

    int ended() const { return values + cancelled + timeouts + closed; }
};

/// One thread's calls, chosen by a generator with a fixed seed.
class Caller {
public:
    Caller(SyncLLMProcess& process, Stopper& stopper, Tally& tally, int number)
        : process_(process),
          stopper_(stopper),
          tally_(tally),
          number_(number),
          random_(static_cast<std::mt19937::result_type>(number)) {}

    void work() {
        for (int i = 0; i < calls_each; ++i) {
            prompt_ = std::to_string(number_) + "/" + std::to_string(i);
            const bool right = guarded();
            tally_.wrong_values += right ? 0 : 1;
        }
    }

private:
    int below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }

    bool guarded() {
        try {
            const bool right = call();
            ++tally_.values;
            return right;
        } catch (const ProcessClosed&) {
            ++tally_.closed;
        } catch (const Cancelled& error) {
            ++tally_.cancelled;
            return error.reason() == CancelReason::user;
        } catch (const Timeout&) {
            ++tally_.timeouts;
        } catch (const std::exception& error) {
            const std::lock_guard lock(tally_.mutex);
            tally_.others.emplace_back(error.what());
        }
        return true;
    }

    /// A call of a random kind; whether its value is right.
    bool call() {
        const int kind = below(100);
        if (kind < 35) {
            return is_answer(process_.run(prompt_).text());
        }
        if (kind < 55) {
            const milliseconds limit(1 + below(5));
            return is_answer(process_.run(prompt_, RunOptions().timeout(limit)).text());
        }
        if (kind < 75) {
            const RunOptions stoppable = stopped_soon();
            return is_answer(process_.run(prompt_, stoppable).text());
        }
        if (kind < 85) {
            return read_some(process_.stream(prompt_), below(4));
        }
        if (kind < 90) {
            return read_some(process_.stream(prompt_, stopped_soon()), below(4));
        }
        if (kind < 97) {
            return is_answer(process_.complete(ChatRequest(prompt_)).text());
        }
        // Also keeps the requests short.
        process_.reset();
        return true;
    }

    RunOptions stopped_soon() {
        std::stop_source stop;
        RunOptions options;
        options.stop_token(stop.get_token());
        stopper_.soon(std::move(stop));
        return options;
    }

    /// Leaves the stream after `count` events; none means that it is read to its end.
    bool read_some(SyncStream stream, int count) {
        if (count == 0) {
            return is_answer(stream.result().text());
        }
        std::string text;
        for (int i = 0; i < count; ++i) {
            const std::optional<StreamEvent> event = stream.next();
            text += event ? event->text() : std::string_view();
        }
        return ("You said: " + prompt_).compare(0, text.size(), text) == 0;
    }

    bool is_answer(const std::string& text) const { return text == "You said: " + prompt_; }

    SyncLLMProcess& process_;
    Stopper& stopper_;
    Tally& tally_;
    const int number_;
    std::mt19937 random_;
    std::string prompt_;
};

/// Runs the callers; `beside` runs on the calling thread meanwhile.
void call_from_many_threads(
    SyncLLMProcess& process,
    Tally& tally,
    const std::function<void()>& beside
) {
    Stopper stopper;
    std::vector<std::thread> threads;
    for (int number = 0; number < callers; ++number) {
        threads.emplace_back([&process, &stopper, &tally, number] {
            Caller(process, stopper, tally, number).work();
        });
    }
    beside();
    for (std::thread& thread : threads) {
        thread.join();
    }
}

void expect_only_typed_endings(const Tally& tally) {
    EXPECT_EQ(tally.ended(), callers * calls_each);
    EXPECT_EQ(tally.wrong_values.load(), 0);
    for (const std::string& other : tally.others) {
        ADD_FAILURE() << other;
    }
}

class ConcurrencyTest : public testing::ProcessFixture {
protected:
    void SetUp() override { warm_up(); }

    Resources quiet() {
        EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
        return Resources::now();
    }
};

TEST_F(ConcurrencyTest, F17_EveryCallOfManyThreadsEndsAndTheConversationStaysWhole) {
    const Resources before = quiet();
    Tally tally;
    {
        SyncLLMProcess process = program().start_sync();
        call_from_many_threads(process, tally, [&] {
            while (tally.ended() < callers * calls_each / 2) {
                expect_whole_exchanges(process.messages());
                std::this_thread::yield();
            }
        });
        expect_whole_exchanges(process.messages());
        wait_for_none_pending(process);
        EXPECT_EQ(process.loop().stats().handler_exceptions, 0U);
        // Nobody is left in the line.
        EXPECT_EQ(process.run("after").text(), "You said: after");
    }
    expect_only_typed_endings(tally);
    EXPECT_GT(tally.values.load(), callers * calls_each / 4);
    EXPECT_EQ(tally.closed.load(), 0);
    quiet();
    EXPECT_EQ(settled(before, watchdog), before);
}

TEST_F(ConcurrencyTest, F4_CloseInTheMiddleEndsEveryCall) {
    const Resources before = quiet();
    for (int share = 1; share <= 4; ++share) {
        Tally tally;
        SyncLLMProcess process = program().start_sync();
        call_from_many_threads(process, tally, [&] {
            while (tally.ended() < callers * calls_each * share / 8) {
                std::this_thread::yield();
            }
            EXPECT_TRUE(process.close().drained);
        });
        expect_only_typed_endings(tally);
        EXPECT_GT(tally.closed.load(), 0);
        expect_whole_exchanges(process.messages());
        EXPECT_THROW(process.run("after"), ProcessClosed);
    }
    quiet();
    EXPECT_EQ(settled(before, watchdog), before);
}

/// Streams that others read while their process dies, and that outlive it.
TEST_F(ConcurrencyTest, F45_StreamsMayBeReadAndDestroyedWhileTheirProcessDies) {
    const Resources before = quiet();
    constexpr int rounds = testing::sanitized ? 30 : 100;
    std::mt19937 random(7);
    for (int round = 0; round < rounds; ++round) {
        auto process = std::make_unique<SyncLLMProcess>(program().start_sync());
        const bool hangs = random() % 2 == 0;
        if (hangs) {
            server.push(testing::openai_chat_stream({"a", "b"}).hold_after(700));
        }
        std::optional<SyncStream> stream(process->stream("a b c d e f"));
        std::thread reader([&stream, leaves_early = random() % 2 == 0] {
            try {
                while (stream->next() && !leaves_early) {}
            } catch (const ProcessClosed&) {
                // The process was faster.
            } catch (const std::exception& error) {
                ADD_FAILURE() << error.what();
            }
            stream.reset();
        });
        for (auto turns = random() % 50; turns > 0; --turns) {
            std::this_thread::yield();
        }
        process.reset();
        reader.join();
    }
    quiet();
    EXPECT_EQ(settled(before, watchdog), before);
}

}  // namespace
}  // namespace llmproc
