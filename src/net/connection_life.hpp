/// @file
/// How long a connection may be used again; pure, the clock is passed in.
#pragma once

#include "wire/keep_alive.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <limits>

namespace llmproc::net {

using PoolTime = std::chrono::steady_clock::time_point;
using PoolDuration = std::chrono::steady_clock::duration;

/// What the client allows.
struct ReuseLimits {
    ReuseLimits() = default;
    /// Times beyond the clock's range mean none.
    ReuseLimits(std::chrono::milliseconds idle, std::chrono::milliseconds age) noexcept
        : idle_timeout(within_range(idle)),
          max_age(within_range(age)) {}

    PoolDuration idle_timeout = PoolDuration::max();
    PoolDuration max_age = PoolDuration::max();

private:
    static PoolDuration within_range(std::chrono::milliseconds time) noexcept {
        constexpr auto most = std::chrono::floor<std::chrono::milliseconds>(PoolDuration::max());
        return time >= most ? PoolDuration::max() : PoolDuration(time);
    }
};

/// The age of one connection, and what its server said in `Keep-Alive`.
class ConnectionLife {
public:
    explicit ConnectionLife(PoolTime opened) noexcept : opened_(opened), idle_since_(opened) {}

    /// A request is about to be sent.
    void begin_request() noexcept {
        if (requests_left_ != unlimited && requests_left_ != 0) {
            --requests_left_;
        }
    }

    /// The answer to the last request had this hint.
    /// We stop a second before the server does, so that no request meets its close; of a timeout
    /// below two seconds half is used. Apache counts `max` down and Node always sends the same
    /// number: a new one never takes back what an earlier one said.
    void note(const wire::KeepAlive& hint) noexcept {
        if (hint.timeout) {
            constexpr PoolDuration margin = std::chrono::seconds(1);
            const PoolDuration timeout = *hint.timeout;
            server_timeout_ = timeout - std::min(margin, timeout / 2);
        }
        if (hint.max) {
            requests_left_ = std::min(requests_left_, *hint.max);
        }
    }

    /// The last answer is read. False: it must not be used again, whoever asks.
    bool rest(PoolTime now, PoolDuration max_age) noexcept {
        idle_since_ = now;
        return requests_left_ != 0 && server_timeout_ > PoolDuration::zero() &&
               now - opened_ < max_age;
    }

    /// Whether it may be used at `now`, having been idle since `rest`.
    bool usable(PoolTime now, const ReuseLimits& limits) const noexcept {
        const PoolDuration idle = now - idle_since_;
        return requests_left_ != 0 && idle < limits.idle_timeout && idle < server_timeout_ &&
               now - opened_ < limits.max_age;
    }

private:
    static constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max();

    PoolTime opened_;
    PoolTime idle_since_;
    PoolDuration server_timeout_ = PoolDuration::max();
    std::uint32_t requests_left_ = unlimited;
};

}  // namespace llmproc::net
