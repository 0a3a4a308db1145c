/// @file
/// A reply as it comes, for blocking code.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/stream_event.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>

namespace llmproc {

class StreamState;

/// A reply as it comes: an input range, `for (const StreamEvent& event : process.stream("..."))`.
/// Move-only; leaving the loop early and destroying it cancels the run, the conversation stays as
/// it was. While it is open, another run on the opening thread throws ReentrantCall; runs of other
/// threads queue.
///
/// Lifetime: may outlive the process; then it ends with ProcessClosed.
/// Thread safety: one consumer at a time.
class LLMPROC_API SyncStream {
public:
    /// Single pass; all copies advance together.
    class LLMPROC_API Iterator {
    public:
        using iterator_concept = std::input_iterator_tag;
        using difference_type = std::ptrdiff_t;
        using value_type = StreamEvent;

        Iterator() = default;
        explicit Iterator(SyncStream& stream);
        const StreamEvent& operator*() const;
        const StreamEvent* operator->() const { return &**this; }
        Iterator& operator++();
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept {
            return it.at_end();
        }

    private:
        bool at_end() const noexcept;
        SyncStream* stream_ = nullptr;
    };

    explicit SyncStream(std::shared_ptr<StreamState> state) noexcept;
    SyncStream(SyncStream&&) noexcept = default;
    SyncStream& operator=(SyncStream&& other) noexcept;
    ~SyncStream();

    Iterator begin() { return Iterator(*this); }
    std::default_sentinel_t end() const noexcept { return std::default_sentinel; }

    /// Blocks for the next event; nothing at the end. Throws LLMError with the partial text.
    std::optional<StreamEvent> next();
    /// Reads to the end and returns what `run` would have returned.
    RunResult result();

private:
    std::shared_ptr<StreamState> state_;
    std::optional<StreamEvent> current_;
};

}  // namespace llmproc
