#include "net/resolve.hpp"

#include "net/context_service.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <mutex>
#include <new>
#include <optional>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;

namespace {

/// Shared with the resolver, which may come back when the call and its io_context are gone.
struct Lookup {
    explicit Lookup(std::shared_ptr<ContextGate> context_gate) : gate(std::move(context_gate)) {}

    const std::shared_ptr<ContextGate> gate;
    // The rest but the timer is guarded by the gate's mutex; the timer belongs to the executor.
    asio::any_io_executor executor;
    boost::system::error_code error;
    Addresses addresses;
    bool done = false;
    std::optional<asio::steady_timer> timer;
};

void finish(
    const std::shared_ptr<Lookup>& lookup,
    boost::system::error_code error,
    Addresses addresses
) {
    const std::lock_guard lock(lookup->gate->mutex);
    if (lookup->done) {
        return;
    }
    lookup->done = true;
    lookup->error = error;
    lookup->addresses = std::move(addresses);
    if (!lookup->gate->alive || !lookup->executor) {
        return;
    }
    try {
        asio::post(lookup->executor, [lookup] {
            if (lookup->timer) {
                lookup->timer->expires_at(asio::steady_timer::time_point::min());
            }
        });
    } catch (const std::bad_alloc&) {
        // The helper thread must survive; the caller's time limit ends its wait.
        return;
    }
}

/// Lets go of the executor and the timer when the wait ends, however it ends.
class LookupWait {
public:
    LookupWait(std::shared_ptr<Lookup> lookup, const asio::any_io_executor& executor)
        : lookup_(std::move(lookup)) {
        lookup_->timer.emplace(executor, asio::steady_timer::time_point::max());
        const std::lock_guard lock(lookup_->gate->mutex);
        lookup_->executor = executor;
    }
    LookupWait(const LookupWait&) = delete;
    LookupWait& operator=(const LookupWait&) = delete;
    ~LookupWait() {
        lookup_->timer.reset();
        const std::lock_guard lock(lookup_->gate->mutex);
        lookup_->executor = asio::any_io_executor();
    }

    asio::steady_timer& timer() noexcept { return *lookup_->timer; }
    bool done() const {
        const std::lock_guard lock(lookup_->gate->mutex);
        return lookup_->done;
    }
    Addresses result() {
        const std::lock_guard lock(lookup_->gate->mutex);
        if (lookup_->error) {
            throw boost::system::system_error(lookup_->error);
        }
        Addresses found;
        found.swap(lookup_->addresses);
        return found;
    }

private:
    std::shared_ptr<Lookup> lookup_;
};

}  // namespace

asio::awaitable<Addresses> resolve(
    async::CallContext& call,
    std::shared_ptr<Resolver> resolver,
    std::string host,
    std::uint16_t port,
    LookupSource& source
) {
    auto lookup = std::make_shared<Lookup>(ContextService::of(call.executor()).gate());
    LookupWait wait(lookup, call.executor());
    ResolveHandler handler = [lookup](boost::system::error_code error, Addresses addresses) {
        finish(lookup, error, std::move(addresses));
    };
    lookup.reset();
    source = resolver->look_up(std::move(host), port, std::move(handler));
    while (!wait.done()) {
        const auto [error] = co_await wait.timer().async_wait(asio::as_tuple(asio::deferred));
        if (error && !wait.done()) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
    }
    co_return wait.result();
}

}  // namespace llmproc::net
