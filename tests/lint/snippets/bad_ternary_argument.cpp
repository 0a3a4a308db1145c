// ?: as an argument of what is awaited.
awaitable<void> name(bool yes, std::string text) {
    co_await send(yes ? std::string("a") : std::string("b"));  // bad
    auto reply = co_await send(text.empty() ? "x" : text);  // bad
    co_await send(
        first,
        text.empty() ? "x" : text  // bad
    );
}
