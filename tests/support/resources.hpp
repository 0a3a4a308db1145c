/// @file
/// What this process holds of the system's resources.
#pragma once

#include <chrono>
#include <cstddef>
#include <ostream>
#include <string>

namespace llmproc::testing {

/// Threads and open descriptors now. Under UBSan without pipes: it opens one for a moment whenever
/// it looks at an object, on any thread.
struct Resources {
    static Resources now();

    std::size_t threads = 0;
    std::size_t descriptors = 0;
    friend bool operator==(const Resources&, const Resources&) = default;
    friend std::ostream& operator<<(std::ostream& out, const Resources& held) {
        return out << held.threads << " threads, " << held.descriptors << " descriptors";
    }
};

/// The resources once they are `expected`, or when the time is over. A joined thread stays in
/// /proc for a moment, so one look is not enough.
Resources settled(const Resources& expected, std::chrono::milliseconds limit);

/// The resources once there are no more than `allowed`, or when the time is over.
Resources at_most(const Resources& allowed, std::chrono::milliseconds limit);

/// Threads of this process whose names begin so, as /proc has them.
std::size_t threads_named(const std::string& prefix);

/// Resident memory in bytes.
std::size_t resident_bytes();

/// Whether this program is built with UBSan, which opens pipes to look at objects.
bool needs_descriptors_itself();
/// Why a test in which descriptors run out is skipped there.
inline constexpr const char* needs_descriptors_because =
    "UBSan reads an object's type through a pipe; where it can open none it reports a bad object";

}  // namespace llmproc::testing
