/// @file
/// The context of the calling thread, swapped by whatever runs handlers.
#pragma once

#include <llmproc/context_map.hpp>

#include <utility>

namespace llmproc {

/// Null stands for an empty map. A pointer, so that a swap per handler counts no references.
extern constinit thread_local const ContextMap* current_context_map;

/// Sets the thread's context while a handler runs.
/// Preconditions: `context` outlives it; destroyed on its thread, innermost first.
class CurrentContext {
public:
    explicit CurrentContext(const ContextMap* context) noexcept
        : before_(std::exchange(current_context_map, context)) {}
    CurrentContext(const CurrentContext&) = delete;
    CurrentContext& operator=(const CurrentContext&) = delete;
    ~CurrentContext() { current_context_map = before_; }

private:
    const ContextMap* before_;
};

/// What accompanies something that begins now: `given`, or the thread's context if that is empty.
/// Marks of the library are kept in any case.
ContextMap context_to_begin_with(const ContextMap& given);

/// Keys with this beginning are marks of the library: they are never replaced by the user's.
inline constexpr const char* mark_prefix = "llmproc.mark.";

}  // namespace llmproc
