#include <llmproc/context_map.hpp>
#include <llmproc/log.hpp>
#include "core/log_line.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

class LogTest : public testing::Test {
protected:
    void TearDown() override { set_log_sink(LogLevel::warning, nullptr); }
};

TEST_F(LogTest, PrintsWarningsAndNothingBelowByDefault) {
    testing::internal::CaptureStderr();
    log_line(LogLevel::debug, "debug");
    log_line(LogLevel::info, "info");
    log_line(LogLevel::warning, "look\nout");
    log_line(LogLevel::error, "broken");
    EXPECT_EQ(
        testing::internal::GetCapturedStderr(),
        "llmproc warning: look out\nllmproc error: broken\n"
    );
}

TEST_F(LogTest, SendsLinesFromTheMinimumOn) {
    std::vector<std::pair<LogLevel, std::string>> lines;
    set_log_sink(LogLevel::info, [&](LogLevel level, std::string_view text) {
        lines.emplace_back(level, text);
    });
    EXPECT_FALSE(log_enabled(LogLevel::debug));
    EXPECT_TRUE(log_enabled(LogLevel::info));
    log_line(LogLevel::debug, "no");
    log_line(LogLevel::info, "one");
    log_line(LogLevel::error, "two\r\nlines");
    const std::vector<std::pair<LogLevel, std::string>> expected = {
        {LogLevel::info, "one"},
        {LogLevel::error, "two  lines"}};
    EXPECT_EQ(lines, expected);
}

TEST_F(LogTest, OffIsSilent) {
    bool called = false;
    set_log_sink(LogLevel::off, [&](LogLevel, std::string_view) { called = true; });
    log_line(LogLevel::error, "x");
    log_line(LogLevel::off, "x");
    EXPECT_FALSE(called);
    set_log_sink(LogLevel::debug, [&](LogLevel, std::string_view) { called = true; });
    log_line(LogLevel::off, "x");
    EXPECT_FALSE(called);
}

TEST_F(LogTest, DropsWhatASinkThrows) {
    int calls = 0;
    set_log_sink(LogLevel::debug, [&](LogLevel, std::string_view) {
        ++calls;
        throw std::runtime_error("sink");
    });
    log_line(LogLevel::error, "x");
    log_line(LogLevel::error, "y");
    EXPECT_EQ(calls, 2);
}

TEST_F(LogTest, ASinkMayReplaceItselfAndLog) {
    std::vector<std::string> lines;
    set_log_sink(LogLevel::debug, [&](LogLevel, std::string_view text) {
        lines.emplace_back(text);
        set_log_sink(LogLevel::debug, [&lines](LogLevel, std::string_view later) {
            lines.push_back("second: " + std::string(later));
        });
        log_line(LogLevel::info, "inner");
    });
    log_line(LogLevel::info, "outer");
    EXPECT_EQ(lines, (std::vector<std::string>{"outer", "second: inner"}));
}

TEST_F(LogTest, ThreadsMayLogWhileTheSinkChanges) {
    std::atomic<int> lines{0};
    const LogSink sink = [&](LogLevel, std::string_view) { ++lines; };
    set_log_sink(LogLevel::debug, sink);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([] {
            for (int n = 0; n < 500; ++n) {
                log_line(LogLevel::info, "line");
            }
        });
    }
    for (int n = 0; n < 500; ++n) {
        set_log_sink(LogLevel::debug, sink);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_EQ(lines, 2000);
}

TEST_F(LogTest, ALoggerPutsItsNameBeforeAndTheContextBehind) {
    std::vector<std::pair<LogLevel, std::string>> lines;
    set_log_sink(LogLevel::debug, [&](LogLevel level, std::string_view text) {
        lines.emplace_back(level, text);
    });
    const Logger logger("heartbeat");
    logger.debug("no context");
    {
        const ContextScope scope(
            ContextMap().with("task", "heartbeat").with("secret", 5).with("trace", "7")
        );
        logger.info("alive");
        logger.warning("two\nlines\x1b[0m");
        log_line(LogLevel::error, "from inside");
    }
    Logger("").error("after");
    const std::vector<std::pair<LogLevel, std::string>> expected = {
        {LogLevel::debug, "heartbeat: no context"},
        {LogLevel::info, "heartbeat: alive [task=heartbeat trace=7]"},
        {LogLevel::warning, "heartbeat: two lines [0m [task=heartbeat trace=7]"},
        {LogLevel::error, "from inside [task=heartbeat trace=7]"},
        {LogLevel::error, "after"}};
    EXPECT_EQ(lines, expected);
    EXPECT_EQ(logger.name(), "heartbeat");
}

TEST_F(LogTest, ALoggerBelowTheMinimumIsSilentAndNeverThrows) {
    int calls = 0;
    set_log_sink(LogLevel::warning, [&](LogLevel, std::string_view) {
        ++calls;
        throw std::runtime_error("sink");
    });
    const Logger logger("x");
    logger.info("no");
    EXPECT_EQ(calls, 0);
    logger.error("yes");
    EXPECT_EQ(calls, 1);
}

TEST_F(LogTest, LevelsHaveNames) {
    EXPECT_EQ(to_string(LogLevel::debug), "debug");
    EXPECT_EQ(to_string(LogLevel::info), "info");
    EXPECT_EQ(to_string(LogLevel::off), "off");
}

}  // namespace
}  // namespace llmproc
