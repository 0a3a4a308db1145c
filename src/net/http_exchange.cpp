#include "net/http_exchange.hpp"

#include "net/connection.hpp"
#include "net/origin.hpp"
#include "wire/keep_alive.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <span>
#include <utility>

namespace llmproc::net {

namespace {

constexpr std::size_t read_size = 16UL * 1024;  // One TLS record.
// Header and body in one record where they fit; what is longer is not copied.
constexpr std::size_t first_piece = 16UL * 1024;

bool is_method_char(char c) {
    return (c >= 'A' && c <= 'Z') || c == '-';
}

bool is_target_char(char c) {
    return c > ' ' && c < '\x7f';
}

bool same_name(std::string_view left, std::string_view lower) {
    return left.size() == lower.size() &&
           std::equal(left.begin(), left.end(), lower.begin(), [](char a, char b) {
               return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
           });
}

void append_field(std::string& text, std::string_view name, std::string_view value) {
    text.append(name).append(": ").append(value).append("\r\n");
}

void check_request(const HttpRequest& request) {
    const bool method_fits =
        !request.method.empty() &&
        std::all_of(request.method.begin(), request.method.end(), is_method_char);
    if (!method_fits) {
        throw LLMError(Errc::invalid_argument, "the request's method must be upper-case letters");
    }
    const bool target_fits =
        !request.target.empty() && request.target.front() == '/' &&
        std::all_of(request.target.begin(), request.target.end(), is_target_char);
    if (!target_fits) {
        throw LLMError(
            Errc::invalid_argument,
            "the request's target must begin with / and be percent-encoded ASCII"
        );
    }
}

/// Headers that only the transport may set. The ones for a proxy would reach the server, too.
void check_name(std::string_view name) {
    const char* problem = nullptr;
    if (same_name(name, "transfer-encoding")) {
        problem = "the header Transfer-Encoding is set by the transport; remove it from the "
                  "request";
    } else if (same_name(name, "proxy-authorization")) {
        problem = "the header Proxy-Authorization would show the proxy's credentials to the "
                  "server; remove it and write them into the URL in connection.proxy";
    } else if (same_name(name, "proxy-connection")) {
        problem = "the header Proxy-Connection is no part of HTTP/1.1; remove it from the request";
    }
    if (problem != nullptr) {
        throw LLMError(Errc::invalid_argument, problem);
    }
}

}  // namespace

std::string compose_request(const HttpRequest& request, const Origin& origin, std::size_t limit) {
    check_request(request);
    const bool by_proxy = origin.proxy && !origin.tunnelled();
    constexpr std::size_t fixed_part = 160;
    std::size_t size = fixed_part + request.method.size() + request.target.size() +
                       origin.host_header.size() + request.body.size();
    for (const auto& [name, value] : request.headers) {
        check_name(name);
        size += name.size() + value.size() + 4;
    }
    if (by_proxy) {
        size += origin.host_header.size() + origin.proxy->authorization.reveal().size();
    }
    std::string text;
    text.reserve(std::min(size, limit));
    text.append(request.method).append(" ");
    if (by_proxy) {
        text.append("http://").append(origin.host_header);
    }
    text.append(request.target).append(" HTTP/1.1\r\n");
    if (!request.headers.contains("Host")) {
        append_field(text, "Host", origin.host_header);
    }
    if (by_proxy && !origin.proxy->authorization.empty()) {
        append_field(text, "Proxy-Authorization", origin.proxy->authorization.reveal());
    }
    bool names_encoding = false;
    for (const auto& [name, value] : request.headers) {
        names_encoding = names_encoding || same_name(name, "accept-encoding");
        if (!same_name(name, "content-length")) {
            append_field(text, name, value);
        }
    }
    if (!names_encoding) {
        append_field(text, "Accept-Encoding", "identity");
    }
    const bool may_have_body = request.method != "GET" && request.method != "HEAD";
    if (!request.body.empty() || may_have_body) {
        std::array<char, 24> digits{};
        char* const end =
            std::to_chars(digits.data(), digits.data() + digits.size(), request.body.size()).ptr;
        append_field(
            text,
            "Content-Length",
            std::string_view(digits.data(), static_cast<std::size_t>(end - digits.data()))
        );
    }
    text.append("\r\n");
    const std::size_t room = limit - std::min(limit, text.size());
    text.append(request.body, 0, std::min(room, request.body.size()));
    return text;
}

HttpExchange::Impl::Impl(
    async::CallContext& call,
    const ConnectPlan& plan,
    const HttpRequest& request,
    Body body
)
    : call_(call.weak_from_this()),
      origin_(plan.origin),
      settings_(plan.settings),
      request_(compose_request(
          request,
          *plan.origin,
          body == Body::viewed ? first_piece : std::string::npos
      )),
      head_request_(request.method == "HEAD"),
      reader_(plan.settings->max_header_bytes, head_request_) {
    const std::size_t head_end = request_.find("\r\n\r\n") + 4;
    rest_ = std::string_view(request.body).substr(request_.size() - head_end);
}

LLMError HttpExchange::Impl::error(Errc code, Stage stage, std::string_view problem) const {
    return net_error(code, *origin_, stage, problem);
}

std::shared_ptr<async::CallContext> HttpExchange::Impl::call() const {
    std::shared_ptr<async::CallContext> call = call_.lock();
    if (!call) {
        throw error(Errc::internal, Stage::body, "the answer is read after its call has ended");
    }
    return call;
}

void HttpExchange::Impl::begin(PooledConnection lease, bool reused) {
    lease_ = std::move(lease);
    lease_.touch();
    reused_ = reused;
    sent_ = 0;
    send_waited_ = false;
    write_failed_ = false;
    disconnected_ = false;
    failure_ = nullptr;
}

PooledConnection HttpExchange::Impl::restart() {
    lease_.renew();
    return std::move(lease_);
}

HttpExchange::Impl::Sent HttpExchange::Impl::send_more() {
    while (sent_ < request_size()) {
        const std::string_view piece = sent_ < request_.size()
                                           ? std::string_view(request_).substr(sent_)
                                           : rest_.substr(sent_ - request_.size());
        const Step step = lease_->try_write(piece);
        switch (step.state) {
            case StepState::done: sent_ += step.bytes; break;
            case StepState::want_write: return Sent::blocked_write;
            case StepState::want_read: return Sent::blocked_read;
            default: write_failed_ = true; return Sent::failed;
        }
    }
    just_sent_ = true;
    return Sent::all;
}

HttpExchange::Impl::Arrived HttpExchange::Impl::lost(Stage stage, const std::string& reason) {
    disconnected_ = true;
    if (lease_->refused()) {
        const std::string refusal = "the TLS handshake failed: " + reason;
        failure_ = std::make_exception_ptr(error(Errc::tls_handshake_failed, stage, refusal));
        return Arrived::failed;
    }
    std::string text = "the connection was lost: " + reason;
    if (sent_ > 0) {
        text += "; the server may have executed the request";
    }
    failure_ = std::make_exception_ptr(error(Errc::connection_lost, stage, text));
    return Arrived::failed;
}

HttpExchange::Impl::Arrived HttpExchange::Impl::broken(Stage stage) {
    failure_ = std::make_exception_ptr(error(reader_.problem(), stage, reader_.problem_text()));
    return Arrived::failed;
}

HttpExchange::Impl::Arrived HttpExchange::Impl::end_of_input(bool orderly, Stage stage) {
    if (!reader_.started()) {
        return lost(stage, "the server closed it without an answer");
    }
    if (!reader_.end(orderly)) {
        return broken(stage);
    }
    finish();
    return Arrived::complete;
}

HttpExchange::Impl::Arrived HttpExchange::Impl::receive(
    std::string& sink,
    std::size_t limit,
    Stage stage
) {
    // On the stack: it is needed only between two waits, and idle connections must stay small.
    std::array<char, read_size> buffer;  // NOLINT: filled by the read, too large to clear first.
    const std::size_t before = sink.size();
    const bool head_was_there = reader_.head_complete();
    for (;;) {
        const Step step = lease_->try_read(buffer);
        switch (step.state) {
            case StepState::done: break;
            case StepState::want_read:
                return sink.size() > before ? Arrived::some : Arrived::nothing_yet;
            case StepState::want_write:
                return sink.size() > before ? Arrived::some : Arrived::blocked_write;
            case StepState::closed: return end_of_input(true, stage);
            case StepState::cut: return end_of_input(false, stage);
            case StepState::failed: return lost(stage, lease_->failure());
        }
        if (!reader_.feed(std::string_view(buffer.data(), step.bytes), sink)) {
            return broken(stage);
        }
        if (reader_.complete()) {
            finish();
            return Arrived::complete;
        }
        if (reader_.head_complete() != head_was_there || sink.size() >= limit) {
            return Arrived::some;
        }
    }
}

HttpExchange::Impl::Sent HttpExchange::Impl::send_beside_answer() {
    constexpr int first_refusal = 300;
    const bool wanted = reader_.head().status < first_refusal;
    if (!wanted || write_failed_ || sent_ == request_size()) {
        return Sent::given_up;
    }
    return send_more();
}

void HttpExchange::Impl::finish() {
    finished_ = true;
    const bool whole_request_sent = sent_ == request_size();
    const bool reusable = whole_request_sent && reader_.reusable();
    if (reusable && !reader_.keep_alive().empty()) {
        lease_.note_keep_alive(wire::parse_keep_alive(reader_.keep_alive()));
    }
    lease_.release(reusable);
    request_ = std::string();
    rest_ = std::string_view();
}

void HttpExchange::Impl::check_head() {
    if (reader_.coded_body()) {
        throw error(
            Errc::malformed_http,
            Stage::first_byte,
            "the answer is compressed (Content-Encoding), which is not supported; remove "
            "Accept-Encoding from the request's headers, or check the proxy in between"
        );
    }
}

Need HttpExchange::Impl::head_failed() {
    const bool stale = reused_ && disconnected_ && !reader_.started();
    if (stale && settings_->resend_on_stale) {
        return Need::new_start;
    }
    std::rethrow_exception(failure_);
}

Need HttpExchange::Impl::advance_to_head(async::CallContext& call) {
    Sent sent = Sent::all;
    if (sent_ < request_size() && !write_failed_) {
        const std::size_t before = sent_;
        sent = send_more();
        if (sent == Sent::all) {
            call.enter(Stage::first_byte);
        } else if (send_waited_ && sent_ > before) {
            call.enter(Stage::write);
        }
        send_waited_ = true;
    }
    if (std::exchange(just_sent_, false)) {
        return Need::readable;  // The answer cannot be there yet: save one system call.
    }
    const Arrived arrived = receive(early_, read_size, call.stage());
    if (arrived == Arrived::failed) {
        return head_failed();
    }
    if (reader_.head_complete()) {
        check_head();
        return Need::nothing;
    }
    if (write_failed_) {
        const std::string& reason = lease_->failure();
        lost(Stage::write, reason.empty() ? "the server has closed it" : reason);
        return head_failed();
    }
    if (sent == Sent::blocked_write) {
        return Need::either;
    }
    return arrived == Arrived::blocked_write ? Need::writable : Need::readable;
}

bool HttpExchange::Impl::take_early(std::string& out) {
    if (early_.empty()) {
        return false;
    }
    if (out.empty()) {
        out.swap(early_);
    } else {
        out += early_;
    }
    early_ = std::string();
    return true;
}

Need HttpExchange::Impl::advance_body(std::string& out, std::size_t soft_limit) {
    if (failure_) {
        std::rethrow_exception(failure_);
    }
    const Sent sent = send_beside_answer();
    const std::size_t before = out.size();
    const std::size_t room = out.max_size() - before;
    const std::size_t limit = before + std::min(std::max<std::size_t>(soft_limit, 1), room);
    switch (receive(out, limit, Stage::body)) {
        case Arrived::some:
        case Arrived::complete: return Need::nothing;
        case Arrived::nothing_yet:
            return sent == Sent::blocked_write ? Need::either : Need::readable;
        case Arrived::blocked_write: return Need::writable;
        case Arrived::failed: break;
    }
    lease_.release(false);
    if (out.size() == before) {
        std::rethrow_exception(failure_);
    }
    return Need::nothing;
}

}  // namespace llmproc::net
