/// @file
/// HTTP requests and answers as plain values; no sockets.
#pragma once

#include <llmproc/export.hpp>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {

/// Header fields in the order they were added; names compare without regard to case.
/// Refuses what could smuggle a second header or request into the connection.
class LLMPROC_API Headers {
public:
    using value_type = std::pair<std::string, std::string>;

    Headers() = default;
    /// Throws std::invalid_argument as `add`.
    Headers(std::initializer_list<value_type> fields);

    /// Appends a field; equal names may repeat.
    /// Throws std::invalid_argument if the name is no RFC 9110 token or the value has CR, LF or NUL.
    /// The exception's text never holds the value.
    void add(std::string name, std::string value);

    /// Replaces every field of that name by this one, at the place of the first.
    /// Throws std::invalid_argument as `add`.
    void set(std::string name, std::string value);

    /// The first value of that name.
    /// Lifetime: the view is valid until the headers change.
    std::optional<std::string_view> get(std::string_view name) const noexcept;

    /// All values of that name, in order.
    /// Lifetime: the views are valid until the headers change.
    std::vector<std::string_view> get_all(std::string_view name) const;

    bool contains(std::string_view name) const noexcept { return get(name).has_value(); }

    /// Removes every field of that name; returns how many there were.
    std::size_t erase(std::string_view name);

    auto begin() const noexcept { return fields_.begin(); }
    auto end() const noexcept { return fields_.end(); }
    std::size_t size() const noexcept { return fields_.size(); }
    bool empty() const noexcept { return fields_.empty(); }
    void reserve(std::size_t count) { fields_.reserve(count); }
    void clear() noexcept { fields_.clear(); }

private:
    std::vector<value_type> fields_;
};

/// A request; `target` is the path with query, as it stands in the request line.
struct HttpRequest {
    HttpRequest() = default;
    HttpRequest(std::string verb, std::string path)
        : method(std::move(verb)),
          target(std::move(path)) {}
    HttpRequest(std::string verb, std::string path, Headers header_fields, std::string content)
        : method(std::move(verb)),
          target(std::move(path)),
          headers(std::move(header_fields)),
          body(std::move(content)) {}

    std::string method = "GET";
    std::string target = "/";
    Headers headers;
    std::string body;
};

/// An answer with its whole body.
struct HttpResponse {
    HttpResponse() = default;
    explicit HttpResponse(int status_code) : status(status_code) {}
    HttpResponse(
        int status_code,
        std::string reason_phrase,
        Headers header_fields,
        std::string content
    )
        : status(status_code),
          reason(std::move(reason_phrase)),
          headers(std::move(header_fields)),
          body(std::move(content)) {}

    int status = 0;
    std::string reason;
    Headers headers;
    std::string body;
};

/// One server-sent event.
/// Lifetime: the views are valid until the parser that gave it is used again.
struct SseEvent {
    SseEvent() = default;
    SseEvent(std::string_view event_name, std::string_view event_data)
        : event(event_name),
          data(event_data) {}

    std::string_view event;              ///< The event's name; empty if it has none.
    std::string_view data;               ///< The data lines joined with LF.
    std::optional<std::string_view> id;  ///< Set if this event itself carried an `id` field.
};

}  // namespace llmproc
