#include "net/context_service.hpp"

#include <llmproc/stats.hpp>
#include "async/task_executor.hpp"
#include "net/connection_pool.hpp"
#include "net/rate_limiter.hpp"

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace llmproc::net {

namespace asio = boost::asio;

asio::execution_context::id ContextService::id;

struct ContextService::Members {
    std::mutex mutex;
    std::vector<std::weak_ptr<ContextMember>> list;
    std::size_t tidy_at = 64;
    bool closed = false;

    /// False: the context is going away already.
    bool add(const std::shared_ptr<ContextMember>& member) {
        const std::lock_guard lock(mutex);
        if (closed) {
            return false;
        }
        if (list.size() >= tidy_at) {
            std::erase_if(list, [](const auto& weak) { return weak.expired(); });
            tidy_at = std::max<std::size_t>(64, list.size() * 2);
        }
        list.push_back(member);
        return true;
    }
};

ContextService::ContextService(asio::execution_context& context)
    : asio::execution_context::service(context),
      members_(std::make_unique<Members>()),
      pool_(std::make_shared<ConnectionPool>()),
      rate_limits_(std::make_unique<RateLimiterGroups>()),
      gate_(std::make_shared<ContextGate>()) {}

ContextService::~ContextService() = default;

ContextService& ContextService::of(const asio::any_io_executor& executor) {
    asio::execution_context& context = asio::query(executor, asio::execution::context);
    if (!asio::has_service<ContextService>(context)) {
        // Services are shut down in the reverse order of their making. Those of Asio must exist
        // first, so that ours lets go of timers and sockets before theirs destroy the handlers.
        const asio::steady_timer timer(executor);
        const asio::ip::tcp::socket socket(executor);
        const auto strand = asio::make_strand(executor);
    }
    auto& service = asio::use_service<ContextService>(context);
    check_not_forked(service.generation_, "this io_context");
    return service;
}

void ContextService::enroll(const std::shared_ptr<ContextMember>& member) {
    if (!members_->add(member)) {
        member->context_shutdown();
    }
}

std::shared_ptr<RateLimiter> ContextService::rate_limiter(
    const std::string& group_key,
    const RateLimitSettings& settings
) {
    bool made = false;
    std::shared_ptr<RateLimiter> limiter = rate_limits_->find_or_make(group_key, settings, made);
    if (made) {
        enroll(limiter);
    }
    return limiter;
}

void ContextService::leave_to_parent() noexcept {
    if (!pool_) {
        return;  // since Boost 1.82 Asio shuts an io_context's services down twice
    }
    pool_->leave_to_parent();
    KeptForParent::keep(std::move(members_));
    KeptForParent::keep(std::move(pool_));
    KeptForParent::keep(std::move(rate_limits_));
    KeptForParent::keep(std::move(gate_));
}

void ContextService::shutdown() {
    if (inherited(generation_)) {
        leave_to_parent();
        return;
    }
    {
        const std::lock_guard lock(gate_->mutex);
        gate_->alive = false;
    }
    std::vector<std::weak_ptr<ContextMember>> list;
    {
        const std::lock_guard lock(members_->mutex);
        members_->closed = true;
        list.swap(members_->list);
    }
    for (const std::weak_ptr<ContextMember>& weak : list) {
        if (const std::shared_ptr<ContextMember> member = weak.lock()) {
            member->context_shutdown();
        }
    }
    pool_->shutdown();
}

asio::any_io_executor plain_executor(const asio::any_io_executor& executor) {
    asio::any_io_executor inner = executor;
    for (;;) {
        inner = async::without_scope(inner);
        if (const auto* strand = inner.target<asio::strand<asio::any_io_executor>>()) {
            asio::any_io_executor below = strand->get_inner_executor();
            inner = std::move(below);
        } else if (const auto* typed = inner.target<asio::strand<asio::io_context::executor_type>>()) {
            asio::any_io_executor below = typed->get_inner_executor();
            inner = std::move(below);
        } else {
            return asio::prefer(inner, asio::execution::outstanding_work.untracked);
        }
    }
}

}  // namespace llmproc::net

namespace llmproc {

ConnectionStats connection_stats(const boost::asio::any_io_executor& executor) {
    return net::ContextService::of(executor).pool()->stats();
}

}  // namespace llmproc
