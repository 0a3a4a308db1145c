/// @file
/// Which sanitizer this program is built with: g++ tells by a macro, clang by a feature.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define LLMPROC_TEST_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LLMPROC_TEST_ADDRESS_SANITIZER 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define LLMPROC_TEST_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LLMPROC_TEST_THREAD_SANITIZER 1
#endif
#endif

namespace llmproc::testing {

/// ThreadSanitizer does not follow a program with threads into the child of a bare fork, unless it
/// executes another one at once.
#ifdef LLMPROC_TEST_THREAD_SANITIZER
inline constexpr bool can_fork = false;
#else
inline constexpr bool can_fork = true;
#endif

/// Whether memory and time are those of a sanitizer's run.
#ifdef LLMPROC_TEST_ADDRESS_SANITIZER
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = !can_fork;
#endif

}  // namespace llmproc::testing
