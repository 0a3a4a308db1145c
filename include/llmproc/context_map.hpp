/// @file
/// Values that accompany a call: trace ids, log fields, anything of the user's.
#pragma once

#include <llmproc/export.hpp>

#include <any>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc {

/// A small immutable map; adding makes a new one that shares the rest. Copies cost a reference
/// count.
///
/// It is captured where a call or task begins and seen by everything that belongs to it: coroutines
/// (`this_context`), executor jobs and callbacks on the caller (`current_context`), events and log
/// lines. Values of type std::string are log fields, string literals and views are kept as such;
/// others are never logged.
/// Thread safety: all members from any thread.
class LLMPROC_API ContextMap {
public:
    ContextMap() = default;

    /// A copy with one more entry, which hides an earlier one of that key.
    [[nodiscard]] ContextMap with(std::string key, std::any value) const;

    /// Null if there is no such entry.
    const std::any* find(std::string_view key) const noexcept;
    /// Null if there is no such entry or it is of another type.
    template <typename T>
    const T* get(std::string_view key) const noexcept {
        return std::any_cast<T>(find(key));
    }
    bool empty() const noexcept { return !head_; }

    /// "key=value key=value" of the entries that are texts, oldest first. Values with spaces stand
    /// in quotes; control characters become spaces.
    std::string log_fields() const;

private:
    friend ContextMap context_to_begin_with(const ContextMap& given);
    struct Entry;
    std::shared_ptr<const Entry> head_;
};

/// The context of what the calling thread does now: of the running task, executor job or callback,
/// or of the innermost ContextScope.
LLMPROC_API ContextMap current_context();

/// Sets the thread's context while it lives; calls that begin meanwhile capture it.
/// Preconditions: destroyed on the thread that made it, innermost first; not across a `co_await`.
class LLMPROC_API ContextScope {
public:
    explicit ContextScope(ContextMap context);
    ContextScope(const ContextScope&) = delete;
    ContextScope& operator=(const ContextScope&) = delete;
    ~ContextScope();

private:
    ContextMap context_;
    const ContextMap* before_;
};

}  // namespace llmproc
