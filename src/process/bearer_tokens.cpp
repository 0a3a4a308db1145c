#include "process/bearer_tokens.hpp"

#include <llmproc/error.hpp>
#include "async/one_shot.hpp"
#include "async/spawn.hpp"
#include "net/context_service.hpp"
#include "runtime/worker_pool.hpp"

#include <boost/asio/strand.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

/// One call of the callback and those who wait for it.
struct BearerTokens::Fetch {
    explicit Fetch(Steady time) : begun(time) {}

    const Steady begun;
    /// It may be ended by a thread of any kind.
    async::OneShot ended{nullptr};
    // Set before `ended`, under the source's mutex.
    bool over = false;
    TokenPtr token;
    std::exception_ptr error;  ///< Neither token nor error: its io_context has died.
};

namespace {

LLMError unusable(const std::string& problem) {
    return {Errc::authentication_failed, "the token provider " + problem};
}

/// The callback's failure as the error of a call.
std::exception_ptr failure_of_callback(const std::exception_ptr& error) noexcept {
    try {
        std::string problem = "failed with an exception of an unknown type";
        Errc code = Errc::authentication_failed;
        try {
            std::rethrow_exception(error);
        } catch (const LLMError& known) {
            // Where there was no thread for it, the credentials may be right.
            code = known.errc() == Errc::limit_reached ? known.errc() : code;
            problem = "failed: " + known.message();
        } catch (const std::exception& known) {
            problem = std::string("failed: ") + known.what();
        } catch (...) {
            static_cast<void>(error);  // The text says all that is known.
        }
        return std::make_exception_ptr(LLMError(code, "the token provider " + problem));
    } catch (...) {
        return std::current_exception();
    }
}

}  // namespace

/// The callback as a job. What it ends in is told in `finish`, when its thread is free for the next.
class BearerTokens::Job final : public WorkerJob {
public:
    Job(std::shared_ptr<BearerTokens> source, std::shared_ptr<Fetch> fetch)
        : source_(std::move(source)),
          fetch_(std::move(fetch)) {}

    void run() noexcept override {
        try {
            token_ = source_->provider_.function()();
        } catch (...) {
            error_ = std::current_exception();
        }
    }
    void finish() noexcept override {
        if (error_) {
            source_->fail(fetch_, error_);
        } else {
            source_->end(fetch_, std::move(token_));
        }
    }
    void request_stop() noexcept override {}
    void refuse(std::exception_ptr error) noexcept override { source_->fail(fetch_, error); }
    bool nested() const noexcept override { return false; }

private:
    const std::shared_ptr<BearerTokens> source_;
    const std::shared_ptr<Fetch> fetch_;
    AccessToken token_;
    std::exception_ptr error_;
};

/// Tells who waits on other io_contexts that the one of the coroutine has died.
class BearerTokens::Member final : public net::ContextMember {
public:
    Member(
        std::shared_ptr<BearerTokens> source,
        std::shared_ptr<Fetch> fetch,
        std::shared_ptr<async::CallContext> call
    )
        : source_(std::move(source)),
          fetch_(std::move(fetch)),
          call_(std::move(call)) {}

    void context_shutdown() noexcept override {
        call_->finish();
        source_->settle(fetch_, nullptr, nullptr);
    }

private:
    const std::shared_ptr<BearerTokens> source_;
    const std::shared_ptr<Fetch> fetch_;
    const std::shared_ptr<async::CallContext> call_;
};

BearerTokens::BearerTokens(TokenProvider provider, Clocks clocks, std::chrono::milliseconds limit)
    : provider_(std::move(provider)),
      clocks_(std::move(clocks)),
      limit_(limit) {}

BearerTokens::~BearerTokens() = default;

BearerTokens::TokenPtr BearerTokens::checked(AccessToken token) const {
    const std::string_view text = token.token.reveal();
    const bool clean = std::all_of(text.begin(), text.end(), [](char c) {
        return c > 0x20 && c < 0x7f;
    });
    if (text.empty() || !clean) {
        throw unusable(
            text.empty() ? "returned an empty token; return one, or throw what went wrong"
                         : "returned a token with a space, a line end or another character that "
                           "no header can carry; return the token alone"
        );
    }
    if (token.expiry <= now()) {
        throw unusable("returned a token that has expired; check the clocks, and what it caches");
    }
    return std::make_shared<const AccessToken>(std::move(token));
}

asio::awaitable<BearerTokens::TokenPtr> BearerTokens::get(async::CallContext& call) {
    TokenPtr token;
    while (!token) {
        const std::shared_ptr<Fetch> fetch = join(call.executor(), token);
        if (!fetch) {
            break;
        }
        co_await wait(call, fetch);
        token = fetch->token;
        if (!token && fetch->error) {
            std::rethrow_exception(fetch->error);
        }
    }
    co_return token;
}

asio::awaitable<void> BearerTokens::wait(
    async::CallContext& call,
    const std::shared_ptr<Fetch>& fetch
) const {
    call.enter(Stage::token);
    async::StepTimer step(call.trace(), CallStep::wait, Stage::token);
    const std::shared_ptr<async::OneShot> ended(fetch, &fetch->ended);
    co_await async::OneShot::wait(ended);
    call.throw_if_interrupted();
    step.done();
}

std::shared_ptr<BearerTokens::Fetch> BearerTokens::join(
    const asio::any_io_executor& executor,
    TokenPtr& token
) {
    std::shared_ptr<Fetch> fetch;
    {
        const std::lock_guard lock(mutex_);
        const Time time = now();
        if (token_ && time < token_->expiry) {
            token = token_;
        }
        if (token && time < replace_at_) {
            return nullptr;
        }
        const Steady begun = steady();
        if (fetch_ && begun - fetch_->begun < limit_) {
            return token ? nullptr : fetch_;
        }
        fetch = std::make_shared<Fetch>(begun);
        fetch_ = fetch;
    }
    try {
        begin(fetch, executor);
    } catch (...) {
        fail(fetch, std::current_exception());
    }
    return token ? nullptr : fetch;
}

void BearerTokens::begin(
    const std::shared_ptr<Fetch>& fetch,
    const asio::any_io_executor& executor
) {
    if (provider_.coroutine()) {
        begin_coroutine(fetch, executor);
        return;
    }
    auto job = std::make_shared<Job>(shared_from_this(), fetch);
    try {
        detail::pool_of(threads_)->submit(std::move(job));
    } catch (const LLMError& error) {
        if (error.errc() != Errc::queue_full) {
            throw;
        }
        throw LLMError(
            Errc::limit_reached,
            "it was not called, since " + std::to_string(max_functions) +
                " earlier calls of it have not returned; give what it does a time limit of less "
                "than " +
                std::to_string(std::chrono::ceil<std::chrono::seconds>(limit_).count()) + " s"
        );
    }
}

void BearerTokens::begin_coroutine(
    const std::shared_ptr<Fetch>& fetch,
    const asio::any_io_executor& executor
) {
    // A strand of its own: the call and its process may be gone before the coroutine ends.
    const asio::any_io_executor plain = net::plain_executor(executor);
    const Timeouts limits = Timeouts().token(limit_);
    auto call = std::make_shared<async::CallContext>(asio::make_strand(plain), limits);
    auto member = std::make_shared<Member>(shared_from_this(), fetch, call);
    net::ContextService::of(plain).enroll(member);
    std::function<void()> begin = [source = shared_from_this(), fetch, call, member] {
        async::Completion done = [source, fetch, call, member](const std::exception_ptr& error) {
            if (error && call->interrupted()) {
                source->settle(fetch, nullptr, error);
            } else if (error) {
                source->fail(fetch, error);
            }
        };
        try {
            async::spawn(call, source->ask(fetch, call), std::move(done));
        } catch (...) {
            call->finish();
            source->fail(fetch, std::current_exception());
        }
    };
    async::start(*call, std::move(begin));
}

asio::awaitable<void> BearerTokens::ask(
    std::shared_ptr<Fetch> fetch,
    std::shared_ptr<async::CallContext> call
) {
    const std::shared_ptr<BearerTokens> self = shared_from_this();
    call->enter(Stage::token);
    AccessToken token = co_await provider_.coroutine()();
    end(fetch, std::move(token));
}

void BearerTokens::end(const std::shared_ptr<Fetch>& fetch, AccessToken token) noexcept {
    try {
        settle(fetch, checked(std::move(token)), nullptr);
    } catch (const LLMError&) {
        settle(fetch, nullptr, std::current_exception());
    } catch (...) {
        fail(fetch, std::current_exception());
    }
}

void BearerTokens::fail(
    const std::shared_ptr<Fetch>& fetch,
    const std::exception_ptr& error
) noexcept {
    settle(fetch, nullptr, failure_of_callback(error));
}

void BearerTokens::settle(
    const std::shared_ptr<Fetch>& fetch,
    TokenPtr token,
    std::exception_ptr error
) {
    {
        const std::lock_guard lock(mutex_);
        if (fetch->over) {
            return;
        }
        fetch->over = true;
        fetch->token = std::move(token);
        fetch->error = std::move(error);
        const bool current = fetch_ == fetch;
        if (current) {
            fetch_.reset();
        }
        if (current && fetch->token) {
            token_ = fetch->token;
            const Time time = now();
            const auto life = token_->expiry - time;
            // Half of what is left, where the margin would have every call ask again.
            const bool endless = token_->expiry == Time::max();
            replace_at_ = endless ? Time::max()
                                  : std::max(token_->expiry - provider_.margin(), time + life / 2);
        }
    }
    fetch->ended.set();
}

void BearerTokens::invalidate(const AccessToken& token) noexcept {
    const std::lock_guard lock(mutex_);
    if (token_ && token_->token.reveal() == token.token.reveal()) {
        token_.reset();
    }
}

}  // namespace llmproc
