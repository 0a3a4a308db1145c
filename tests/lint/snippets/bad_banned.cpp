#include <boost/asio/detached.hpp>  // bad
#include <boost/asio/experimental/awaitable_operators.hpp>  // bad
#include <boost/asio/use_future.hpp>  // bad
void start() {
    asio::co_spawn(executor, run(), asio::detached);  // bad
    auto future = asio::co_spawn(executor, run(), asio::use_future);  // bad
    context.set_verify_mode(ssl::verify_none);  // bad
    ssl::context old(ssl::context::tlsv12_client);  // bad
    resolver.async_resolve(host, port, handler);  // bad
}
