#include "runtime/exit_hook.hpp"

#include <llmproc/error.hpp>
#include "core/fork_guard.hpp"
#include "core/fork_hold.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/reaper.hpp"

#include <openssl/ssl.h>

#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

namespace llmproc {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds exit_budget{2000};

std::atomic<bool> program_exits{false};

struct Loops {
    std::mutex mutex;
    std::vector<std::weak_ptr<LoopCore>> list;
    std::size_t tidy_at = 64;
};

constinit PerProcess<Loops> registry;
std::once_flag prepared;

milliseconds rest_until(Clock::time_point limit) noexcept {
    const auto rest = std::chrono::duration_cast<milliseconds>(limit - Clock::now());
    return std::max(rest, milliseconds(0));
}

/// Lets a loop begin to end; from its own thread a shutdown does no more.
void begin_to_end(const std::shared_ptr<LoopCore>& loop) noexcept {
    const auto begin = [weak = std::weak_ptr<LoopCore>(loop)] {
        if (const std::shared_ptr<LoopCore> live = weak.lock()) {
            live->shutdown(exit_budget, CancelReason::shutdown);
        }
    };
    try {
        loop->post(begin);
    } catch (const std::exception&) {
        // It has ended, or is asked again by its own turn.
        return;
    }
}

void end_all() noexcept {
    program_exits.store(true, std::memory_order_seq_cst);
    std::vector<std::shared_ptr<LoopCore>> loops;
    try {
        Loops& known = registry.get();
        const std::lock_guard lock(known.mutex);
        for (const std::weak_ptr<LoopCore>& weak : known.list) {
            if (std::shared_ptr<LoopCore> loop = weak.lock()) {
                loops.push_back(std::move(loop));
            }
        }
        known.list.clear();
    } catch (const std::exception&) {
        // Without memory the rest of the loops end with the program, unasked.
        loops.shrink_to_fit();
    }
    const Clock::time_point limit = Clock::now() + exit_budget;
    // First all of them, so that their ends take one time and not each its own.
    std::for_each(loops.begin(), loops.end(), &begin_to_end);
    for (const std::shared_ptr<LoopCore>& loop : loops) {
        try {
            loop->shutdown(rest_until(limit), CancelReason::shutdown);
        } catch (const std::exception&) {
            continue;
        }
    }
    reap_within(rest_until(limit));
}

/// dlclose() must not unmap code that threads still run.
void stay_loaded() noexcept {
    Dl_info place = {};
    if (::dladdr(reinterpret_cast<const void*>(&program_exits), &place) != 0) {
        // Only raises a flag of what is loaded already; the main program needs none.
        ::dlopen(place.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

}  // namespace

bool exiting() noexcept {
    return program_exits.load(std::memory_order_seq_cst);
}

void check_not_exiting() {
    if (exiting()) {
        throw LLMError(
            Errc::loop_closed,
            "the program is exiting: event loops can no longer be used or started"
        );
    }
}

void prepare_exit() {
    check_not_exiting();
    // atexit is inherited by children, so once is enough; it runs in reverse order, so OpenSSL must
    // have registered its own cleanup before: what loops hold of it is freed before that.
    // A once_flag, not a static's guard: it does not stay locked in a child.
    const ForkHold initialises_openssl;
    std::call_once(prepared, [] {
        OPENSSL_init_ssl(0, nullptr);
        stay_loaded();
        std::atexit(&end_all);
    });
}

void end_at_exit(const std::shared_ptr<LoopCore>& loop) {
    prepare_exit();
    Loops& known = registry.get();
    const std::lock_guard lock(known.mutex);
    // Under the lock: either `end_all` sees the loop or this sees that it has run.
    check_not_exiting();
    if (known.list.size() >= known.tidy_at) {
        std::erase_if(known.list, [](const auto& weak) { return weak.expired(); });
        known.tidy_at = std::max<std::size_t>(64, known.list.size() * 2);
    }
    known.list.push_back(loop);
}

}  // namespace llmproc
