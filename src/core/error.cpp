#include <llmproc/error.hpp>

#include <utility>

namespace llmproc {

namespace {

/// Appends "name value" to a list in parentheses, unless the text says it already.
class Details {
public:
    explicit Details(std::string& text) : text_(text) {}
    ~Details() = default;
    Details(const Details&) = delete;
    Details& operator=(const Details&) = delete;

    void add(std::string_view name, std::string_view value) {
        if (value.empty() || text_.find(value) != std::string::npos) {
            return;
        }
        text_ += open_ ? ", " : " (";
        open_ = true;
        text_.append(name).append(" ").append(value);
    }
    void close() {
        if (open_) {
            text_ += ')';
        }
    }

private:
    std::string& text_;
    bool open_ = false;
};

std::string describe(const std::string& message, const Diagnostics& diagnostics) {
    std::string text = message;
    if (text.find(diagnostics.provider_message) == std::string::npos) {
        text += ": " + diagnostics.provider_message;
    }
    Details details(text);
    details.add("provider", diagnostics.provider);
    details.add("model", diagnostics.model);
    details.add("endpoint", diagnostics.endpoint);
    if (diagnostics.status.has_value()) {
        details.add("HTTP", std::to_string(*diagnostics.status));
    }
    details.add("request id", diagnostics.request_id);
    if (diagnostics.stage != Stage::none) {
        details.add("stage", to_string(diagnostics.stage));
    }
    if (diagnostics.attempts > 1) {
        details.add("after", std::to_string(diagnostics.attempts) + " attempts");
    }
    details.close();
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20) {
            c = ' ';
        }
    }
    return text;
}

std::string place_text(const ConfigPlace& place, const std::string& problem) {
    std::string text = place.file;
    if (place.line != 0) {
        text += (text.empty() ? "line " : ":") + std::to_string(place.line);
        if (place.column != 0) {
            text += ":" + std::to_string(place.column);
        }
    }
    if (!place.key.empty()) {
        text += (text.empty() ? "" : ": ") + place.key;
    }
    return text + (text.empty() ? "" : ": ") + problem;
}

std::string duration_text(std::chrono::milliseconds limit) {
    if (limit.count() % 1000 == 0) {
        return std::to_string(limit.count() / 1000) + " s";
    }
    return std::to_string(limit.count()) + " ms";
}

std::string timeout_text(Stage stage, std::chrono::milliseconds limit) {
    std::string text = "the time limit of " + duration_text(limit) + " passed";
    if (stage != Stage::none) {
        text.append(" (stage: ").append(to_string(stage)).append(")");
    }
    return text;
}

template <class Error>
std::exception_ptr as_pointer(const Error& error) {
    return std::make_exception_ptr(error);
}

}  // namespace

std::string_view to_string(Stage stage) noexcept {
    switch (stage) {
        case Stage::none: return "none";
        case Stage::queue: return "queue";
        case Stage::rate_limit: return "rate limit";
        case Stage::token: return "token";
        case Stage::pool: return "pool";
        case Stage::resolve: return "resolve";
        case Stage::connect: return "connect";
        case Stage::proxy: return "proxy";
        case Stage::handshake: return "handshake";
        case Stage::write: return "write";
        case Stage::first_byte: return "first byte";
        case Stage::body: return "body";
        case Stage::consumer: return "consumer";
        case Stage::retry: return "retry";
        case Stage::close: return "close";
        case Stage::total: return "total";
    }
    return "unknown";
}

std::string_view to_string(CancelReason reason) noexcept {
    switch (reason) {
        case CancelReason::user: return "user";
        case CancelReason::deadline: return "deadline";
        case CancelReason::closed: return "closed";
        case CancelReason::shutdown: return "shutdown";
        case CancelReason::abandoned: return "abandoned";
        case CancelReason::signal: return "signal";
        case CancelReason::sibling: return "sibling";
    }
    return "unknown";
}

struct LLMError::Body {
    Body(std::string text, Diagnostics known)
        : message(std::move(text)),
          diagnostics(std::move(known)),
          what(describe(message, diagnostics)) {}

    std::string message;
    Diagnostics diagnostics;
    std::string what;
};

LLMError::LLMError(Errc code, const std::string& message)
    : LLMError(code, message, Diagnostics()) {}

LLMError::LLMError(Errc code, const std::string& message, Diagnostics diagnostics)
    : system_error(make_error_code(code)),
      body_(std::make_shared<const Body>(
          message.empty() ? error_category().message(static_cast<int>(code)) : message,
          std::move(diagnostics)
      )) {}

LLMError::~LLMError() = default;

const std::string& LLMError::message() const noexcept {
    return body_->message;
}

const Diagnostics& LLMError::diagnostics() const noexcept {
    return body_->diagnostics;
}

const char* LLMError::what() const noexcept {
    return body_->what.c_str();
}

void LLMError::rethrow_with(Diagnostics diagnostics) const {
    std::rethrow_exception(clone_with(std::move(diagnostics)));
}

std::exception_ptr LLMError::with(Diagnostics diagnostics) const {
    return clone_with(std::move(diagnostics));
}

std::exception_ptr LLMError::clone_with(Diagnostics diagnostics) const {
    return as_pointer(LLMError(errc(), message(), std::move(diagnostics)));
}

Cancelled::Cancelled(CancelReason reason, Diagnostics diagnostics)
    : LLMError(
          reason == CancelReason::signal ? Errc::interrupted : Errc::cancelled,
          "the call was cancelled (reason: " + std::string(to_string(reason)) + ")",
          std::move(diagnostics)
      ),
      reason_(reason) {}

Cancelled::~Cancelled() = default;

std::exception_ptr Cancelled::clone_with(Diagnostics diagnostics) const {
    return as_pointer(Cancelled(reason_, std::move(diagnostics)));
}

Timeout::Timeout(Stage stage, std::chrono::milliseconds limit, Diagnostics diagnostics)
    : LLMError(Errc::timeout, timeout_text(stage, limit), std::move(diagnostics)),
      stage_(stage),
      limit_(limit) {}

Timeout::~Timeout() = default;

std::exception_ptr Timeout::clone_with(Diagnostics diagnostics) const {
    return as_pointer(Timeout(stage_, limit_, std::move(diagnostics)));
}

ProcessClosed::ProcessClosed(Diagnostics diagnostics)
    : LLMError(
          Errc::process_closed,
          "the process is closed: start another one from its program",
          std::move(diagnostics)
      ) {}

ProcessClosed::~ProcessClosed() = default;

std::exception_ptr ProcessClosed::clone_with(Diagnostics diagnostics) const {
    return as_pointer(ProcessClosed(std::move(diagnostics)));
}

WouldDeadlock::WouldDeadlock(const std::string& message)
    : LLMError(Errc::would_deadlock, message) {}

WouldDeadlock::WouldDeadlock(Errc code, const std::string& message) : LLMError(code, message) {}

WouldDeadlock::WouldDeadlock(Errc code, const std::string& message, Diagnostics diagnostics)
    : LLMError(code, message, std::move(diagnostics)) {}

WouldDeadlock::~WouldDeadlock() = default;

std::exception_ptr WouldDeadlock::clone_with(Diagnostics diagnostics) const {
    return as_pointer(WouldDeadlock(errc(), message(), std::move(diagnostics)));
}

ReentrantCall::ReentrantCall(const std::string& message)
    : WouldDeadlock(Errc::reentrant_call, message) {}

ReentrantCall::ReentrantCall(const std::string& message, Diagnostics diagnostics)
    : WouldDeadlock(Errc::reentrant_call, message, std::move(diagnostics)) {}

ReentrantCall::~ReentrantCall() = default;

std::exception_ptr ReentrantCall::clone_with(Diagnostics diagnostics) const {
    return as_pointer(ReentrantCall(message(), std::move(diagnostics)));
}

ConfigError::ConfigError(ConfigPlace place, const std::string& problem)
    : ConfigError(Errc::invalid_config, std::move(place), problem) {}

ConfigError::ConfigError(Errc code, ConfigPlace place, const std::string& problem)
    : LLMError(code, place_text(place, problem)),
      place_(std::make_shared<const ConfigPlace>(std::move(place))) {}

ConfigError::ConfigError(
    Errc code,
    std::shared_ptr<const ConfigPlace> place,
    std::string text,
    Diagnostics diagnostics
)
    : LLMError(code, text, std::move(diagnostics)),
      place_(std::move(place)) {}

ConfigError::~ConfigError() = default;

std::exception_ptr ConfigError::clone_with(Diagnostics diagnostics) const {
    return as_pointer(ConfigError(errc(), place_, message(), std::move(diagnostics)));
}

ToolError::ToolError(std::string tool, const std::string& problem)
    : LLMError(Errc::tool_failed, "tool \"" + tool + "\": " + problem),
      tool_(std::make_shared<const std::string>(std::move(tool))) {}

ToolError::ToolError(
    std::shared_ptr<const std::string> tool,
    const std::string& text,
    Diagnostics diagnostics
)
    : LLMError(Errc::tool_failed, text, std::move(diagnostics)),
      tool_(std::move(tool)) {}

ToolError::~ToolError() = default;

std::exception_ptr ToolError::clone_with(Diagnostics diagnostics) const {
    return as_pointer(ToolError(tool_, message(), std::move(diagnostics)));
}

}  // namespace llmproc
