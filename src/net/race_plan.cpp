#include "net/race_plan.hpp"

#include <algorithm>
#include <cerrno>

namespace llmproc::net {

namespace {

int rank_of(const boost::system::error_code& error) {
    switch (error.value()) {
        case EMFILE:
        case ENFILE: return 4;
        case ECONNREFUSED: return 3;
        case ENETUNREACH:
        case EADDRNOTAVAIL:
        case EAFNOSUPPORT: return 1;
        default: return 2;
    }
}

}  // namespace

Addresses take_turns(const Addresses& addresses) {
    Addresses first;
    Addresses second;
    for (const auto& address : addresses) {
        Addresses& family = address.protocol() == addresses.front().protocol() ? first : second;
        if (std::find(family.begin(), family.end(), address) == family.end()) {
            family.push_back(address);
        }
    }
    Addresses order;
    order.reserve(first.size() + second.size());
    for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
        if (i < first.size()) {
            order.push_back(first[i]);
        }
        if (i < second.size()) {
            order.push_back(second[i]);
        }
    }
    return order;
}

RaceMove RacePlan::next(TimePoint now) noexcept {
    RaceMove move;
    if (started_ == addresses_) {
        move.what = failed_ == started_ ? RaceMove::What::give_up : RaceMove::What::wait;
        return move;
    }
    if (now >= next_start_) {
        move.what = RaceMove::What::start;
        move.index = started_++;
        next_start_ = now + connection_attempt_delay;
        return move;
    }
    move.what = RaceMove::What::wait;
    move.until = next_start_;
    return move;
}

void RacePlan::failed() noexcept {
    ++failed_;
    next_start_ = TimePoint::min();
}

void MostUsefulRefusal::add(
    const boost::system::error_code& error,
    const Addresses::value_type& address
) {
    const int rank = rank_of(error);
    if (rank > rank_) {
        rank_ = rank;
        refusal_.error = error;
        refusal_.address = address.address().to_string();
    }
}

}  // namespace llmproc::net
