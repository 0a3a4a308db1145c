#include <llmproc/error.hpp>
#include <llmproc/sync_stream.hpp>
#include "process/stream_state.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace llmproc {

SyncStream::SyncStream(std::shared_ptr<StreamState> state) noexcept : state_(std::move(state)) {}

SyncStream& SyncStream::operator=(SyncStream&& other) noexcept {
    const SyncStream replaced(std::move(*this));
    state_ = std::move(other.state_);
    current_ = std::move(other.current_);
    return *this;
}

SyncStream::~SyncStream() {
    StreamState::let_go(std::move(state_));
}

std::optional<StreamEvent> SyncStream::next() {
    if (!state_) {
        throw LLMError(Errc::invalid_handle, "this stream was moved from");
    }
    state_->check_may_block();
    return state_->next();
}

RunResult SyncStream::result() {
    while (next()) {
        // Only the end is of interest here.
    }
    return state_->result();
}

SyncStream::Iterator::Iterator(SyncStream& stream) : stream_(&stream) {
    if (!stream.current_) {
        ++*this;
    }
}

const StreamEvent& SyncStream::Iterator::operator*() const {
    return *stream_->current_;
}

SyncStream::Iterator& SyncStream::Iterator::operator++() {
    stream_->current_ = stream_->next();
    return *this;
}

bool SyncStream::Iterator::at_end() const noexcept {
    return stream_ == nullptr || !stream_->current_;
}

}  // namespace llmproc
