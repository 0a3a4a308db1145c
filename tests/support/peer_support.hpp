/// @file
/// What tests against somebody else's servers share.
#pragma once

#include <llmproc/llmproc.hpp>
#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace llmproc::testing {

/// What to do about a missing program; empty if it is there.
inline std::string lack_of(const std::string& program, const std::string& package) {
    return find_program(program).empty()
               ? program + " is not installed: apt install " + package + ". "
               : "";
}

/// For SetUp: without a lack nothing; else the test is skipped, or fails where all peers must be.
inline void require_peers(const std::string& peers, const std::string& lack) {
    if (lack.empty()) {
        return;
    }
    const char* const required = std::getenv("LLMPROC_REQUIRE_PEERS");
    if (required != nullptr && std::string(required) == "1") {
        FAIL() << "LLMPROC_REQUIRE_PEERS=1, but " << lack;
    }
    GTEST_SKIP() << "NOT TESTED against " << peers << ": " << lack;
}

/// Starts `command(port)` and waits until it listens there. Somebody else may take the port between
/// its choice and its use, so it is tried again.
template <typename Command>
std::uint16_t start_on_free_port(
    std::unique_ptr<ChildProcess>& child,
    const Folder& folder,
    const std::string& name,
    Command command
) {
    const std::filesystem::path output = folder.path() / (name + ".out");
    for (int attempt = 1;; ++attempt) {
        const std::uint16_t port = free_port();
        child = std::make_unique<ChildProcess>(command(port), output.string());
        try {
            wait_until_ready(*child, port, output);
            return port;
        } catch (const std::runtime_error& error) {
            if (attempt == 3) {
                throw std::runtime_error(name + ": " + error.what());
            }
        }
    }
}

/// A program for an OpenAI-compatible server that wants no key.
inline LLMProgram peer_program(
    const std::string& base_url,
    const std::string& connection = "",
    const std::string& retry = no_retry
) {
    return LLMProgram::from_toml_string(
        "[model]\n"
        "name = \"test-model\"\n"
        "provider = \"openai_compatible\"\n"
        "base_url = \"" +
            base_url +
            "\"\n"
            "api_key_env = \"\"\n"
            "allow_inline_key = true\n"
            "[retry]\n" +
            retry + "[connection]\n" + connection,
        "peer.toml"
    );
}

/// A line of a program's table.
inline std::string setting(const std::string& key, const std::string& text) {
    return key + " = \"" + text + "\"\n";
}

enum class Interface { blocking, awaited };

inline std::string interface_name(const ::testing::TestParamInfo<Interface>& info) {
    return info.param == Interface::blocking ? "Blocking" : "Awaited";
}

/// A process behind either interface.
class Caller {
public:
    Caller(const LLMProgram& program, Interface interface) {
        if (interface == Interface::blocking) {
            blocking_.emplace(program.start_sync());
        } else {
            awaited_.emplace(program.start(io_.get_executor()));
        }
    }
    Caller(const Caller&) = delete;
    Caller& operator=(const Caller&) = delete;
    ~Caller() = default;

    /// The answer's text.
    std::string run(const std::string& prompt = "ping") {
        if (blocking_) {
            return blocking_->run(prompt).text();
        }
        std::string text;
        std::exception_ptr failure;
        bool ended = false;
        boost::asio::co_spawn(
            io_,
            ask(*awaited_, prompt, text),
            [&failure, &ended](std::exception_ptr error) {
                failure = std::move(error);
                ended = true;
            }
        );
        io_.restart();
        io_.run_for(watchdog);
        if (failure) {
            std::rethrow_exception(failure);
        }
        if (!ended) {
            throw std::runtime_error("the call does not end");
        }
        return text;
    }
    /// The error of a call that must fail.
    LLMError failure(const std::string& prompt = "ping") {
        try {
            ADD_FAILURE() << "answered: " << run(prompt);
        } catch (const LLMError& error) {
            EXPECT_FALSE(error.message().empty());
            return error;
        }
        return LLMError(Errc::internal, "the call did not fail");
    }
    ProcessStats stats() const { return blocking_ ? blocking_->stats() : awaited_->stats(); }
    ConnectionStats connections() {
        return connection_stats(
            blocking_ ? blocking_->get_executor() : boost::asio::any_io_executor(io_.get_executor())
        );
    }

private:
    static boost::asio::awaitable<void> ask(
        AsyncLLMProcess& process,
        std::string prompt,
        std::string& text
    ) {
        const RunResult result = co_await process.run(std::move(prompt));
        text = result.text();
    }

    boost::asio::io_context io_;
    std::optional<SyncLLMProcess> blocking_;
    std::optional<AsyncLLMProcess> awaited_;
};

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace llmproc::testing
