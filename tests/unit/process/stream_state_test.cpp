#include "process/stream_state.hpp"

#include <llmproc/timeouts.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>

namespace llmproc {
namespace {

namespace asio = boost::asio;

class StreamStateTest : public ::testing::Test {
protected:
    ~StreamStateTest() override { call->finish(); }

    static void rethrow(const std::exception_ptr& error) {
        if (error) {
            std::rethrow_exception(error);
        }
    }
    static asio::awaitable<void> produce(std::shared_ptr<StreamState> stream, std::size_t count) {
        StreamEvents batch;
        for (std::size_t i = 0; i < count; ++i) {
            batch.emplace_back(StreamEvent::Type::text, std::to_string(i));
        }
        co_await stream->deliver(batch);
    }
    static asio::awaitable<void> consume(std::shared_ptr<StreamState> stream, std::size_t& taken) {
        for (;;) {
            const std::optional<StreamEvent> event = co_await StreamState::async_next(stream);
            if (!event) {
                break;
            }
            EXPECT_EQ(event->data, std::to_string(taken % batch_size));
            ++taken;
        }
    }

    static constexpr std::size_t batch_size = 500;
    asio::io_context io;
    std::shared_ptr<async::CallContext> call =
        std::make_shared<async::CallContext>(io.get_executor(), Timeouts());
    std::shared_ptr<StreamState> state = std::make_shared<StreamState>(
        call,
        std::this_thread::get_id(),
        async::Clock::time_point::max()
    );
};

TEST_F(StreamStateTest, ABatchIsTakenWithoutSuspending) {
    std::size_t taken = 0;
    asio::co_spawn(io, consume(state, taken), rethrow);
    io.poll();
    EXPECT_EQ(taken, 0U);
    for (std::size_t batches = 1; batches <= 3; ++batches) {
        asio::co_spawn(io, produce(state, batch_size), rethrow);
        // One handler after the other: that of the consumer takes the whole batch.
        const std::size_t before = taken;
        while (taken == before && io.poll_one() > 0) {}
        EXPECT_EQ(taken, batches * batch_size);
        io.poll();
    }
    state->finish(nullptr, std::nullopt);
    io.poll();
    EXPECT_EQ(taken, 3 * batch_size);
}

TEST_F(StreamStateTest, BatchesThatWaitAreTakenTogether) {
    std::size_t taken = 0;
    asio::co_spawn(io, produce(state, batch_size), rethrow);
    asio::co_spawn(io, produce(state, batch_size), rethrow);
    io.poll();
    io.restart();
    asio::co_spawn(io, consume(state, taken), rethrow);
    while (taken == 0 && io.poll_one() > 0) {}
    EXPECT_EQ(taken, 2 * batch_size);
    state->finish(nullptr, std::nullopt);
    io.poll();
}

}  // namespace
}  // namespace llmproc
