/// @file
/// How a program makes processes.
#pragma once

#include <llmproc/sync_process.hpp>
#include "process/process_settings.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <memory>

namespace llmproc {

class ProcessCore;

/// Throws ConfigError for a CA file that cannot be used, LLMError{insecure_url}.
std::shared_ptr<ProcessCore> make_process_core(
    const boost::asio::any_io_executor& executor,
    std::shared_ptr<const ProcessSettings> settings
);

/// The same, on `options.loop()` or a private loop. Throws also LLMError{limit_reached}; then no
/// thread is left.
SyncLLMProcess make_sync_process(
    std::shared_ptr<const ProcessSettings> settings,
    const SyncOptions& options
);

}  // namespace llmproc
