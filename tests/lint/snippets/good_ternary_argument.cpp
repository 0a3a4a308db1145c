awaitable<void> name(bool yes, std::string text) {
    std::string chosen = yes ? std::string("a") : std::string("b");
    co_await send(std::move(chosen));
    co_await send("who ? what : why");
    co_await send(R"({"a": [1 ? 2 : 3]})");  // a ? in a comment: co_await f({})
}
