#include "runtime/loop_service.hpp"

#include <llmproc/error.hpp>
#include "async/task_executor.hpp"
#include "runtime/loop_state.hpp"

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <utility>

namespace llmproc {

namespace asio = boost::asio;

asio::execution_context::id LoopService::id;

LoopService::LoopService(asio::execution_context& context)
    : asio::execution_context::service(context) {}

void LoopService::belongs_to(std::weak_ptr<LoopCore> loop) {
    const std::lock_guard lock(mutex_);
    own_ = true;
    owner_ = std::move(loop);
}

std::shared_ptr<LoopCore> LoopService::loop(const asio::any_io_executor& plain) {
    const std::lock_guard lock(mutex_);
    if (!own_ && !ended_ && !attached_) {
        attached_ = LoopCore::attached(plain);
    }
    std::shared_ptr<LoopCore> loop = own_ ? owner_.lock() : attached_;
    if (!loop) {
        throw LLMError(Errc::loop_closed, "the event loop is closed; start a new one");
    }
    return loop;
}

void LoopService::shutdown() {
    std::shared_ptr<LoopCore> loop;
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        loop.swap(attached_);
    }
    if (loop) {
        loop->state()->context_died();
    }
}

namespace {

/// The context's executor below strands and scopes, without outstanding work.
asio::any_io_executor plain_executor(asio::any_io_executor executor) {
    for (;;) {
        executor = async::without_scope(executor);
        if (const auto* strand = executor.target<asio::strand<asio::any_io_executor>>()) {
            asio::any_io_executor inner = strand->get_inner_executor();
            executor = std::move(inner);
        } else if (const auto* typed = executor.target<asio::strand<asio::io_context::executor_type>>()) {
            executor = asio::any_io_executor(typed->get_inner_executor());
        } else {
            return asio::prefer(executor, asio::execution::outstanding_work.untracked);
        }
    }
}

}  // namespace

std::shared_ptr<LoopCore> LoopCore::of(const asio::any_io_executor& executor) {
    if (!executor) {
        throw LLMError(Errc::invalid_argument, "an empty executor belongs to no event loop");
    }
    const asio::any_io_executor plain = plain_executor(executor);
    asio::execution_context& context = asio::query(plain, asio::execution::context);
    if (!asio::has_service<LoopService>(context)) {
        // Services are shut down in the reverse order of their making. Those of Asio must exist
        // first, so that ours lets go of timers and sockets before theirs destroy the handlers.
        const asio::steady_timer timer(plain);
        const asio::ip::tcp::socket socket(plain);
        const auto strand = asio::make_strand(plain);
    }
    return asio::use_service<LoopService>(context).loop(plain);
}

}  // namespace llmproc
