#include "runtime/reaper.hpp"

#include <algorithm>
#include <cstdlib>
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

/// Leaked on purpose: loops may end during static destruction.
Graveyard& graveyard() {
    static auto* const yard = [] {
        std::atexit([] { join_ended(graveyard(), milliseconds(2000)); });
        return new Graveyard;
    }();
    return *yard;
}

}  // namespace

void bury(std::thread thread, EndsWithin ends) {
    Graveyard& yard = graveyard();
    const std::lock_guard lock(yard.mutex);
    yard.threads.push_back(Buried{std::move(thread), std::move(ends)});
}

void reap() noexcept {
    join_ended(graveyard(), milliseconds(0));
}

}  // namespace llmproc
