/// @file
/// Server-sent events (WHATWG HTML, section 9.2) out of bytes cut anywhere.
#pragma once

#include <llmproc/http_message.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::wire {

/// Bounds on what a server can make us hold.
struct SseLimits {
    SseLimits() = default;
    SseLimits(std::size_t line, std::size_t event) : max_line_bytes(line), max_event_bytes(event) {}

    std::size_t max_line_bytes = std::size_t{16} << 20U;   ///< One line, without its end.
    std::size_t max_event_bytes = std::size_t{16} << 20U;  ///< The joined data of one event.
};

enum class SseStatus {
    ok,
    too_large,  ///< A line or an event exceeds `SseLimits`; nothing more will be parsed.
};

/// What was left when the body ended.
enum class SseTail {
    clean,          ///< Nothing.
    pending_event,  ///< An event without its blank line: flush it or report truncation.
};

/// Bytes in, events out, with the same events for any split of the bytes:
/// `parser.feed(bytes); while (parser.next(event)) { ... }`.
/// Events inside one read are views into it: no copy and no allocation.
/// Lifetime: fed bytes must live until `next` has returned false; neither copied nor moved.
class SseParser {
public:
    SseParser() = default;
    explicit SseParser(SseLimits limits) noexcept : limits_(limits) {}
    SseParser(const SseParser&) = delete;
    SseParser& operator=(const SseParser&) = delete;
    ~SseParser() = default;

    /// Hands over the next bytes of the body.
    /// Throws std::logic_error if earlier bytes were not drained by `next`.
    void feed(std::string_view bytes);

    /// Takes the next complete event; false when more bytes are needed or `status` is not ok.
    [[nodiscard]] bool next(SseEvent& event);

    /// Says that the body ended; call it after `next` has returned false.
    /// Throws std::logic_error if fed bytes were not drained by `next`.
    [[nodiscard]] SseTail finish();

    /// After `finish`: takes the event that had no blank line (OpenAI servers are read that way;
    /// the standard drops it). Its last line may be cut off anywhere.
    [[nodiscard]] bool take_pending(SseEvent& event);

    SseStatus status() const noexcept { return status_; }
    const SseLimits& limits() const noexcept { return limits_; }

    /// The last event id of the stream (WHATWG): resume with it as `Last-Event-ID`.
    const std::string& last_event_id() const noexcept { return last_event_id_; }

    /// The reconnection time the server asked for.
    std::optional<std::chrono::milliseconds> retry() const noexcept { return retry_; }

private:
    /// A value that is a view into the input until it has to outlive it.
    class Value {
    public:
        Value() = default;
        void clear() noexcept;
        void assign(std::string_view value) noexcept;
        void append_line(std::string_view value);
        void keep();
        bool present() const noexcept { return present_; }
        std::string_view view() const noexcept { return owned_ ? buffer_ : view_; }

    private:
        std::string_view view_;
        std::string buffer_;
        bool owned_ = false;
        bool present_ = false;
    };

    void skip_bom();
    std::size_t find_line_end();
    bool take_line(std::string_view& line);
    bool take_field(std::string_view line);
    bool add_data(std::string_view value);
    void take_retry(std::string_view digits) noexcept;
    bool dispatch(SseEvent& event);
    void fill(SseEvent& event) const noexcept;
    void clear_event() noexcept;
    void save_rest();
    bool fail() noexcept;
    void require_drained(const char* caller) const;

    SseLimits limits_;
    SseStatus status_ = SseStatus::ok;

    std::string_view input_;
    std::size_t position_ = 0;
    // Remembered so that bytes are searched once even if only one kind of line end occurs.
    std::size_t next_lf_ = 0;
    std::size_t next_cr_ = 0;

    std::string line_;           // a line that began in an earlier read
    bool line_begun_ = false;    // line_ still waits for its end
    bool skip_lf_ = false;       // the last line ended with CR: an LF now belongs to it
    std::size_t bom_bytes_ = 0;  // bytes of a BOM seen at the start
    bool bom_done_ = false;

    Value event_;
    Value data_;
    Value id_;
    bool dispatched_ = false;  // the views are still out; cleared by the next call
    bool finished_ = false;

    std::string last_event_id_;
    std::optional<std::chrono::milliseconds> retry_;
};

}  // namespace llmproc::wire
