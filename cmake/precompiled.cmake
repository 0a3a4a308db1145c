# LLMPROC_PRECOMPILE spares builds of everything, such as the sanitizers', a fifth of their time.
# Off by default: sources must compile without it, and ccache knows them only then.

# llmproc_precompile(<target> <header>...): what most sources of the target include.
function(llmproc_precompile target)
    if(LLMPROC_PRECOMPILE)
        target_precompile_headers(${target} PRIVATE ${ARGN})
    endif()
endfunction()

set(
    llmproc_common_headers
    <algorithm>
    <chrono>
    <functional>
    <map>
    <memory>
    <mutex>
    <optional>
    <string>
    <string_view>
    <utility>
    <variant>
    <vector>
    <boost/asio/any_completion_handler.hpp>
    <boost/asio/any_io_executor.hpp>
    <boost/asio/awaitable.hpp>
    <boost/asio/co_spawn.hpp>
    <boost/asio/io_context.hpp>
    <boost/asio/ip/tcp.hpp>
    <boost/asio/post.hpp>
    <boost/asio/steady_timer.hpp>
    <boost/asio/strand.hpp>
    <boost/asio/use_awaitable.hpp>
    <boost/system/system_error.hpp>
)
