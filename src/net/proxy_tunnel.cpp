#include "net/proxy_tunnel.hpp"

#include "net/connection_wait.hpp"
#include "net/response_reader.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;

namespace {

constexpr std::size_t max_answer_bytes = 64UL * 1024;
constexpr std::size_t read_size = 4096;
constexpr const char* is_it_a_proxy =
    "; check that connection.proxy or HTTPS_PROXY names an HTTP proxy, with the right scheme";

std::string compose_connect(const Origin& origin) {
    std::string text = "CONNECT " + origin.host_port + " HTTP/1.1\r\nHost: " + origin.host_port;
    const Secret& authorization = origin.proxy->authorization;
    if (!authorization.empty()) {
        text += "\r\nProxy-Authorization: ";
        text += authorization.reveal();
    }
    return text + "\r\n\r\n";
}

/// The proxy's own words: without credentials that it may repeat, printable and short.
std::string shown(std::string_view words, const Secret& authorization) {
    constexpr std::size_t max_shown = 100;
    const std::string_view value = authorization.reveal();
    const Secret credentials(std::string(value.substr(value.find(' ') + 1)));
    std::string text = credentials.redact(std::string(words));
    text.resize(std::min(text.size(), max_shown));
    std::replace_if(
        text.begin(),
        text.end(),
        [](char c) { return c < ' ' || c > '~'; },
        '?'
    );
    return text;
}

/// CONNECT and its answer on one connection, in steps that never wait.
class TunnelRequest {
public:
    TunnelRequest(Connection& connection, const Origin& origin)
        : connection_(connection),
          origin_(origin),
          request_(compose_connect(origin)),
          reader_(max_answer_bytes, true) {}

    /// want_read, want_write, or done: then see `failure`.
    StepState advance();
    const std::optional<LLMError>& failure() const noexcept { return failure_; }

private:
    StepState fail(Errc code, const std::string& problem, std::optional<int> status = {});
    StepState lost(const Step& step);
    StepState broken();
    StepState judge();
    std::string remedy(const HttpResponse& answer) const;

    Connection& connection_;
    const Origin& origin_;
    std::string request_;
    std::size_t sent_ = 0;
    ResponseReader reader_;
    std::string body_;  ///< Stays empty.
    std::optional<LLMError> failure_;
};

StepState TunnelRequest::fail(Errc code, const std::string& problem, std::optional<int> status) {
    const std::string text = "the proxy " + origin_.proxy->host_port + " " + problem;
    const LLMError error = net_error(code, origin_, Stage::proxy, text);
    Diagnostics diagnostics = error.diagnostics();
    diagnostics.status = status;
    failure_.emplace(code, error.message(), std::move(diagnostics));
    return StepState::done;
}

StepState TunnelRequest::lost(const Step& step) {
    std::string text = "closed the connection before the tunnel was open";
    if (step.state == StepState::failed) {
        text = "was lost before the tunnel was open (" + connection_.failure() + ")";
    }
    return fail(Errc::connection_lost, text + is_it_a_proxy);
}

StepState TunnelRequest::broken() {
    std::string text = "answers CONNECT with what is not valid HTTP/1.1";
    if (reader_.problem() == Errc::header_too_large) {
        text = "answers CONNECT with a header larger than " + std::to_string(max_answer_bytes) +
               " bytes";
    }
    return fail(reader_.problem(), text + is_it_a_proxy);
}

std::string TunnelRequest::remedy(const HttpResponse& answer) const {
    constexpr int unauthorized = 401;  // tinyproxy, to wrong credentials.
    constexpr int authentication_required = 407;
    constexpr int first_server_error = 500;
    if (answer.status >= first_server_error) {
        return "it could not reach the host; check the host name in model.base_url, and the "
               "proxy's own log";
    }
    if (answer.status != authentication_required && answer.status != unauthorized) {
        return "allow this host and port at the proxy, or reach the host directly by "
               "connection.no_proxy or NO_PROXY";
    }
    if (origin_.proxy->authorization.empty()) {
        return "put user name and password (Basic) into its URL, as in "
               "http://USER:PASSWORD@HOST:PORT";
    }
    return "check user name and password in the proxy's URL; percent-encode what is not a letter "
           "or digit, and note that only Basic authentication is supported";
}

StepState TunnelRequest::judge() {
    const HttpResponse& answer = reader_.head();
    constexpr int first_success = 200;
    constexpr int first_redirect = 300;
    if (answer.status < first_success || answer.status >= first_redirect) {
        std::string text = "refuses the tunnel with status " + std::to_string(answer.status);
        const std::string reason = shown(answer.reason, origin_.proxy->authorization);
        text += reason.empty() ? "" : " (" + reason + ")";
        return fail(Errc::proxy_refused, text + "; " + remedy(answer), answer.status);
    }
    if (reader_.surplus()) {
        // Before our first byte the origin has nothing to say: this is a body, or smuggled.
        return fail(
            Errc::malformed_http,
            std::string("sends bytes behind its answer to CONNECT") + is_it_a_proxy
        );
    }
    return StepState::done;
}

StepState TunnelRequest::advance() {
    while (sent_ < request_.size()) {
        const Step step = connection_.try_write(std::string_view(request_).substr(sent_));
        if (step.state == StepState::want_read || step.state == StepState::want_write) {
            return step.state;
        }
        if (step.state != StepState::done) {
            return lost(step);
        }
        sent_ += step.bytes;
    }
    std::array<char, read_size> buffer;  // NOLINT: filled by the read.
    for (;;) {
        const Step step = connection_.try_read(buffer);
        if (step.state == StepState::want_read || step.state == StepState::want_write) {
            return step.state;
        }
        if (step.state != StepState::done) {
            return lost(step);
        }
        if (!reader_.feed(std::string_view(buffer.data(), step.bytes), body_)) {
            return broken();
        }
        if (reader_.complete()) {
            return judge();
        }
    }
}

/// The words for a server, said of the proxy.
std::string about_proxy(std::string text) {
    constexpr std::string_view server = "the server";
    for (std::size_t at = text.find(server); at != std::string::npos; at = text.find(server)) {
        text.replace(at, server.size(), "the proxy");
    }
    return text;
}

}  // namespace

LLMError proxy_handshake_error(
    const Origin& origin,
    const Connection& connection,
    StepState state
) {
    std::string text;
    const Errc code = connection.handshake_error(state, text);
    if (code == Errc::certificate_host) {
        text = "the proxy's certificate is not for this host; check the host name in its URL";
    } else if (code == Errc::certificate_invalid) {
        text = about_proxy(std::move(text));
    } else {
        text = "the TLS handshake with the proxy failed";
        text += connection.failure().empty() ? "" : ": " + about_proxy(connection.failure());
        text += "; check scheme and port of its URL: most proxies are http://, for https too";
    }
    const std::string place = "proxy " + origin.proxy->host_port + ": ";
    return net_error(code, origin, Stage::handshake, place + text);
}

asio::awaitable<void> open_tunnel(
    async::CallContext& call,
    Connection& connection,
    const Origin& origin
) {
    call.enter(Stage::proxy);
    async::StepTimer timer(call.trace(), CallStep::proxy, Stage::proxy);
    TunnelRequest request(connection, origin);
    StepState state = request.advance();
    while (state != StepState::done) {
        co_await wait_for(connection, state);
        state = request.advance();
    }
    if (request.failure()) {
        timer.failed_with(request.failure()->errc());
        throw LLMError(*request.failure());
    }
    timer.done();
}

}  // namespace llmproc::net
