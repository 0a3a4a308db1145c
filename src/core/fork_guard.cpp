#include "core/fork_guard.hpp"

#include <llmproc/error.hpp>

#include <pthread.h>

#include <string>

namespace llmproc {

namespace detail {

constinit std::atomic<unsigned> fork_count{0};
static_assert(std::atomic<unsigned>::is_always_lock_free);

}  // namespace detail

namespace {

void in_child() noexcept {
    detail::fork_count.fetch_add(1, std::memory_order_relaxed);
}

/// When the library is loaded, so that no thread can be amidst it at a fork. Without memory for it
/// objects of the parent are not told apart; nothing better can be done.
[[maybe_unused]] const bool asked_when_loaded = ::pthread_atfork(nullptr, nullptr, &in_child) == 0;

constinit std::atomic<KeptForParent*> all_kept{nullptr};

}  // namespace

KeptForParent::KeptForParent() noexcept : next_(all_kept.exchange(this)) {}

void check_not_forked(unsigned generation, const char* what) {
    if (inherited(generation)) {
        throw LLMError(
            Errc::forked_process,
            std::string(what) +
                " was made before fork() and belongs to the parent; start a new one in the child"
        );
    }
}

}  // namespace llmproc
