// A braced list as an argument: "array used as initializer".
awaitable<void> list() {
    co_await send({"a", "b"});  // bad
    co_await send(std::vector<std::string>{"a", "b"});  // bad
    auto all = vector{co_await first(), co_await second()};  // bad
}
