/// @file
/// Signals as something readable.
#pragma once

#include <csignal>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

namespace llmproc {

/// While it lives, the first of its signals makes a descriptor readable, the second one ends the
/// program at once by its default action, whatever the loop does. There is one in the program at
/// most. A child after fork() is ended by the first signal already.
///
/// Own handlers, because Asio's signal_set leaves SIG_DFL behind and cannot act on the second
/// signal while the loop is blocked.
/// Thread safety: `caught`, `drain` and `rearm` from any thread.
class SignalTrap {
public:
    /// Null while another one lives. Throws LLMError{limit_reached} without a free descriptor.
    static std::unique_ptr<SignalTrap> set(std::initializer_list<int> signals);
    /// The former dispositions come back, but for signals that somebody else has taken meanwhile.
    ~SignalTrap();
    SignalTrap(const SignalTrap&) = delete;
    SignalTrap& operator=(const SignalTrap&) = delete;

    /// Readable after the first signal; owned by this object.
    int descriptor() const noexcept { return descriptor_; }
    /// The first signal's number, 0 if none came.
    int caught() const noexcept;
    /// Makes the descriptor unreadable.
    void drain() const noexcept;
    /// Forgets the first signal.
    void rearm() noexcept;

private:
    explicit SignalTrap(int descriptor) noexcept;

    const int descriptor_;
    std::vector<std::pair<int, struct sigaction>> before_;
};

}  // namespace llmproc
