/// @file
/// What the handler that a thread runs is called, for a loop that times its handlers.
#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace llmproc::async {

/// One watched handler; while it lives it is told by `note_handler`.
class HandlerWatch {
public:
    HandlerWatch() noexcept : outer_(current()) { current() = this; }
    HandlerWatch(const HandlerWatch&) = delete;
    HandlerWatch& operator=(const HandlerWatch&) = delete;
    ~HandlerWatch() { current() = outer_; }

    /// Of the calling thread; null where nobody watches, as nearly always.
    static HandlerWatch*& current() noexcept {
        thread_local HandlerWatch* watch = nullptr;
        return watch;
    }

    void note(const std::string& handler) {
        if (!began) {
            began = std::chrono::steady_clock::now();
        }
        if (name.empty()) {
            name = handler;
        }
    }

    std::optional<std::chrono::steady_clock::time_point> began;
    std::string name;

private:
    HandlerWatch* const outer_;
};

/// To be called where a handler begins that knows its name, which may be empty.
inline void note_handler(const std::string& name) {
    if (HandlerWatch* const watch = HandlerWatch::current()) {
        watch->note(name);
    }
}

}  // namespace llmproc::async
