/// @file
/// Keeps the events of calls for a test.
#pragma once

#include <llmproc/observer.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace llmproc::testing {

/// An event whose texts are its own.
struct RecordedEvent {
    RecordedEvent() = default;
    explicit RecordedEvent(const CallEvent& from)
        : event(from),
          operation(from.operation),
          provider(from.provider),
          model(from.model),
          server_address(from.server_address),
          tls_version(from.tls_version),
          peer_address(from.peer_address),
          request_id(from.request_id) {
        if (from.usage != nullptr) {
            usage = *from.usage;
        }
    }

    CallEvent event;  ///< Its views and pointer must not be used.
    std::string operation;
    std::string provider;
    std::string model;
    std::string server_address;
    std::string tls_version;
    std::string peer_address;
    std::string request_id;
    Usage usage;
};

class RecordingObserver final : public Observer {
public:
    void on_event(const CallEvent& event) noexcept override {
        {
            const std::lock_guard lock(mutex_);
            events_.emplace_back(event);
        }
        changed_.notify_all();
    }

    std::vector<RecordedEvent> events() const {
        const std::lock_guard lock(mutex_);
        return events_;
    }
    std::vector<RecordedEvent> events(CallStep step) const {
        std::vector<RecordedEvent> some;
        for (const RecordedEvent& entry : events()) {
            if (entry.event.step == step) {
                some.push_back(entry);
            }
        }
        return some;
    }
    std::size_t count(CallStep step) const { return events(step).size(); }
    /// The names of all steps, in order, separated by blanks.
    std::string steps() const {
        std::string text;
        for (const RecordedEvent& entry : events()) {
            text += text.empty() ? "" : " ";
            text += to_string(entry.event.step);
        }
        return text;
    }
    /// True once `step` was reported `n` times; false when the time is over.
    bool wait_for(CallStep step, std::size_t n, std::chrono::milliseconds time) const {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, time, [&] {
            const auto seen = std::count_if(events_.begin(), events_.end(), [&](const auto& entry) {
                return entry.event.step == step;
            });
            return static_cast<std::size_t>(seen) >= n;
        });
    }

private:
    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::vector<RecordedEvent> events_;
};

}  // namespace llmproc::testing
