/// @file
/// Time limits by stage of a call.
#pragma once

#include <llmproc/error.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>

namespace llmproc {

/// Limits of the stages of a call; a limit that is not set is taken from the program's
/// `[connection]` table, and there from `defaults()`. Each setter returns the object:
/// `Timeouts().connect(5s).idle(60s)`.
///
/// A passed limit throws `Timeout`, which names the stage. Limits of stages end one attempt, which
/// may be retried; `total` ends the call.
class Timeouts {
public:
    using Milliseconds = std::chrono::milliseconds;

    Timeouts() = default;
    /// Those of the official SDKs where they have one: 10 s to resolve, connect, shake hands and
    /// pass a proxy, each; 600 s for an attempt, for its first byte, and in any queue; 300 s between
    /// pieces of an answer; 60 s to send without progress and to get a
    /// token; no total limit.
    static Timeouts defaults() {
        using std::chrono::seconds;
        return Timeouts()
            .queue(seconds(600))
            .rate_limit(seconds(600))
            .token(seconds(60))
            .pool(seconds(600))
            .resolve(seconds(10))
            .connect(seconds(10))
            .proxy(seconds(10))
            .handshake(seconds(10))
            .write(seconds(60))
            .first_byte(seconds(600))
            .idle(seconds(300))
            .consumer(seconds(600))
            .attempt(seconds(600));
    }

    /// Waiting for earlier runs of the same process.
    Timeouts& queue(Milliseconds limit) { return set(Stage::queue, limit); }
    /// Waiting for the client-side rate limits.
    Timeouts& rate_limit(Milliseconds limit) { return set(Stage::rate_limit, limit); }
    /// Waiting for a bearer token; see token_provider.hpp.
    Timeouts& token(Milliseconds limit) { return set(Stage::token, limit); }
    /// Waiting for a connection slot.
    Timeouts& pool(Milliseconds limit) { return set(Stage::pool, limit); }
    /// Looking up the host name.
    Timeouts& resolve(Milliseconds limit) { return set(Stage::resolve, limit); }
    /// TCP connect, over all addresses of the host.
    Timeouts& connect(Milliseconds limit) { return set(Stage::connect, limit); }
    /// From asking a proxy for a tunnel to its answer.
    Timeouts& proxy(Milliseconds limit) { return set(Stage::proxy, limit); }
    /// TLS handshake.
    Timeouts& handshake(Milliseconds limit) { return set(Stage::handshake, limit); }
    /// Sending without progress.
    Timeouts& write(Milliseconds limit) { return set(Stage::write, limit); }
    /// From the end of sending to the complete header of the answer.
    Timeouts& first_byte(Milliseconds limit) { return set(Stage::first_byte, limit); }
    /// Between two pieces of the answer's body.
    Timeouts& idle(Milliseconds limit) { return set(Stage::body, limit); }
    /// Waiting for the consumer of a stream to take events.
    Timeouts& consumer(Milliseconds limit) { return set(Stage::consumer, limit); }
    /// The whole call: all attempts, and waiting for earlier runs.
    Timeouts& total(Milliseconds limit) { return set(Stage::total, limit); }
    /// One attempt, from taking a connection to the end of the answer; of a streamed answer, to its
    /// header.
    Timeouts& attempt(Milliseconds limit) {
        attempt_ = limit;
        return *this;
    }
    /// The setter behind those above.
    Timeouts& set(Stage stage, Milliseconds limit) {
        limits_[static_cast<std::size_t>(stage)] = limit;
        return *this;
    }

    std::optional<Milliseconds> limit(Stage stage) const noexcept {
        return limits_[static_cast<std::size_t>(stage)];
    }
    std::optional<Milliseconds> attempt() const noexcept { return attempt_; }

    /// These limits, with those that are not set taken from `base`.
    Timeouts over(const Timeouts& base) const {
        Timeouts merged = base;
        for (std::size_t i = 0; i < stages; ++i) {
            if (limits_[i]) {
                merged.limits_[i] = limits_[i];
            }
        }
        if (attempt_) {
            merged.attempt_ = attempt_;
        }
        return merged;
    }

private:
    static constexpr std::size_t stages = static_cast<std::size_t>(Stage::total) + 1;
    std::array<std::optional<Milliseconds>, stages> limits_;
    std::optional<Milliseconds> attempt_;
};

}  // namespace llmproc
