/// @file
/// One object instead of many equal ones.
#pragma once

#include <memory>
#include <mutex>

namespace llmproc {

/// Remembers, weakly, what its owner made last, so that the next equal object can be that one.
/// It never waits, so fork() at any moment does no harm: while another thread uses it nothing is
/// found and nothing is kept.
///
/// A copy of the owner remembers nothing.
/// Thread safety: all members from any thread, but assignment.
template <typename T>
class LastMade {
public:
    LastMade() = default;
    LastMade(const LastMade& /*other*/) noexcept {}
    LastMade& operator=(const LastMade& other) noexcept {
        if (this != &other) {
            last_.reset();
        }
        return *this;
    }
    ~LastMade() = default;

    /// Null if it is gone.
    std::shared_ptr<const T> get() const noexcept {
        const std::unique_lock lock(mutex_, std::try_to_lock);
        return lock ? last_.lock() : nullptr;
    }
    void keep(const std::shared_ptr<const T>& made) const noexcept {
        const std::unique_lock lock(mutex_, std::try_to_lock);
        if (lock) {
            last_ = made;
        }
    }

private:
    mutable std::mutex mutex_;
    mutable std::weak_ptr<const T> last_;
};

}  // namespace llmproc
