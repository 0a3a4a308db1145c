#include <llmproc/error.hpp>

#include <boost/system/error_category.hpp>

#include <array>
#include <cstddef>
#include <string>

namespace llmproc {

namespace {

constexpr unsigned bit(Condition condition) noexcept {
    return 1U << static_cast<unsigned>(condition);
}

constexpr unsigned retry = bit(Condition::retryable);
constexpr unsigned timed_out = bit(Condition::timeout);
constexpr unsigned ended = bit(Condition::cancelled);
constexpr unsigned slow_down = bit(Condition::rate_limited);
constexpr unsigned auth = bit(Condition::authentication);
constexpr unsigned request = bit(Condition::invalid_request);
constexpr unsigned closed = bit(Condition::closed);

struct CodeRow {
    Errc code;
    const char* text;
    unsigned conditions;
};

/// In the order of the enumerators, from 1.
constexpr std::array code_table = {
    CodeRow{Errc::invalid_config, "the program file is invalid", 0},
    CodeRow{Errc::missing_api_key, "the API key is missing", auth},
    CodeRow{Errc::resolve_failed, "the host name could not be resolved", retry},
    CodeRow{Errc::connect_failed, "the connection could not be made", retry},
    CodeRow{Errc::proxy_refused, "the proxy refused the tunnel", 0},
    CodeRow{Errc::tls_handshake_failed, "the TLS handshake failed", 0},
    CodeRow{Errc::certificate_invalid, "the server's certificate is not trusted", 0},
    CodeRow{Errc::certificate_host, "the server's certificate is for another host", 0},
    CodeRow{Errc::connection_lost, "the connection was lost", retry},
    CodeRow{Errc::insecure_url, "plain http is allowed to loopback only", 0},
    CodeRow{Errc::malformed_http, "the answer is not valid HTTP", 0},
    CodeRow{Errc::header_too_large, "the answer's header is too large", 0},
    CodeRow{Errc::body_too_large, "the answer's body is too large", 0},
    CodeRow{Errc::truncated_response, "the answer was cut off", retry},
    CodeRow{Errc::truncated_stream, "the stream was cut off", retry},
    CodeRow{Errc::malformed_response, "the answer is not what the protocol promises", 0},
    CodeRow{Errc::invalid_answer, "the answer is not of the asked-for type", 0},
    CodeRow{Errc::invalid_request, "the provider refused the request", request},
    CodeRow{Errc::authentication_failed, "the API key was refused", auth},
    CodeRow{Errc::permission_denied, "the API key has no permission for that", auth},
    CodeRow{Errc::insufficient_quota, "the account's quota is used up", 0},
    CodeRow{Errc::not_found, "the model or path does not exist", request},
    CodeRow{Errc::conflict, "the provider reports a conflict", retry},
    CodeRow{Errc::request_too_large, "the request is too large", request},
    CodeRow{Errc::context_length, "the conversation does not fit the model's context", request},
    CodeRow{Errc::content_filtered, "the provider's content policy refused it", request},
    CodeRow{Errc::rate_limited, "the rate limit was exceeded", retry | slow_down},
    CodeRow{Errc::server_error, "the provider failed", retry},
    CodeRow{Errc::overloaded, "the provider is overloaded", retry},
    CodeRow{Errc::http_status, "the provider answered with an unexpected status", 0},
    CodeRow{Errc::timeout, "the time limit passed", retry | timed_out},
    CodeRow{Errc::cancelled, "the call was cancelled", ended},
    CodeRow{Errc::process_closed, "the process is closed", ended | closed},
    CodeRow{Errc::loop_closed, "the event loop is closed", closed},
    CodeRow{Errc::loop_died, "the event loop died", closed},
    CodeRow{Errc::loop_running, "the event loop runs already", 0},
    CodeRow{Errc::loop_stopped, "the event loop stopped early", closed},
    CodeRow{Errc::interrupted, "a signal ended the call", ended},
    CodeRow{Errc::forked_process, "it belongs to the parent process", 0},
    CodeRow{Errc::would_deadlock, "the call would block for ever", 0},
    CodeRow{Errc::reentrant_call, "this thread already occupies the process", 0},
    CodeRow{Errc::busy, "the process has an open stream", 0},
    CodeRow{Errc::invalid_handle, "the handle is empty", 0},
    CodeRow{Errc::queue_full, "the queue is full", retry},
    CodeRow{Errc::queue_closed, "the queue is closed", closed},
    CodeRow{Errc::limit_reached, "a limit of the library is reached", 0},
    CodeRow{Errc::budget_exhausted, "a limit of the program is reached", 0},
    CodeRow{Errc::invalid_argument, "an argument is invalid", request},
    CodeRow{Errc::invalid_json, "the text is not valid JSON", 0},
    CodeRow{Errc::not_supported, "that is not supported", request},
    CodeRow{Errc::tool_failed, "the tool could not be run", 0},
    CodeRow{Errc::internal, "a bug in llmproc", 0},
};

constexpr bool in_order() noexcept {
    for (std::size_t i = 0; i < code_table.size(); ++i) {
        if (static_cast<std::size_t>(code_table[i].code) != i + 1) {
            return false;
        }
    }
    return code_table.back().code == Errc::internal;
}
static_assert(in_order());

const CodeRow* find_row(int code) noexcept {
    if (code < 1 || static_cast<std::size_t>(code) > code_table.size()) {
        return nullptr;
    }
    return &code_table[static_cast<std::size_t>(code) - 1];
}

const char* condition_text(int condition) noexcept {
    switch (static_cast<Condition>(condition)) {
        case Condition::retryable: return "the same call may succeed later";
        case Condition::timeout: return "a time limit passed";
        case Condition::cancelled: return "the call was ended on purpose";
        case Condition::rate_limited: return "too many requests or tokens";
        case Condition::authentication: return "the key is missing, wrong or not allowed";
        case Condition::invalid_request: return "the request must be changed";
        case Condition::closed: return "the process or its event loop is closed";
    }
    return "unknown condition";
}

// The numbers identify the categories where several copies of this library are loaded.
constexpr boost::ulong_long_type code_category_id = 0x6c6c6d70726f6301U;
constexpr boost::ulong_long_type condition_category_id = 0x6c6c6d70726f6302U;

// The base's destructor is protected and not virtual: nothing ever deletes a category.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"

class ConditionCategory final : public boost::system::error_category {
public:
    constexpr ConditionCategory() noexcept : error_category(condition_category_id) {}
    const char* name() const noexcept override { return "llmproc.condition"; }
    std::string message(int condition) const override { return condition_text(condition); }
};

class CodeCategory final : public boost::system::error_category {
public:
    constexpr CodeCategory() noexcept : error_category(code_category_id) {}
    const char* name() const noexcept override { return "llmproc"; }

    std::string message(int code) const override {
        const CodeRow* const row = find_row(code);
        return row != nullptr ? row->text : "unknown error " + std::to_string(code);
    }

    bool equivalent(int code, const boost::system::error_condition& condition)
        const noexcept override {
        if (condition.category() != condition_category()) {
            return error_category::equivalent(code, condition);
        }
        const CodeRow* const row = find_row(code);
        return row != nullptr &&
               (row->conditions & bit(static_cast<Condition>(condition.value()))) != 0;
    }
};

#pragma GCC diagnostic pop

constexpr CodeCategory code_category_instance;
constexpr ConditionCategory condition_category_instance;

}  // namespace

const boost::system::error_category& error_category() noexcept {
    return code_category_instance;
}

const boost::system::error_category& condition_category() noexcept {
    return condition_category_instance;
}

boost::system::error_code make_error_code(Errc code) noexcept {
    return {static_cast<int>(code), error_category()};
}

boost::system::error_condition make_error_condition(Condition condition) noexcept {
    return {static_cast<int>(condition), condition_category()};
}

}  // namespace llmproc
