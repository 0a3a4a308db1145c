#include "async/fifo_lock.hpp"

#include <algorithm>

namespace llmproc::async {

namespace asio = boost::asio;

namespace {

/// Leaves the line on every way out of the wait, also when the frame is destroyed.
template <typename Leave>
class OnExit {
public:
    explicit OnExit(Leave leave) : leave_(std::move(leave)) {}
    OnExit(const OnExit&) = delete;
    OnExit& operator=(const OnExit&) = delete;
    ~OnExit() { leave_(); }

private:
    Leave leave_;
};

}  // namespace

asio::awaitable<FifoLock::Hold> FifoLock::acquire(CallContext& call) {
    if (held_) {
        line_.push_back(call.shared_from_this());
        const OnExit leaving([this, &call] { leave(call); });
        StepTimer waiting(call.trace(), CallStep::wait, Stage::queue);
        while (granted_ != &call) {
            co_await call.wait_notified(Stage::queue);
        }
        granted_ = nullptr;
        waiting.done();
        co_return Hold(*this);
    }
    held_ = true;
    co_return Hold(*this);
}

void FifoLock::leave(const CallContext& call) noexcept {
    const auto place = std::find_if(line_.begin(), line_.end(), [&call](const auto& waiting) {
        return waiting.get() == &call;
    });
    if (place != line_.end()) {
        line_.erase(place);
    }
    if (granted_ == &call) {
        // It was cancelled between being woken and taking the lock.
        granted_ = nullptr;
        release();
    }
}

void FifoLock::release() noexcept {
    if (line_.empty()) {
        held_ = false;
        return;
    }
    granted_ = line_.front().get();
    granted_->notify();
}

}  // namespace llmproc::async
