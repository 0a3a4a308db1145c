#include "wire/redirect.hpp"

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>

namespace llmproc::wire {

namespace {

constexpr std::string_view::size_type npos = std::string_view::npos;

/// A URL or relative reference, cut as RFC 3986, appendix B, has it; without fragment.
/// By hand: Boost.URL 1.81 normalises while it resolves, which turns %2F into a slash.
struct Reference {
    std::optional<std::string_view> scheme;
    std::optional<std::string_view> authority;
    std::string_view path;
    std::optional<std::string_view> query;
};

Reference split(std::string_view text) {
    Reference parts;
    text = text.substr(0, text.find('#'));
    const std::size_t question = text.find('?');
    if (question != npos) {
        parts.query = text.substr(question + 1);
        text = text.substr(0, question);
    }
    const std::size_t mark = text.find_first_of(":/");
    if (mark != npos && text[mark] == ':') {
        parts.scheme = text.substr(0, mark);
        text.remove_prefix(mark + 1);
    }
    if (text.starts_with("//")) {
        const std::size_t slash = std::min(text.find('/', 2), text.size());
        parts.authority = text.substr(2, slash - 2);
        text.remove_prefix(slash);
    }
    parts.path = text;
    return parts;
}

/// RFC 3986, 5.2.4, for a path that begins with a slash.
std::string remove_dot_segments(std::string_view path) {
    std::string result;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/', 1), path.size());
        const std::string_view segment = path.substr(0, end);
        path.remove_prefix(end);
        if (segment != "/." && segment != "/..") {
            result += segment;
            continue;
        }
        if (segment == "/..") {
            const std::size_t last = result.rfind('/');
            result.resize(last == std::string::npos ? 0 : last);
        }
        if (path.empty()) {
            result += '/';
        }
    }
    return result.empty() ? "/" : result;
}

std::string with_query(std::string path, const std::optional<std::string_view>& query) {
    if (query) {
        path += '?';
        path += *query;
    }
    return path;
}

std::string resolve_target(const Reference& current, const Reference& reference) {
    if (!reference.authority && reference.path.empty()) {
        const auto& query = reference.query ? reference.query : current.query;
        return with_query(std::string(current.path), query);
    }
    std::string path;
    if (reference.authority || reference.path.starts_with('/')) {
        path = reference.path;
    } else {
        path = current.path.substr(0, current.path.rfind('/') + 1);
        path += reference.path;
    }
    return with_query(remove_dot_segments(path), reference.query);
}

std::string answered(int status) {
    return "the server answered " + std::to_string(status);
}

RedirectDecision refusal(std::string problem) {
    RedirectDecision decision;
    decision.problem = std::move(problem);
    return decision;
}

/// What may be shown of a target: the query may hold a key.
std::string shown_path(std::string_view target) {
    constexpr std::size_t most = 200;
    return std::string(target.substr(0, std::min(target.find('?'), most)));
}

}  // namespace

bool is_redirect(int status) noexcept {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

RedirectDecision decide_redirect(
    const Url& base,
    std::string_view target,
    int status,
    std::optional<std::string_view> location
) {
    const std::string remedy = "; set model.base_url to where the API is";
    if (!location || location->empty()) {
        return refusal(answered(status) + " but has no Location that says where to go" + remedy);
    }
    const Reference reference = split(*location);
    if (reference.authority && reference.authority->find('@') != npos) {
        return refusal(
            answered(status) + " and points to a Location with a user name or password, which is " +
            "not followed" + remedy
        );
    }
    std::string new_target = resolve_target(split(target), reference);
    std::string origin = base.origin();
    try {
        if (reference.scheme && !reference.authority) {
            throw std::invalid_argument("a scheme without a host");
        }
        std::string absolute = origin;
        if (reference.authority) {
            absolute = reference.scheme.value_or(base.scheme());
            absolute.append("://").append(*reference.authority);
        }
        origin = Url::parse(absolute + new_target).origin();
    } catch (const std::invalid_argument&) {
        return refusal(
            answered(status) + " with a Location that is not a valid http or https URL" + remedy
        );
    }
    if (origin != base.origin()) {
        return refusal(
            answered(status) + " and points to another server, " + origin +
            ", where neither request nor key is sent; if that is where the API is, set " +
            "model.base_url to it"
        );
    }
    if (status != 307 && status != 308) {
        return refusal(
            answered(status) + " and points to " + origin + shown_path(new_target) +
            ", which is not followed because with this status the request would become a GET; " +
            "set model.base_url so that requests go there at once"
        );
    }
    RedirectDecision decision;
    decision.follow = true;
    decision.target = std::move(new_target);
    return decision;
}

}  // namespace llmproc::wire
