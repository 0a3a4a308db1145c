#include "net/caching_resolver.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace llmproc::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

struct Waiting {
    std::uint16_t port = 0;
    ResolveHandler handler;
};

/// A handler is another caller's code: what it throws must not keep others from their answer.
void tell(
    const Waiting& waiting,
    const boost::system::error_code& error,
    const Addresses& addresses
) noexcept {
    try {
        Addresses own = addresses;
        for (tcp::endpoint& address : own) {
            address.port(waiting.port);
        }
        waiting.handler(error, std::move(own));
    } catch (...) {
        // Its caller is left to its time limit.
        return;
    }
}

/// The addresses of what needs no look-up.
std::optional<Addresses> immediate(const std::string& host, std::uint16_t port) {
    if (host == "localhost") {
        Addresses both;
        both.emplace_back(asio::ip::address_v4::loopback(), port);
        both.emplace_back(asio::ip::address_v6::loopback(), port);
        return both;
    }
    boost::system::error_code error;
    const asio::ip::address address = asio::ip::make_address(host, error);
    if (error) {
        return std::nullopt;
    }
    return Addresses(1, tcp::endpoint(address, port));
}

}  // namespace

class CachingResolver::State {
public:
    /// A remembered answer, or nothing: then `waiting` was taken, and `mine` is set if its caller
    /// must ask.
    std::optional<Addresses> find_or_join(
        const std::shared_ptr<State>& self,
        const std::string& host,
        const Now& now,
        Waiting&& waiting,
        std::shared_ptr<Query>& mine
    );
    /// Ends `query` and returns who waits for it.
    std::vector<Waiting> finish(
        Query& query,
        Clock::time_point now,
        const Addresses& found
    ) noexcept;

    void forget(const std::string& host) {
        const std::lock_guard lock(mutex_);
        known_.erase(host);
    }
    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return known_.size();
    }

private:
    struct Known {
        Addresses addresses;
        Clock::time_point since;
    };

    void remember(const std::string& host, Clock::time_point now, const Addresses& found) noexcept;

    mutable std::mutex mutex_;
    std::unordered_map<std::string, Known> known_;
    /// A query ends by itself when it is lost, so it must never die with the mutex held.
    std::unordered_map<std::string, std::weak_ptr<Query>> running_;
};

/// The right to answer all who wait for a host. They are told of a failure when it is lost: by an
/// inner resolver that throws or drops its handler.
class CachingResolver::Query {
public:
    Query(std::shared_ptr<State> state, std::string host, Now now)
        : state_(std::move(state)),
          host_(std::move(host)),
          now_(std::move(now)) {}
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    ~Query() { answer(asio::error::no_recovery, Addresses()); }

    void answer(const boost::system::error_code& error, const Addresses& found) noexcept {
        if (answered_.exchange(true)) {
            return;
        }
        const std::vector<Waiting> all = state_->finish(*this, now_(), error ? Addresses() : found);
        for (const Waiting& one : all) {
            tell(one, error, found);
        }
    }

private:
    friend class State;
    const std::shared_ptr<State> state_;
    const std::string host_;
    const Now now_;
    std::vector<Waiting> waiting_;  ///< Guarded by the state's mutex.
    std::atomic<bool> answered_{false};
};

std::optional<Addresses> CachingResolver::State::find_or_join(
    const std::shared_ptr<State>& self,
    const std::string& host,
    const Now& now,
    Waiting&& waiting,
    std::shared_ptr<Query>& mine
) {
    std::shared_ptr<Query> running;
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(host);
    if (known != known_.end()) {
        if (now() - known->second.since < lifetime) {
            return known->second.addresses;
        }
        known_.erase(known);
    }
    std::weak_ptr<Query>& entry = running_[host];
    running = entry.lock();
    if (running) {
        running->waiting_.push_back(std::move(waiting));
        return std::nullopt;
    }
    mine = std::make_shared<Query>(self, host, now);
    mine->waiting_.push_back(std::move(waiting));
    entry = mine;
    return std::nullopt;
}

std::vector<Waiting> CachingResolver::State::finish(
    Query& query,
    Clock::time_point now,
    const Addresses& found
) noexcept {
    std::shared_ptr<Query> running;
    const std::lock_guard lock(mutex_);
    const auto entry = running_.find(query.host_);
    if (entry != running_.end()) {
        running = entry->second.lock();
        if (!running || running.get() == &query) {
            running_.erase(entry);
        }
    }
    if (!found.empty()) {
        remember(query.host_, now, found);
    }
    return std::move(query.waiting_);
}

void CachingResolver::State::remember(
    const std::string& host,
    Clock::time_point now,
    const Addresses& found
) noexcept {
    try {
        known_.insert_or_assign(host, Known{found, now});
    } catch (const std::bad_alloc&) {
        // It is only asked for again.
        return;
    }
    if (known_.size() > max_hosts) {
        known_.erase(std::min_element(
            known_.begin(),
            known_.end(),
            [](const auto& a, const auto& b) { return a.second.since < b.second.since; }
        ));
    }
}

struct CachingResolver::Owned {
    Owned(pid_t owning_process, Owned* before)
        : process(owning_process),
          inherited(before),
          state(std::make_shared<State>()) {}

    const pid_t process;
    Owned* const inherited;  ///< Another process's: its mutex may be locked for ever.
    const std::shared_ptr<State> state;
};

CachingResolver::CachingResolver(std::shared_ptr<Resolver> inner, Now now)
    : inner_(std::move(inner)),
      now_(std::move(now)),
      owned_(new Owned(::getpid(), nullptr)) {}

CachingResolver::~CachingResolver() {
    Owned* const owned = owned_.load();
    if (owned->process == ::getpid()) {
        // What it may have inherited is left alone.
        delete owned;
    }
}

std::shared_ptr<CachingResolver::State> CachingResolver::state() const {
    const pid_t process = ::getpid();
    Owned* owned = owned_.load(std::memory_order_acquire);
    while (owned->process != process) {
        auto fresh = std::make_unique<Owned>(process, owned);
        if (owned_.compare_exchange_strong(owned, fresh.get(), std::memory_order_acq_rel)) {
            owned = fresh.release();
        }
    }
    return owned->state;
}

void CachingResolver::resolve(std::string host, std::uint16_t port, ResolveHandler handler) {
    look_up(std::move(host), port, std::move(handler));
}

LookupSource CachingResolver::look_up(
    std::string host,
    std::uint16_t port,
    ResolveHandler handler
) {
    if (std::optional<Addresses> addresses = immediate(host, port)) {
        handler(boost::system::error_code(), std::move(*addresses));
        return LookupSource::known;
    }
    const std::shared_ptr<State> shared = state();
    std::shared_ptr<Query> mine;
    const std::optional<Addresses> known =
        shared->find_or_join(shared, host, now_, Waiting{port, handler}, mine);
    if (known) {
        tell(Waiting{port, std::move(handler)}, boost::system::error_code(), *known);
        return LookupSource::known;
    }
    if (!mine) {
        return LookupSource::shared;
    }
    const std::weak_ptr<Query> query = mine;
    ResolveHandler answer =
        [query = std::move(mine)](const boost::system::error_code& error, const Addresses& found) {
            query->answer(error, found);
        };
    try {
        inner_->resolve(std::move(host), 0, std::move(answer));
    } catch (...) {
        // It may have kept the handler, and never call it.
        if (const std::shared_ptr<Query> left = query.lock()) {
            left->answer(asio::error::no_recovery, Addresses());
        }
    }
    return LookupSource::query;
}

void CachingResolver::forget(const std::string& host) {
    state()->forget(host);
}

std::size_t CachingResolver::size() const {
    return state()->size();
}

}  // namespace llmproc::net
