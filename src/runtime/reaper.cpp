#include "runtime/reaper.hpp"

#include <mutex>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

struct Graveyard {
    std::mutex mutex;
    std::vector<std::thread> threads;
};

/// Leaked on purpose: loops may end during static destruction.
Graveyard& graveyard() {
    static auto* const yard = new Graveyard;
    return *yard;
}

}  // namespace

void bury(std::thread thread) {
    Graveyard& yard = graveyard();
    const std::lock_guard lock(yard.mutex);
    yard.threads.push_back(std::move(thread));
}

void reap() noexcept {
    Graveyard& yard = graveyard();
    std::vector<std::thread> ready;
    {
        const std::lock_guard lock(yard.mutex);
        std::vector<std::thread> own;
        for (std::thread& thread : yard.threads) {
            (thread.get_id() == std::this_thread::get_id() ? own : ready)
                .push_back(std::move(thread));
        }
        yard.threads.swap(own);
    }
    for (std::thread& thread : ready) {
        thread.join();
    }
}

}  // namespace llmproc
