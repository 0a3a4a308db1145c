/// @file
/// The blocking interface: everything that needs no Asio.
#pragma once

#include <llmproc/call_metrics.hpp>
#include <llmproc/chat.hpp>
#include <llmproc/context_map.hpp>
#include <llmproc/cost.hpp>
#include <llmproc/error.hpp>
#include <llmproc/log.hpp>
#include <llmproc/message.hpp>
#include <llmproc/observer.hpp>
#include <llmproc/otel.hpp>
#include <llmproc/program.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/stream_event.hpp>
#include <llmproc/sync_process.hpp>
#include <llmproc/timeouts.hpp>
#include <llmproc/version.hpp>
