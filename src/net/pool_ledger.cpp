#include "net/pool_ledger.hpp"

#include "net/net_settings.hpp"

#include <algorithm>
#include <utility>

namespace llmproc::net {

PoolDemand::PoolDemand(const NetSettings& settings) noexcept
    : max_lent(std::max<std::size_t>(settings.max_connections_per_host, 1)),
      max_total(std::max(settings.max_connections, max_lent)),
      limits(settings.idle_timeout, settings.max_age) {}

PoolGrant PoolLedger::admit(
    PoolAccount& account,
    const PoolDemand& demand,
    PoolTime now,
    PoolDiscards& dropped
) noexcept {
    PoolGrant grant;
    if (account.lent >= account.max_lent) {
        return grant;
    }
    grant.item = idle_.take(account.idle, now, demand.limits, dropped);
    if (!grant.item) {
        if (lent_ >= demand.max_total) {
            return grant;
        }
        // The account has no idle item left, so what is dropped belongs to others.
        while (total() >= demand.max_total) {
            idle_.drop_oldest(dropped);
        }
    }
    ++account.lent;
    ++lent_;
    grant.granted = true;
    return grant;
}

void PoolLedger::give_back(PoolAccount& account, PoolItemPtr kept) noexcept {
    --account.lent;
    --lent_;
    if (kept) {
        idle_.put(account.idle, std::move(kept));
    }
}

std::vector<PoolLedger::Lane>::iterator PoolLedger::lane_of(const PoolTicket& ticket) noexcept {
    return std::find_if(lanes_.begin(), lanes_.end(), [&ticket](const Lane& lane) {
        return lane.account == ticket.account_ && lane.max_total == ticket.demand_.max_total;
    });
}

void PoolLedger::join(PoolTicket& ticket) {
    const auto lane = lane_of(ticket);
    if (lane == lanes_.end()) {
        lanes_.push_back(Lane{ticket.account_, ticket.demand_.max_total, &ticket, &ticket});
    } else {
        ticket.ahead_ = lane->last;
        lane->last->behind_ = &ticket;
        lane->last = &ticket;
    }
    ticket.number_ = ++last_number_;
    ticket.queued_ = true;
    ++ticket.account_->waiting;
    ++waiting_;
}

void PoolLedger::leave(PoolTicket& ticket) noexcept {
    if (!ticket.queued_) {
        return;
    }
    const auto lane = lane_of(ticket);
    (ticket.ahead_ != nullptr ? ticket.ahead_->behind_ : lane->first) = ticket.behind_;
    (ticket.behind_ != nullptr ? ticket.behind_->ahead_ : lane->last) = ticket.ahead_;
    if (lane->first == nullptr) {
        *lane = lanes_.back();
        lanes_.pop_back();
    }
    ticket.ahead_ = nullptr;
    ticket.behind_ = nullptr;
    ticket.queued_ = false;
    --ticket.account_->waiting;
    --waiting_;
}

PoolTicket* PoolLedger::serve_next(PoolTime now, PoolGrant& grant, PoolDiscards& dropped) noexcept {
    for (;;) {
        PoolTicket* earliest = nullptr;
        for (const Lane& lane : lanes_) {
            const bool earlier = earliest == nullptr || lane.first->number_ < earliest->number_;
            if (earlier && may_serve(*lane.account, lane.max_total)) {
                earliest = lane.first;
            }
        }
        if (earliest == nullptr) {
            return nullptr;
        }
        grant = admit(*earliest->account_, earliest->demand_, now, dropped);
        if (grant.granted) {
            leave(*earliest);
            return earliest;
        }
        // The idle ones it could have had were too old: they are gone now, so look again.
    }
}

void PoolLedger::clear() noexcept {
    idle_.clear();
    for (const Lane& lane : lanes_) {
        for (PoolTicket* ticket = lane.first; ticket != nullptr;) {
            PoolTicket* const next = ticket->behind_;
            ticket->queued_ = false;
            ticket->behind_ = nullptr;
            ticket->ahead_ = nullptr;
            --ticket->account_->waiting;
            ticket = next;
        }
    }
    lanes_.clear();
    waiting_ = 0;
}

}  // namespace llmproc::net
