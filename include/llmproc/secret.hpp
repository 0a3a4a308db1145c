/// @file
/// A key that no stream, log or JSON accepts.
#pragma once

#include <llmproc/export.hpp>

#include <string>
#include <string_view>

namespace llmproc {

/// Holds a key; overwrites its memory when it dies. It can be read only by `reveal()`.
class LLMPROC_API Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) noexcept;
    Secret(const Secret&) = default;
    Secret(Secret&& other) noexcept;
    Secret& operator=(const Secret& other);
    Secret& operator=(Secret&& other) noexcept;
    ~Secret();

    bool empty() const noexcept { return value_.empty(); }
    /// The key itself. Valid while this object lives and is not assigned to.
    std::string_view reveal() const noexcept { return value_; }
    /// `text` with every occurrence of the key replaced by "[redacted]".
    std::string redact(std::string text) const;

private:
    void wipe() noexcept;
    std::string value_;
};

}  // namespace llmproc
