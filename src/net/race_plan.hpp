/// @file
/// Which address to try when (RFC 8305, "Happy Eyeballs"); pure, the clock is passed in.
#pragma once

#include "net/resolver.hpp"

#include <boost/system/error_code.hpp>

#include <chrono>
#include <cstddef>
#include <string>

namespace llmproc::net {

/// Time for which an attempt has the network for itself (RFC 8305, section 5).
constexpr std::chrono::milliseconds connection_attempt_delay{250};

/// The addresses with their families taking turns, the first address first (RFC 8305, section 4).
/// The order within a family stays; repeated addresses are left out.
Addresses take_turns(const Addresses& addresses);

/// What a race has to do.
struct RaceMove {
    enum class What {
        start,    ///< Begin to connect to address `index`, then ask again.
        wait,     ///< Until an attempt ends, or until `until`.
        give_up,  ///< All addresses have failed.
    };
    using TimePoint = std::chrono::steady_clock::time_point;

    What what = What::give_up;
    std::size_t index = 0;
    TimePoint until = TimePoint::max();
};

/// Staggers the attempts of one race.
class RacePlan {
public:
    using TimePoint = RaceMove::TimePoint;

    explicit RacePlan(std::size_t addresses) noexcept : addresses_(addresses) {}

    /// What to do at `now`, which must not lie before that of an earlier call.
    RaceMove next(TimePoint now) noexcept;
    /// A started attempt has failed: the next one need not wait.
    void failed() noexcept;

private:
    const std::size_t addresses_;
    std::size_t started_ = 0;
    std::size_t failed_ = 0;
    TimePoint next_start_ = TimePoint::min();
};

/// Why an address could not be connected to.
struct Refusal {
    boost::system::error_code error;
    std::string address;
};

/// Keeps, of all refusals of a race, the one that helps most: that we may open no socket; then that
/// a host refused; then that one was silent or unreachable; and last that there is no route at all,
/// as with IPv6 on most machines. Of equal ones the first.
class MostUsefulRefusal {
public:
    void add(const boost::system::error_code& error, const Addresses::value_type& address);
    const Refusal& get() const noexcept { return refusal_; }

private:
    Refusal refusal_;
    int rank_ = 0;
};

}  // namespace llmproc::net
