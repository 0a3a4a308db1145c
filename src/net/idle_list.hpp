/// @file
/// Which idle connection to reuse and which to drop; pure, the clock is passed in.
#pragma once

#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace llmproc::net {

/// Idle connections of one origin, the last one used is taken first.
///
/// The newest is the least likely to have been closed by the server, and the older ones may age
/// until they are dropped when fewer are needed.
template <class Connection>
class IdleList {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Duration = std::chrono::steady_clock::duration;

    /// `now` must not lie before that of an earlier `put`.
    void put(Connection connection, TimePoint now) {
        entries_.push_back(Entry{std::move(connection), now});
    }

    /// The connection used last, if it is young enough.
    std::optional<Connection> take(TimePoint now, Duration idle_timeout) {
        if (entries_.empty() || now - entries_.back().since >= idle_timeout) {
            return std::nullopt;
        }
        std::optional<Connection> newest(std::move(entries_.back().connection));
        entries_.pop_back();
        return newest;
    }

    /// Moves those that are too old to `dropped`; returns how many.
    std::size_t drop_expired(
        TimePoint now,
        Duration idle_timeout,
        std::vector<Connection>& dropped
    ) {
        auto fresh = entries_.begin();
        while (fresh != entries_.end() && now - fresh->since >= idle_timeout) {
            dropped.push_back(std::move(fresh->connection));
            ++fresh;
        }
        const auto count = static_cast<std::size_t>(std::distance(entries_.begin(), fresh));
        entries_.erase(entries_.begin(), fresh);
        return count;
    }

    std::size_t size() const noexcept { return entries_.size(); }
    bool empty() const noexcept { return entries_.empty(); }
    void clear() noexcept { entries_.clear(); }

private:
    struct Entry {
        Connection connection;
        TimePoint since;
    };
    std::vector<Entry> entries_;  ///< Oldest first.
};

}  // namespace llmproc::net
