#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/bridge_support.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/socket_base.hpp>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <thread>

namespace llmproc::testing {
namespace {

// ---- F23: SIGTERM wherever it comes, and the signals that are none of our business

asio::awaitable<void> signalled_in_setup(LLMProgram program, bool* started) {
    send_signal(SIGTERM);
    AsyncLLMProcess process = co_await program.start();
    *started = true;
    co_await process.run("never");
}

TEST(RunMainTermTest, F23_TermDuringSetup) {
    ScriptedServer server;
    server.default_reply(Reply().hold());
    bool started = false;
    EXPECT_EQ(run_main(signalled_in_setup(program_for(server), &started)), 143);
}

asio::awaitable<void> signalled_in_a_run(LLMProgram program, Order& order) {
    AsyncLLMProcess process = co_await program.start();
    std::exception_ptr error;
    try {
        co_await process.run("hold");
    } catch (const Cancelled&) {
        error = std::current_exception();
    }
    order.add(error ? "cancelled" : "not cancelled");
    co_await asio::this_coro::reset_cancellation_state();
    co_await process.aclose();
    order.add("closed");
    std::rethrow_exception(error);
}

TEST(RunMainTermTest, F23_TermDuringARun) {
    ScriptedServer server;
    server.handle([](const RecordedRequest&) {
        send_signal(SIGTERM);
        return Reply().hold();
    });
    Order order;
    EXPECT_EQ(run_main(signalled_in_a_run(program_for(server), order)), 143);
    EXPECT_EQ(order.steps(), (Steps{"cancelled", "closed"}));
}

asio::awaitable<void> signalled_in_clean_up(Order& order, bool* begun) {
    *begun = true;
    std::exception_ptr error;
    try {
        co_await for_ever();
    } catch (...) {
        error = std::current_exception();
    }
    send_signal(SIGTERM);
    co_await asio::this_coro::reset_cancellation_state();
    co_await turns(10);
    order.add("task cleaned up");
    std::rethrow_exception(error);
}

asio::awaitable<void> signalled_in_teardown(Order& order) {
    EventLoop loop = co_await this_loop();
    bool begun = false;
    loop.create_task(signalled_in_clean_up(order, &begun));
    const auto has_begun = [&begun] { return begun; };
    co_await until(has_begun);
    order.add("main ended");
}

TEST(RunMainTermTest, F23_TermDuringTeardown) {
    Order order;
    EXPECT_EQ(run_main(signalled_in_teardown(order)), 143);
    EXPECT_EQ(order.steps(), (Steps{"main ended", "task cleaned up"}));
    EXPECT_EQ(Disposition::of(SIGTERM), SIG_DFL);
}

/// Resets every connection as soon as something has come.
class ResettingServer {
public:
    ResettingServer() : thread_([this] { serve(); }) {}
    ResettingServer(const ResettingServer&) = delete;
    ResettingServer& operator=(const ResettingServer&) = delete;
    ~ResettingServer() {
        asio::post(io_, [this] { acceptor_.close(); });
        thread_.join();
    }
    std::string program() const {
        return "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\nbase_url = "
               "\"http://127.0.0.1:" +
               std::to_string(acceptor_.local_endpoint().port()) +
               "/v1\"\napi_key_env = \"\"\n[retry]\nmax_attempts = 1\n";
    }

private:
    void accept() {
        acceptor_.async_accept([this](boost::system::error_code error, asio::ip::tcp::socket peer) {
            if (error) {
                return;
            }
            auto socket = std::make_shared<asio::ip::tcp::socket>(std::move(peer));
            auto some = std::make_shared<std::array<char, 1>>();
            socket->async_read_some(
                asio::buffer(*some),
                [socket, some](boost::system::error_code /*error*/, std::size_t /*size*/) {
                    boost::system::error_code ignored;
                    socket->set_option(asio::socket_base::linger(true, 0), ignored);
                    socket->close(ignored);
                }
            );
            accept();
        });
    }
    void serve() {
        accept();
        io_.run();
    }

    asio::io_context io_;
    asio::ip::tcp::acceptor acceptor_{
        io_,
        asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
    std::thread thread_;
};

asio::awaitable<void> big_calls(LLMProgram program) {
    AsyncLLMProcess process = co_await program.start();
    for (int i = 0; i < 20; ++i) {
        bool failed = false;
        try {
            std::string large(std::size_t(8) << 20U, 'x');
            co_await process.run(std::move(large));
        } catch (const LLMError& error) {
            failed = error.errc() == Errc::connection_lost;
            EXPECT_TRUE(failed) << error.what();
        }
        EXPECT_TRUE(failed);
    }
    co_await process.aclose();
}

TEST(RunMainTermTest, F23_AResetWhileWritingIsAnErrorAndNoSignal) {
    const Disposition deadly(SIGPIPE, SIG_DFL);
    const ResettingServer server;
    EXPECT_EQ(run_main(big_calls(LLMProgram::from_toml_string(server.program()))), 0);
    EXPECT_EQ(Disposition::of(SIGPIPE), SIG_DFL);
}

std::atomic<int> children{0};
void child_ended(int) {
    ++children;
}

asio::awaitable<void> with_a_child() {
    const pid_t child = ::fork();
    if (child == 0) {
        ::_exit(7);
    }
    co_await until([] { return children == 1; });
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT_EQ(Disposition::of(SIGCHLD), child_ended);
}

TEST(RunMainTermTest, F23_ChildrenStayTheProgramsOwn) {
    const Disposition user(SIGCHLD, child_ended);
    EXPECT_EQ(run_main(with_a_child()), 0);
    EXPECT_EQ(Disposition::of(SIGCHLD), child_ended);
}

}  // namespace
}  // namespace llmproc::testing
