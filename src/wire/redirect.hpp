/// @file
/// Whether a redirect of an API call is followed, and where to: pure.
#pragma once

#include "wire/url.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace llmproc::wire {

/// Whether an answer of this status points elsewhere (301, 302, 303, 307, 308).
bool is_redirect(int status) noexcept;

struct RedirectDecision {
    RedirectDecision() = default;

    bool follow = false;
    std::string target;   ///< If followed: path and query of the new request; same server.
    std::string problem;  ///< If not: status, place and remedy; no query and no credentials.
};

/// Follows 307 and 308 (RFC 9110, 15.4), which keep method and body, within one origin: equal
/// scheme, host and port. So a key never reaches another server than the one it was meant for.
/// 301, 302 and 303 are not followed: clients make a GET of them, which no API call survives.
///
/// `target` is the redirected request's path and query; a relative `location` is resolved against
/// it (RFC 3986, 5.2), its fragment dropped. Precondition: `is_redirect(status)`.
RedirectDecision decide_redirect(
    const Url& base,
    std::string_view target,
    int status,
    std::optional<std::string_view> location
);

}  // namespace llmproc::wire
