#include "runtime/reaper.hpp"

#include <llmproc/error.hpp>
#include "core/fork_guard.hpp"
#include "runtime/exit_hook.hpp"

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

struct Buried {
    std::thread thread;
    EndsWithin ends;
};

struct Graveyard {
    std::mutex mutex;
    std::vector<Buried> threads;
};

/// Joins what ends within `budget`; the calling thread is never among them.
void join_ended(Graveyard& yard, milliseconds budget) {
    const Clock::time_point limit = Clock::now() + budget;
    std::vector<Buried> looked_at;
    std::vector<Buried> left;
    {
        const std::lock_guard lock(yard.mutex);
        looked_at.swap(yard.threads);
    }
    for (Buried& buried : looked_at) {
        const auto rest = std::chrono::duration_cast<milliseconds>(limit - Clock::now());
        const bool own = buried.thread.get_id() == std::this_thread::get_id();
        if (!own && buried.ends(std::max(rest, milliseconds(0)))) {
            buried.thread.join();
        } else {
            left.push_back(std::move(buried));
        }
    }
    const std::lock_guard lock(yard.mutex);
    for (Buried& buried : left) {
        yard.threads.push_back(std::move(buried));
    }
}

/// A child has none of the parent's threads.
constinit PerProcess<Graveyard> graveyard;

/// A program without a loop has nothing else that joins what is buried at its end.
void see_to_exit() noexcept {
    try {
        prepare_exit();
    } catch (const LLMError&) {
        return;  // The program has begun to exit: what exits it looks here.
    }
}

}  // namespace

void bury(std::thread thread, EndsWithin ends) {
    see_to_exit();
    Graveyard& yard = graveyard.get();
    const std::lock_guard lock(yard.mutex);
    yard.threads.push_back(Buried{std::move(thread), std::move(ends)});
}

void reap() noexcept {
    reap_within(milliseconds(0));
}

void reap_within(milliseconds budget) noexcept {
    join_ended(graveyard.get(), budget);
}

}  // namespace llmproc
