#include "async/waiter.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <exception>
#include <optional>

namespace llmproc::async {
namespace {

namespace asio = boost::asio;

// F42: Asio leaves its own part of a type-erased handler in the slot of the user's signal. What
// stands behind that is the slot of the operation, and that has to be empty.
TEST(WaiterTest, TheSlotOfTheOperationIsEmptyWhenTheHandlerRuns) {
    for (const bool same_context : {true, false}) {
        asio::io_context io;
        asio::cancellation_signal signal;
        asio::cancellation_slot slot;
        int heard = 0;
        std::optional<bool> listens;
        auto handler = [&](const std::exception_ptr& error) {
            EXPECT_FALSE(error);
            listens = slot.has_handler();
        };
        Waiter waiter(
            Waiter::Handler(asio::bind_cancellation_slot(signal.slot(), handler)),
            io.get_executor(),
            same_context ? &io : nullptr
        );
        slot = waiter.slot();
        slot.assign([&heard](asio::cancellation_type /*type*/) { ++heard; });
        signal.emit(asio::cancellation_type::terminal);
        EXPECT_EQ(heard, 1);
        waiter.resume_later();
        EXPECT_TRUE(slot.has_handler()) << "cleared where the handler runs, not here";
        io.run();
        EXPECT_EQ(listens, false);
        signal.emit(asio::cancellation_type::terminal);
        EXPECT_EQ(heard, 1);
    }
}

}  // namespace
}  // namespace llmproc::async
