#include <boost/asio/awaitable.hpp>
// asio::detached and use_future stay out of the library.
void start() {
    thread.detach();
    context.set_verify_mode(ssl::verify_peer);
    ssl::context fresh(ssl::context::tls_client);
    log("async_resolve, verify_none");
}
