#include "process/model_router.hpp"

#include "net/rate_limiter.hpp"
#include "process/fallback_rule.hpp"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <typeinfo>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

std::string message_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        return known.message();
    } catch (const std::exception& foreign) {
        return foreign.what();
    } catch (...) {
        return "exception of an unknown type";
    }
}

FailedModel failed_model(const Diagnostics& note, int attempts, const std::exception_ptr& error) {
    FailedModel model;
    model.provider = note.provider;
    model.model = note.model;
    model.error = message_of(error);
    model.attempts = attempts;
    return model;
}

/// All but the one at `except`.
std::string listed(const std::vector<FailedModel>& models, std::size_t except) {
    std::string text;
    for (std::size_t i = 0; i < models.size(); ++i) {
        if (i != except) {
            text += text.empty() ? "" : "; ";
            text += models[i].provider + " " + models[i].model + ": " + models[i].error;
        }
    }
    return text;
}

/// Whether a protocol cannot express the request.
bool cannot_be_said(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        return known.errc() == Errc::not_supported || known.errc() == Errc::invalid_argument;
    } catch (...) {
        return false;
    }
}

/// A time limit that ended the last of several models' attempts.
class LastTimeout final : public Timeout {
public:
    LastTimeout(const Timeout& timeout, std::string others)
        : Timeout(timeout),
          others_(std::move(others)),
          text_(Timeout::what() + others_) {}
    const char* what() const noexcept override { return text_.c_str(); }

protected:
    std::exception_ptr clone_with(Diagnostics known) const override {
        const Timeout plain(stage(), limit(), std::move(known));
        return std::make_exception_ptr(LastTimeout(plain, others_));
    }

private:
    std::string others_;
    std::string text_;
};

/// The same error, which names the other models as well.
std::exception_ptr with_others(const std::exception_ptr& error, const std::string& models) {
    if (models.empty()) {
        return error;
    }
    const std::string others = "; other models failed too: " + models;
    try {
        std::rethrow_exception(error);
    } catch (const Timeout& timeout) {
        return std::make_exception_ptr(LastTimeout(timeout, others));
    } catch (const LLMError& known) {
        if (typeid(known) != typeid(LLMError)) {
            return error;  // Ended from outside: no model's failure.
        }
        return std::make_exception_ptr(
            LLMError(known.errc(), known.message() + others, known.diagnostics())
        );
    } catch (...) {
        return error;
    }
}

/// What has become of one call's question to several models.
class Turns {
public:
    explicit Turns(ModelExchange& exchange) : exchange_(exchange) {}

    /// The next model is asked.
    void begin(const ChatClient& client, const ChatRequest& request) {
        attempts_before_ = exchange_.note.attempts;
        if (exchange_.failed.empty()) {
            return;
        }
        exchange_.note = client.describe(request);
        exchange_.note.attempts = attempts_before_;
        if (exchange_.call.trace()) {
            client.introduce(exchange_.call.trace());
        }
    }

    /// It has failed. Says whether the one after it may be asked.
    bool failed(const std::exception_ptr& error) {
        const bool first = exchange_.failed.empty();
        const int attempts = exchange_.note.attempts - attempts_before_;
        exchange_.failed.push_back(failed_model(exchange_.note, attempts, error));
        const bool over = exchange_.call.interrupted() ||
                          (exchange_.sink != nullptr && exchange_.sink->delivered());
        // An alternate that cannot be asked is passed over.
        const bool passed_over = attempts == 0 && !first && cannot_be_said(error);
        const bool next = !over && (passed_over || another_model_may_do(error));
        if (!passed_over) {
            thrown_ = exchange_.failed.size() - 1;
            error_ = annotated(error, exchange_.note);
        }
        return next;
    }

    [[noreturn]] void give_up() const {
        std::rethrow_exception(with_others(error_, listed(exchange_.failed, thrown_)));
    }

private:
    ModelExchange& exchange_;
    std::exception_ptr error_;  ///< Of the model that was asked last.
    std::size_t thrown_ = 0;    ///< Which of the failed models it is of.
    int attempts_before_ = 0;
};

}  // namespace

ModelRouter::ModelRouter(const std::shared_ptr<const ProcessSettings>& settings) : own_(settings) {
    for (const std::shared_ptr<const ProcessSettings>& alternate : settings->fallbacks) {
        alternates_.push_back(std::make_unique<Route>(alternate));
    }
}

template <typename Self, typename Use>
void ModelRouter::for_each_route(Self& self, Use use) {
    use(self.own_);
    for (const std::unique_ptr<Route>& route : self.alternates_) {
        use(*route);
    }
}

void ModelRouter::limit_on(const asio::any_io_executor& executor) {
    for_each_route(*this, [&executor](Route& route) {
        const net::RateLimitSettings& limits = route.settings->rate_limit;
        if (limits.enabled()) {
            const std::string group = route.client.rate_limit_group();
            route.client.limit_by(net::RateLimiter::of(executor, group, limits));
        }
    });
}

asio::awaitable<ChatReply> ModelRouter::ask_one(
    Route& route,
    ModelExchange& exchange,
    const ChatRequest& request
) {
    EncodeCache& cache = exchange.keep_encoded ? route.cache : exchange.once.emplace();
    if (exchange.sink != nullptr) {
        return route.client.stream(exchange, request, cache, *exchange.sink, exchange.note);
    }
    return route.client.send(exchange, request, cache, exchange.note);
}

asio::awaitable<ChatReply> ModelRouter::ask(ModelExchange& exchange, ChatRequest& request) {
    if (alternates_.empty() || !request.model.empty()) {
        request.params.fill_from(own_.settings->params);
        return ask_one(own_, exchange, request);
    }
    return ask_in_turn(exchange, request);
}

asio::awaitable<ChatReply> ModelRouter::ask_in_turn(ModelExchange& exchange, ChatRequest& request) {
    const SamplingParams own_params = request.params;
    Turns turns(exchange);
    for (std::size_t next = 0;; ++next) {
        Route& route = next == 0 ? own_ : *alternates_[next - 1];
        turns.begin(route.client, request);
        request.params = own_params;
        if (route.settings->foreign) {
            // They were meant for the program's own server.
            request.params.extra_body.reset();
            request.params.extra_headers.clear();
        }
        request.params.fill_from(route.settings->params);
        std::optional<ChatReply> reply;
        std::exception_ptr error;
        try {
            ChatReply answer = co_await ask_one(route, exchange, request);
            reply.emplace(std::move(answer));
        } catch (...) {
            error = exchange.call.translate(std::current_exception());
        }
        if (reply) {
            co_return std::move(*reply);
        }
        const bool goes_on = turns.failed(error);
        if (!goes_on || next == alternates_.size()) {
            turns.give_up();
        }
        report_failed_attempt(exchange.call, error, std::chrono::microseconds(0));
        error = nullptr;
        fallbacks_.fetch_add(1, std::memory_order_relaxed);
        // The limit that ended the last attempt has cancelled this coroutine; it begins anew.
        const asio::enable_terminal_cancellation terminal;
        co_await asio::this_coro::reset_cancellation_state(terminal);
    }
}

void ModelRouter::trim() {
    for_each_route(*this, [](Route& route) { route.cache.trim(); });
}

void ModelRouter::add_counters(ProcessStats& stats) const {
    for_each_route(*this, [&stats](const Route& route) {
        const net::HttpCounters& http = route.client.counters();
        stats.requests += http.requests.load(std::memory_order_relaxed);
        stats.connections_opened += http.opened.load(std::memory_order_relaxed);
        stats.tls_handshakes += http.handshakes.load(std::memory_order_relaxed);
        stats.connections_reused += http.reused.load(std::memory_order_relaxed);
        stats.connections_replaced += http.replaced.load(std::memory_order_relaxed);
        stats.tls_resumed += http.resumed.load(std::memory_order_relaxed);
        stats.lookups += http.lookups.load(std::memory_order_relaxed);
        stats.redirects += http.redirects.load(std::memory_order_relaxed);
        stats.retries += route.client.retry_counters().retries.load(std::memory_order_relaxed);
    });
    stats.fallbacks = fallbacks_.load(std::memory_order_relaxed);
}

}  // namespace llmproc
