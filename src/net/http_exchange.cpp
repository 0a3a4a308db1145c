#include "net/http_exchange.hpp"

#include "net/connection.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <span>
#include <utility>

namespace llmproc::net {

namespace {

constexpr std::size_t read_size = 16UL * 1024;  // One TLS record.

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
    if (request.headers.contains("Transfer-Encoding")) {
        throw LLMError(
            Errc::invalid_argument,
            "the header Transfer-Encoding is set by the transport; remove it from the request"
        );
    }
}

}  // namespace

std::string compose_request(const HttpRequest& request, const std::string& host_header) {
    check_request(request);
    constexpr std::size_t fixed_part = 160;
    std::size_t size = fixed_part + request.method.size() + request.target.size() +
                       host_header.size() + request.body.size();
    for (const auto& [name, value] : request.headers) {
        size += name.size() + value.size() + 4;
    }
    std::string text;
    text.reserve(size);
    text.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\n");
    if (!request.headers.contains("Host")) {
        append_field(text, "Host", host_header);
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
    text.append("\r\n").append(request.body);
    return text;
}

HttpExchange::Impl::Impl(
    async::CallContext& call,
    const ConnectPlan& plan,
    const HttpRequest& request
)
    : call_(call.weak_from_this()),
      origin_(plan.origin),
      settings_(plan.settings),
      request_(compose_request(request, plan.origin->host_header)),
      head_request_(request.method == "HEAD"),
      reader_(plan.settings->max_header_bytes, head_request_) {}

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
    write_failed_ = false;
    disconnected_ = false;
    failure_ = nullptr;
}

PooledConnection HttpExchange::Impl::restart() {
    lease_.renew();
    return std::move(lease_);
}

HttpExchange::Impl::Sent HttpExchange::Impl::send_more() {
    while (sent_ < request_.size()) {
        const Step step = lease_->try_write(std::string_view(request_).substr(sent_));
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

void HttpExchange::Impl::finish() {
    finished_ = true;
    const bool whole_request_sent = sent_ == request_.size();
    lease_.release(whole_request_sent && reader_.reusable());
    request_ = std::string();
}

void HttpExchange::Impl::check_head() {
    const auto encoding = reader_.head().headers.get("Content-Encoding");
    if (encoding && !encoding->empty() && !same_name(*encoding, "identity")) {
        throw error(
            Errc::malformed_http,
            Stage::first_byte,
            "the answer is compressed although that was not asked for; check the proxy in between"
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
    if (sent_ < request_.size() && !write_failed_) {
        sent = send_more();
        if (sent == Sent::all) {
            call.enter(Stage::first_byte);
        }
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
    const std::size_t before = out.size();
    const std::size_t room = out.max_size() - before;
    const std::size_t limit = before + std::min(std::max<std::size_t>(soft_limit, 1), room);
    switch (receive(out, limit, Stage::body)) {
        case Arrived::some:
        case Arrived::complete: return Need::nothing;
        case Arrived::nothing_yet: return Need::readable;
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
