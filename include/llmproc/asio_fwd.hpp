/// @file
/// Asio's types by name only, for headers that must stay light.
#pragma once

namespace boost::asio {

class any_io_executor;
template <typename T, typename Executor>
class awaitable;
class io_context;
class thread_pool;

}  // namespace boost::asio
