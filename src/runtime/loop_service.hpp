/// @file
/// Which loop belongs to an io_context.
#pragma once

#include "runtime/loop_core.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

#include <memory>
#include <mutex>

namespace llmproc {

/// One per context. Asio calls `shutdown` before it destroys pending handlers: the members of an
/// attached loop end then, and nothing of ours touches the dead context.
class LoopService : public boost::asio::execution_context::service {
public:
    using key_type = LoopService;
    static boost::asio::execution_context::id id;

    explicit LoopService(boost::asio::execution_context& context);

    /// The context is the loop's own.
    void belongs_to(std::weak_ptr<LoopCore> loop);
    /// The context's loop; attaches one to a context without. `plain` is the context's executor.
    /// Throws LLMError{loop_closed} while it ends.
    std::shared_ptr<LoopCore> loop(const boost::asio::any_io_executor& plain);

private:
    void shutdown() override;

    std::mutex mutex_;
    bool own_ = false;
    bool ended_ = false;
    std::weak_ptr<LoopCore> owner_;
    std::shared_ptr<LoopCore> attached_;
};

}  // namespace llmproc
