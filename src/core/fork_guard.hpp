/// @file
/// fork(): what belongs to which process.
#pragma once

#include <atomic>
#include <memory>
#include <new>
#include <utility>

namespace llmproc {

namespace detail {
extern std::atomic<unsigned> fork_count;
}  // namespace detail

/// Grows in every child: objects that remember another value belong to the parent.
inline unsigned fork_generation() noexcept {
    return detail::fork_count.load(std::memory_order_relaxed);
}

/// Whether what remembers `generation` was made by the parent before the last fork().
inline bool inherited(unsigned generation) noexcept {
    return generation != fork_generation();
}

/// Throws LLMError{forked_process}, naming `what`, if `generation` is not the current one.
void check_not_forked(unsigned generation, const char* what);

/// Keeps an object of the parent for ever: what its destructor touches (locks, epoll, sockets) is
/// shared with the parent or in an unknown state. What it holds stays reachable, so it is no leak.
class KeptForParent {
public:
    /// Without memory for it the object is destroyed after all.
    // NOLINTBEGIN(clang-analyzer-cplusplus.NewDeleteLeaks): that is what it is for
    template <typename T>
    static void keep(T object) noexcept {
        static_cast<void>(new (std::nothrow) Kept<T>(std::move(object)));
    }
    // NOLINTEND(clang-analyzer-cplusplus.NewDeleteLeaks)

private:
    // NOLINTNEXTLINE(modernize-use-equals-delete): private on purpose, it is its own base
    KeptForParent() noexcept;
    virtual ~KeptForParent() = default;

    template <typename T>
    struct Kept;

    KeptForParent* const next_;
};

template <typename T>
struct KeptForParent::Kept final : KeptForParent {
    explicit Kept(T kept) : object(std::move(kept)) {}
    T object;
};

/// A library-wide object that a child gets anew, because another thread may have held its lock or
/// changed it at the moment of the fork. Never destroyed, on purpose: it may be used while statics
/// die. To be a `static constinit` variable.
///
/// T is made by the first `get`; threads that race for it may make several, of which one stays.
/// Thread safety: `get` from any thread.
template <typename T>
class PerProcess {
public:
    constexpr PerProcess() noexcept = default;
    PerProcess(const PerProcess&) = delete;
    PerProcess& operator=(const PerProcess&) = delete;

    T& get() {
        const unsigned generation = fork_generation();
        Holder* known = current_.load(std::memory_order_acquire);
        while (known == nullptr || known->generation != generation) {
            auto fresh = std::make_unique<Holder>(generation, known);
            if (current_.compare_exchange_strong(
                    known,
                    fresh.get(),
                    std::memory_order_acq_rel,
                    std::memory_order_acquire
                )) {
                return fresh.release()->value;
            }
        }
        return known->value;
    }

private:
    struct Holder {
        Holder(unsigned number, const Holder* inherited) : generation(number), parents(inherited) {}

        const unsigned generation;
        const Holder* const parents;  ///< Not to be touched; so it is no leak.
        T value{};
    };

    std::atomic<Holder*> current_{nullptr};
};

}  // namespace llmproc
