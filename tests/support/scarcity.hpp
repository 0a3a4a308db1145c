/// @file
/// Takes away from this program what the system gives.
#pragma once

#include "support/resources.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <stdexcept>
#include <vector>

namespace llmproc::testing {

/// From now on only so many more descriptors can be opened. For a child process.
inline void limit_descriptors(std::size_t more) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = Resources::now().descriptors + more;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        throw std::runtime_error("setrlimit failed");
    }
}

/// While it lives, only so many more descriptors can be opened.
class FewDescriptors {
public:
    explicit FewDescriptors(std::size_t more) {
        for (int taken = ::dup(STDERR_FILENO); taken >= 0; taken = ::dup(STDERR_FILENO)) {
            taken_.push_back(taken);
        }
        for (; more > 0 && !taken_.empty(); --more) {
            ::close(taken_.back());
            taken_.pop_back();
        }
    }
    FewDescriptors(const FewDescriptors&) = delete;
    FewDescriptors& operator=(const FewDescriptors&) = delete;
    ~FewDescriptors() {
        for (const int taken : taken_) {
            ::close(taken);
        }
    }

private:
    std::vector<int> taken_;
};

/// As many descriptors as the system allows.
inline void raise_descriptor_limit() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// While it lives, no thread can be started: new ones would need a stack larger than memory.
class NoThreads {
public:
    NoThreads() {
        ::pthread_getattr_default_np(&before_);
        pthread_attr_t attributes;
        ::pthread_getattr_default_np(&attributes);
        ::pthread_attr_setstacksize(&attributes, std::size_t{1} << 47U);
        const int failed = ::pthread_setattr_default_np(&attributes);
        ::pthread_attr_destroy(&attributes);
        if (failed != 0) {
            throw std::runtime_error("the default stack size cannot be changed");
        }
    }
    NoThreads(const NoThreads&) = delete;
    NoThreads& operator=(const NoThreads&) = delete;
    ~NoThreads() {
        ::pthread_setattr_default_np(&before_);
        ::pthread_attr_destroy(&before_);
    }

private:
    pthread_attr_t before_;
};

}  // namespace llmproc::testing
