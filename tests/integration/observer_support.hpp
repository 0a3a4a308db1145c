/// @file
/// What the tests of observation share.
#pragma once

#include <llmproc/program.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/recording_observer.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace llmproc::testing {

/// The steps of a first request, up to its answer.
inline const std::string fresh = "dns connect tls request first_byte";

class ObserverTest : public ::testing::Test {
protected:
    ObserverTest() { server.handle(openai_chat_echo); }

    LLMProgram program(const std::string& more = "", const std::string& retry = no_retry) {
        return testing::program_for(server, more, retry).with_observer(observer);
    }
    std::vector<RecordedEvent> events() const { return observer->events(); }
    RecordedEvent last() const { return observer->events().back(); }

    ScriptedServer server;
    std::shared_ptr<RecordingObserver> observer = std::make_shared<RecordingObserver>();
};

/// No duration is negative, and the steps fit into their call.
inline void expect_sane_durations(const std::vector<RecordedEvent>& events) {
    std::map<std::uint64_t, std::chrono::nanoseconds> steps;
    for (const RecordedEvent& entry : events) {
        const CallEvent& event = entry.event;
        EXPECT_GE(event.duration, std::chrono::nanoseconds(0)) << to_string(event.step);
        if (event.step != CallStep::done) {
            steps[event.call] += event.duration;
        } else {
            EXPECT_LE(steps[event.call], event.duration);
        }
    }
}

}  // namespace llmproc::testing
