/// @file
/// Coroutines of a test on an io_context that the test runs itself.
#pragma once

#include <llmproc/process.hpp>
#include "support/test_program.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace llmproc::testing {

/// Runs a coroutine on `io` to its end and throws what it threw.
inline void drive(boost::asio::io_context& io, boost::asio::awaitable<void> body) {
    std::exception_ptr error;
    bool ended = false;
    boost::asio::co_spawn(io, std::move(body), [&](std::exception_ptr failure) {
        error = std::move(failure);
        ended = true;
    });
    io.restart();
    while (!ended && io.run_one_for(watchdog) > 0) {}
    if (!ended) {
        throw std::runtime_error("the io_context ran out of work, or hangs");
    }
    if (error) {
        std::rethrow_exception(error);
    }
}

/// For co_spawn: an error leaves `run()`.
inline void rethrow(const std::exception_ptr& error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

/// What a call of the library ended with; Errc::internal if it is no LLMError, nothing if it is no
/// error.
inline std::optional<Errc> errc_of(const std::exception_ptr& error) {
    try {
        rethrow(error);
    } catch (const LLMError& failure) {
        return failure.errc();
    } catch (...) {
        return Errc::internal;
    }
    return std::nullopt;
}

/// The code of what `call` throws.
template <typename Call>
std::optional<Errc> errc_from(Call call) {
    try {
        static_cast<void>(call());
    } catch (...) {
        return errc_of(std::current_exception());
    }
    return std::nullopt;
}

inline boost::asio::awaitable<void> run_once(
    AsyncLLMProcess& process,
    std::string prompt,
    std::string& text
) {
    const RunResult result = co_await process.run(std::move(prompt));
    text += result.text() + ";";
}

}  // namespace llmproc::testing
