// A program that ends with something left open; system_exit_test.cpp starts it and looks how.
#include "event_loop/exit_scenarios.hpp"

#include <llmproc/llmproc.hpp>

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::program_variable;
using testing::scenario_variable;

std::string variable(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string() : std::string(value);
}

/// One write, as threads that end with the program may say something at once.
void say(const std::string& line) {
    const std::string text = line + '\n';
    static_cast<void>(!::write(STDOUT_FILENO, text.data(), text.size()));
}

LLMProgram program() {
    return LLMProgram::from_toml_string(variable(program_variable), "scenario.toml");
}

void say_run(SyncLLMProcess& process, const std::string& prompt) {
    say(process.run(prompt).text());
}

std::optional<SyncLLMProcess> made_before_main() {
    if (variable(scenario_variable) != "namespace_scope") {
        return std::nullopt;
    }
    SyncLLMProcess process = program().start_sync();
    say_run(process, "before main");
    return process;
}

/// Made before anything has used OpenSSL, never closed.
std::optional<SyncLLMProcess> at_namespace_scope = made_before_main();
/// Filled by main, so that they die after the loops have, and after OpenSSL.
std::optional<SyncLLMProcess> filled_later;
std::optional<SyncStream> stream_filled_later;
std::optional<EventLoop> loop_filled_later;

/// A blocking call of another thread, in progress when the program ends. Its end is awaited by an
/// exit handler that is older than the library's, so runs after it.
class PendingCall {
public:
    /// Before the first loop is made.
    static void prepare() {
        static const int registered = std::atexit([] { call->outcome_.get_future().wait(); });
        static_cast<void>(registered);
    }
    static void begin(SyncLLMProcess& process) {
        std::thread([&process] {
            try {
                process.run("hold");
                say("answered");
            } catch (const LLMError& error) {
                say("call ended: " + error.code().message());
                say(error.errc() == Errc::loop_closed ? "loop_closed" : "another error");
            }
            call->outcome_.set_value();
        }).detach();
    }

private:
    static PendingCall* const call;
    std::promise<void> outcome_;
};
PendingCall* const PendingCall::call = new PendingCall;

SyncLLMProcess& unclosed() {
    static auto* const process = new SyncLLMProcess(program().start_sync());
    return *process;
}

/// Begins a call that has its place on the loop when this returns.
void begin_pending_call() {
    PendingCall::prepare();
    SyncLLMProcess& process = unclosed();
    PendingCall::begin(process);
    while (process.loop().stats().pending_calls == 0) {
        std::this_thread::yield();
    }
}

class Guard {
public:
    Guard() = default;
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { say("guard destroyed"); }
};

asio::awaitable<void> guarded_wait(std::promise<void>& begun) {
    const Guard guard;
    std::optional<CancelReason> reason;
    begun.set_value();
    try {
        co_await llmproc::sleep(std::chrono::hours(1));
    } catch (const Cancelled& cancelled) {
        reason = cancelled.reason();
    }
    if (reason) {
        say("cancelled: " + std::string(to_string(*reason)));
    }
}

asio::awaitable<void> exit_from_here(int code) {
    std::exit(code);
    co_return;
}

template <typename Use>
void say_refusal(const std::string& what, Use use) {
    try {
        use();
        say(what + ": went through");
    } catch (const LLMError& error) {
        const bool expected = error.errc() == Errc::loop_closed;
        say(what + ": " + (expected ? "loop_closed, " : "another error, ") + error.message());
    }
}

void use_after_exit() {
    say_refusal("run", [] { unclosed().run("later"); });
    say_refusal("start", [] { static_cast<void>(program().start_sync()); });
    say_refusal("loop", [] { const EventLoop loop; });
    say_refusal("run_sync", [] { run_sync(llmproc::sleep(std::chrono::milliseconds(0))); });
}

thread_local std::optional<SyncLLMProcess> of_this_thread;

void block_for_ever() {
    for (;;) {
        ::pause();
    }
}

// NOLINTNEXTLINE(readability-function-size): a table
const std::map<std::string, std::function<void()>>& scenarios() {
    static const std::map<std::string, std::function<void()>> all = {
        {"pending_call", [] { begin_pending_call(); }},
        {"pending_call_exit",
         [] {
             begin_pending_call();
             std::exit(0);
         }},
        {"guard",
         [] {
             static std::promise<void> begun;
             EventLoop::global().create_task(guarded_wait(begun));
             begun.get_future().wait();
         }},
        {"namespace_scope", [] { say_run(*at_namespace_scope, "in main"); }},
        {"filled_later",
         [] {
             loop_filled_later.emplace();
             filled_later.emplace(program().start_sync(SyncOptions().on(*loop_filled_later)));
             say_run(*filled_later, "in main");
             stream_filled_later.emplace(filled_later->stream("stream"));
         }},
        {"function_static",
         [] {
             static SyncLLMProcess process = program().start_sync();
             say_run(process, "in main");
             static AsyncLLMProcess never_run = program().start(unclosed().get_executor());
         }},
        {"thread_local",
         [] {
             std::thread([] {
                 of_this_thread.emplace(program().start_sync());
                 say_run(*of_this_thread, "on a worker");
             }).join();
             of_this_thread.emplace(program().start_sync());
             say_run(*of_this_thread, "on main");
         }},
        {"thread_local_alive",
         [] {
             std::promise<void> ready;
             std::thread([&ready] {
                 of_this_thread.emplace(program().start_sync());
                 say_run(*of_this_thread, "on a worker");
                 ready.set_value();
                 block_for_ever();
             }).detach();
             ready.get_future().wait();
         }},
        {"exit_on_private_loop",
         [] {
             unclosed().spawn(exit_from_here(3));
             block_for_ever();
         }},
        {"exit_on_loop_of_call",
         [] {
             begin_pending_call();
             unclosed().loop().call_soon([] { std::exit(3); });
             block_for_ever();
         }},
        {"exit_on_global_loop",
         [] {
             unclosed();
             EventLoop::global().call_soon([] { std::exit(3); });
             block_for_ever();
         }},
        {"stuck_loop",
         [] {
             std::promise<void> stuck;
             PendingCall::prepare();
             unclosed().loop().call_soon([&stuck] {
                 stuck.set_value();
                 block_for_ever();
             });
             stuck.get_future().wait();
             begin_pending_call();
         }},
        {"quick_exit",
         [] {
             begin_pending_call();
             std::quick_exit(4);
         }},
        {"_exit",
         [] {
             begin_pending_call();
             ::_exit(5);
         }},
        {"abort",
         [] {
             begin_pending_call();
             std::abort();
         }},
        {"late_use",
         [] {
             // Older than the library's exit handler, so it runs after it.
             std::atexit(&use_after_exit);
             say_run(unclosed(), "in main");
         }},
    };
    return all;
}

}  // namespace
}  // namespace llmproc

int main() {
    llmproc::scenarios().at(llmproc::variable(llmproc::testing::scenario_variable))();
}
