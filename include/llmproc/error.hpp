/// @file
/// Typed errors: one root exception, codes for what happened, conditions for what to do.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/usage.hpp>

#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace llmproc {

/// What happened. Compare with `Condition` to decide what to do.
enum class Errc {
    // The program file and its settings.
    invalid_config = 1,  ///< The program is wrong; `ConfigError` names file, line, column and key.
    missing_api_key,     ///< The provider needs a key: set its variable or `model.api_key_env`.
    // Between us and the provider.
    resolve_failed,        ///< The host name has no address: check `model.base_url` and DNS.
    connect_failed,        ///< Nobody accepts connections there, or the network refuses.
    proxy_refused,         ///< The proxy will not open a tunnel: see `Diagnostics::status`.
    tls_handshake_failed,  ///< TLS could not be agreed on.
    certificate_invalid,   ///< Untrusted or expired chain: add its CA with `connection.ca_file`.
    certificate_host,      ///< The certificate is valid but is not for this host name.
    connection_lost,       ///< The connection broke; the server may have executed the request.
    insecure_url,          ///< Plain http beyond loopback: use https or `allow_insecure_http`.
    malformed_http,        ///< The answer is not HTTP/1.1 as RFC 9112 has it.
    header_too_large,      ///< The answer's header exceeds `connection.max_header_bytes`.
    body_too_large,        ///< The answer's body exceeds `connection.max_body_bytes`.
    truncated_response,    ///< The body ended before its announced end.
    truncated_stream,      ///< The stream ended without its provider's end mark.
    malformed_response,    ///< A complete body that is not what the protocol promises.
    invalid_answer,        ///< The model's text is not the asked-for type; see `partial_text`.
    // What the provider answered.
    invalid_request,        ///< 400 and 422: the provider refuses the request as it is.
    authentication_failed,  ///< 401: the key is wrong or missing.
    permission_denied,      ///< 403: the key may not do that.
    insufficient_quota,     ///< 402, or 429 that waiting does not help: check the billing.
    not_found,              ///< 404: no such model or path; check `model.name` and `base_url`.
    conflict,               ///< 409: the resource changed; the call may be repeated.
    request_too_large,      ///< 413: shorten the conversation.
    context_length,         ///< The conversation does not fit the model's context.
    content_filtered,       ///< The provider's content policy refused the prompt.
    rate_limited,           ///< 429: slow down; see `Diagnostics::retry_after`.
    server_error,           ///< 5xx: the provider failed; the call may be repeated.
    overloaded,             ///< 503 and 529: the provider has no capacity now.
    http_status,            ///< Any other status; see `Diagnostics::status`.
    // The life of calls, processes and loops.
    timeout,           ///< A deadline passed; `Timeout` names the stage.
    cancelled,         ///< The call was cancelled; `Cancelled` has the reason.
    process_closed,    ///< The process was closed before or during the call.
    loop_closed,       ///< The event loop or `io_context` is gone.
    loop_died,         ///< The event loop's thread ended by repeated failures.
    loop_running,      ///< The loop runs already, on its own thread or further up the stack.
    loop_stopped,      ///< The loop stopped before the work was done.
    interrupted,       ///< A signal ended the call: `Cancelled` with CancelReason::signal.
    forked_process,    ///< Made before fork() and used in the child: start new ones there.
    would_deadlock,    ///< A blocking call on the loop that would have to serve it.
    reentrant_call,    ///< A blocking call on a process that this thread already occupies.
    busy,              ///< The process streams; finish or destroy its stream first.
    invalid_handle,    ///< A moved-from or default-constructed handle was used.
    queue_full,        ///< A bounded queue has no room: wait for it, or raise its capacity.
    queue_closed,      ///< The queue was closed: nothing can be pushed any more.
    limit_reached,     ///< A bound of the library (connections, threads, descriptors) is exhausted.
    budget_exhausted,  ///< A limit of `[limits]` is reached: nothing more is sent.
    // The rest.
    invalid_argument,  ///< An argument of the call is out of range.
    invalid_json,      ///< Text that should be JSON is not.
    not_supported,     ///< This provider or version cannot do that.
    tool_failed,       ///< A tool could not be run.
    internal,          ///< A bug in this library: please report it.
};

/// What to do about it; `error.code() == Condition::retryable` asks.
enum class Condition {
    retryable = 1,    ///< The same call may succeed later.
    timeout,          ///< A deadline passed.
    cancelled,        ///< Somebody wanted it to end: cancelled or closed.
    rate_limited,     ///< Too many requests or tokens.
    authentication,   ///< The key is missing, wrong or not allowed.
    invalid_request,  ///< The request must be changed before it can succeed.
    closed,           ///< The process or its loop is closed.
};

/// Where in a call something happened; named in timeouts.
enum class Stage {
    none,        ///< Outside any stage.
    queue,       ///< Waiting for earlier runs of the same process.
    rate_limit,  ///< Waiting for the client-side limits of `[rate_limit]`.
    token,       ///< Waiting for a bearer token of the program's TokenProvider.
    pool,        ///< Waiting for a connection slot.
    resolve,     ///< Looking up the host name.
    connect,     ///< TCP connect.
    proxy,       ///< Asking the proxy for a tunnel.
    handshake,   ///< TLS handshake.
    write,       ///< Sending the request.
    first_byte,  ///< Waiting for the answer to begin.
    body,        ///< Between pieces of the answer.
    consumer,    ///< Waiting for the caller to take stream events.
    retry,       ///< Waiting before the next attempt.
    close,       ///< Closing down.
    total,       ///< The whole call.
};

/// The stage's name as used in messages, e.g. "first byte".
LLMPROC_API std::string_view to_string(Stage stage) noexcept;

/// Why a call was cancelled.
enum class CancelReason {
    user,       ///< The caller's cancellation slot or `std::stop_token`.
    deadline,   ///< A time limit.
    closed,     ///< The process or the loop was closed.
    shutdown,   ///< The program or `run_main` ends.
    abandoned,  ///< A stream, group or task scope was destroyed before its end.
    signal,     ///< SIGINT or SIGTERM; `code()` is Errc::interrupted.
    sibling,    ///< Another member of the same group failed or won.
};

/// The reason's name, e.g. "user".
LLMPROC_API std::string_view to_string(CancelReason reason) noexcept;

/// Everything known about a failure; empty fields are unknown. Holds no key and no prompt.
struct Diagnostics {
    std::string provider;          ///< Row of the profile table, e.g. "openai".
    std::string model;             ///< Model of the request.
    std::string endpoint;          ///< scheme://host:port of the request.
    std::optional<int> status;     ///< HTTP status; none when no answer came.
    std::string request_id;        ///< The provider's id of the request.
    std::string provider_type;     ///< The provider's own error type.
    std::string provider_code;     ///< The provider's own error code.
    std::string provider_message;  ///< The provider's own words, keys redacted, cut to 2,000 bytes.
    std::string partial_text;      ///< Text that had arrived before the failure.
    std::optional<Usage> partial_usage;                    ///< Tokens reported before the failure.
    std::optional<std::chrono::milliseconds> retry_after;  ///< The provider's hint.
    int attempts = 0;                                      ///< Tries made, the first included.
    Stage stage = Stage::none;                             ///< Where it happened.
};

/// The category of `Errc`.
LLMPROC_API const boost::system::error_category& error_category() noexcept;
/// The category of `Condition`.
LLMPROC_API const boost::system::error_category& condition_category() noexcept;

LLMPROC_API boost::system::error_code make_error_code(Errc code) noexcept;
LLMPROC_API boost::system::error_condition make_error_condition(Condition condition) noexcept;

/// Root of all exceptions that the library throws on its own account.
/// Copying never throws. `what()` is one line: what, where, remedy.
class LLMPROC_API LLMError : public boost::system::system_error {
public:
    LLMError(Errc code, const std::string& message);
    LLMError(Errc code, const std::string& message, Diagnostics diagnostics);
    LLMError(const LLMError&) noexcept = default;
    LLMError& operator=(const LLMError&) noexcept = default;
    ~LLMError() override;

    /// The code as enumerator.
    Errc errc() const noexcept { return static_cast<Errc>(code().value()); }
    /// The message without the category's text.
    const std::string& message() const noexcept;
    const Diagnostics& diagnostics() const noexcept;
    const char* what() const noexcept override;

    /// A copy of this error, of the same dynamic type, with other diagnostics.
    [[noreturn]] void rethrow_with(Diagnostics diagnostics) const;
    /// The same as an exception pointer.
    std::exception_ptr with(Diagnostics diagnostics) const;

protected:
    virtual std::exception_ptr clone_with(Diagnostics diagnostics) const;

private:
    struct Body;
    std::shared_ptr<const Body> body_;
};

/// The call was cancelled; the conversation is as it was before it.
class LLMPROC_API Cancelled : public LLMError {
public:
    explicit Cancelled(CancelReason reason, Diagnostics diagnostics = Diagnostics());
    Cancelled(const Cancelled&) noexcept = default;
    Cancelled& operator=(const Cancelled&) noexcept = default;
    ~Cancelled() override;
    CancelReason reason() const noexcept { return reason_; }

protected:
    std::exception_ptr clone_with(Diagnostics diagnostics) const override;

private:
    CancelReason reason_;
};

/// A deadline passed in the named stage.
class LLMPROC_API Timeout : public LLMError {
public:
    /// `limit` is the limit that passed, `stage` what was going on.
    Timeout(Stage stage, std::chrono::milliseconds limit, Diagnostics diagnostics = Diagnostics());
    Timeout(const Timeout&) noexcept = default;
    Timeout& operator=(const Timeout&) noexcept = default;
    ~Timeout() override;
    Stage stage() const noexcept { return stage_; }
    std::chrono::milliseconds limit() const noexcept { return limit_; }

protected:
    std::exception_ptr clone_with(Diagnostics diagnostics) const override;

private:
    Stage stage_;
    std::chrono::milliseconds limit_;
};

/// The process was closed before or during the call.
class LLMPROC_API ProcessClosed : public LLMError {
public:
    explicit ProcessClosed(Diagnostics diagnostics = Diagnostics());
    ProcessClosed(const ProcessClosed&) noexcept = default;
    ProcessClosed& operator=(const ProcessClosed&) noexcept = default;
    ~ProcessClosed() override;

protected:
    std::exception_ptr clone_with(Diagnostics diagnostics) const override;
};

/// A blocking call that could never end, refused instead.
class LLMPROC_API WouldDeadlock : public LLMError {
public:
    explicit WouldDeadlock(const std::string& message);
    WouldDeadlock(const WouldDeadlock&) noexcept = default;
    WouldDeadlock& operator=(const WouldDeadlock&) noexcept = default;
    ~WouldDeadlock() override;

protected:
    WouldDeadlock(Errc code, const std::string& message);
    WouldDeadlock(Errc code, const std::string& message, Diagnostics diagnostics);
    std::exception_ptr clone_with(Diagnostics diagnostics) const override;
};

/// A blocking call on a process that the calling thread already occupies, e.g. by an open stream.
class LLMPROC_API ReentrantCall : public WouldDeadlock {
public:
    explicit ReentrantCall(const std::string& message);
    ReentrantCall(const std::string& message, Diagnostics diagnostics);
    ReentrantCall(const ReentrantCall&) noexcept = default;
    ReentrantCall& operator=(const ReentrantCall&) noexcept = default;
    ~ReentrantCall() override;

protected:
    std::exception_ptr clone_with(Diagnostics diagnostics) const override;
};

/// The place of a configuration error; unknown parts are empty or 0.
struct ConfigPlace {
    std::string file;          ///< Path as given, or the name given to `from_toml_string`.
    std::uint32_t line = 0;    ///< From 1.
    std::uint32_t column = 0;  ///< From 1.
    std::string key;           ///< Dotted key, e.g. "model.base_url".
};

/// A program that cannot be used, with the place and the remedy.
class LLMPROC_API ConfigError : public LLMError {
public:
    /// `what()` reads "file:line:column: key: problem".
    ConfigError(ConfigPlace place, const std::string& problem);
    ConfigError(Errc code, ConfigPlace place, const std::string& problem);
    ConfigError(const ConfigError&) noexcept = default;
    ConfigError& operator=(const ConfigError&) noexcept = default;
    ~ConfigError() override;
    const std::string& file() const noexcept { return place_->file; }
    std::uint32_t line() const noexcept { return place_->line; }
    std::uint32_t column() const noexcept { return place_->column; }
    const std::string& key() const noexcept { return place_->key; }

protected:
    ConfigError(
        Errc code,
        std::shared_ptr<const ConfigPlace> place,
        std::string text,
        Diagnostics diagnostics
    );
    std::exception_ptr clone_with(Diagnostics diagnostics) const override;

private:
    std::shared_ptr<const ConfigPlace> place_;
};

/// A tool that could not be run at all. A tool that ran and failed is a value for the model.
class LLMPROC_API ToolError : public LLMError {
public:
    ToolError(std::string tool, const std::string& problem);
    ToolError(const ToolError&) noexcept = default;
    ToolError& operator=(const ToolError&) noexcept = default;
    ~ToolError() override;
    const std::string& tool() const noexcept { return *tool_; }

protected:
    ToolError(
        std::shared_ptr<const std::string> tool,
        const std::string& text,
        Diagnostics diagnostics
    );
    std::exception_ptr clone_with(Diagnostics diagnostics) const override;

private:
    std::shared_ptr<const std::string> tool_;
};

}  // namespace llmproc

template <>
struct boost::system::is_error_code_enum<llmproc::Errc> : std::true_type {};
template <>
struct boost::system::is_error_condition_enum<llmproc::Condition> : std::true_type {};
