/// @file
/// The members of one loop; its lock is the loop's.
#pragma once

#include "runtime/loop_member.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

namespace llmproc {

/// Adds and removes in constant time, without memory beyond the list's own.
class MemberList {
public:
    using Pointer = std::shared_ptr<LoopMember>;

    void add(const Pointer& member, std::weak_ptr<MemberHome> home) {
        members_.push_back(member);
        member->place_ = members_.size() - 1;
        member->home_ = std::move(home);
        ++tally(*member);
    }

    /// Null if it is not in the list. The caller lets go of it after its lock.
    Pointer remove(const LoopMember& member) noexcept {
        Pointer removed;
        const std::size_t place = member.place_;
        if (place < members_.size() && members_[place].get() == &member) {
            removed = std::move(members_[place]);
            if (place + 1 != members_.size()) {
                members_[place] = std::move(members_.back());
                members_[place]->place_ = place;
            }
            members_.pop_back();
            --tally(member);
        }
        return removed;
    }

    /// Those that nobody waits for at the end: blocked callers, callbacks.
    std::vector<Pointer> take_unordered() {
        const auto in_order = [](const Pointer& member) { return member->ends_in_order(); };
        std::vector<Pointer> ordered;
        ordered.reserve(members_.size());
        std::vector<Pointer> taken;
        taken.reserve(members_.size());
        std::partition_copy(
            members_.begin(),
            members_.end(),
            std::back_inserter(ordered),
            std::back_inserter(taken),
            in_order
        );
        members_.swap(ordered);
        for (std::size_t place = 0; place < members_.size(); ++place) {
            members_[place]->place_ = place;
        }
        for (const Pointer& member : taken) {
            --tally(*member);
        }
        return taken;
    }

    std::vector<Pointer> take_all() noexcept {
        calls_ = 0;
        tasks_ = 0;
        uncounted_ = 0;
        return std::exchange(members_, {});
    }

    const std::vector<Pointer>& all() const noexcept { return members_; }
    bool empty() const noexcept { return members_.empty(); }
    std::size_t calls() const noexcept { return calls_; }
    std::size_t tasks() const noexcept { return tasks_; }

private:
    std::size_t& tally(const LoopMember& member) noexcept {
        if (!member.counted()) {
            return uncounted_;
        }
        return member.ends_in_order() ? tasks_ : calls_;
    }

    std::vector<Pointer> members_;
    std::size_t calls_ = 0;
    std::size_t tasks_ = 0;
    std::size_t uncounted_ = 0;
};

}  // namespace llmproc
