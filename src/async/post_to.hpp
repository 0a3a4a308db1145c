/// @file
/// Posts without detours.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace llmproc::async {

/// Straight to the io_context where there is nothing in between: no type-erased handler.
template <typename Handler>
void post_to(const boost::asio::any_io_executor& executor, Handler handler) {
    if (const auto* const typed = executor.target<boost::asio::io_context::executor_type>()) {
        boost::asio::post(*typed, std::move(handler));
    } else {
        boost::asio::post(executor, std::move(handler));
    }
}

}  // namespace llmproc::async
