/// @file
/// The blocking interface: everything that needs no Asio.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/error.hpp>
#include <llmproc/log.hpp>
#include <llmproc/message.hpp>
#include <llmproc/program.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/stream_event.hpp>
#include <llmproc/sync_process.hpp>
#include <llmproc/version.hpp>
