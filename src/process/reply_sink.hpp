/// @file
/// Where a streamed reply goes.
#pragma once

#include <llmproc/provider.hpp>

#include <boost/asio/awaitable.hpp>

namespace llmproc {

/// Takes a streamed reply as it comes.
class ReplySink {
public:
    ReplySink() = default;
    ReplySink(const ReplySink&) = delete;
    ReplySink& operator=(const ReplySink&) = delete;
    virtual ~ReplySink() = default;

    /// The provider has accepted the request; events follow. May be repeated before the first.
    virtual void opened() = 0;
    /// Takes the events of one read, leaving `batch` empty; waits while the consumer is behind.
    virtual boost::asio::awaitable<void> deliver(StreamEvents& batch) = 0;

    /// Whether something was delivered: then nothing is asked again.
    bool delivered() const noexcept { return delivered_; }
    void note_delivery() noexcept { delivered_ = true; }

private:
    bool delivered_ = false;
};

}  // namespace llmproc
